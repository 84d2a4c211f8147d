"""Delivering what people are told. At least once: a crash may repeat a message, never lose it."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import timedelta

import attrs

from crm_domain.errors import DeliveryFailed, FieldError, Invalid, Language
from crm_domain.model import Employee, Notice, NoticePreference, NoticeStatus
from crm_domain.ports import Crm
from crm_domain.rules.access import Principal
from crm_domain.rules.notifying import WAITING, given_back, ruled_out, suspects
from crm_domain.usecases._common import Stopping, bad_channel, never
from crm_domain.usecases._sending import attempt, failure, first_wait, languages
from crm_domain.usecases._settling import patiently, settled

ENOUGH = 10
"""So many failures in a row, and a channel is left alone."""
ENOUGH_SECONDS = 30.0
"""Or so many seconds that failures in a row have taken together, as of one that does not answer; or
as many as a call relies on its lease, if that is less."""
MOST_UNWRITTEN = 25
"""So many outcomes at most are written at once; a worker that dies repeats what it had not."""
SHARE = 0.4
"""Of a lease; what was not begun by then is given back. Half of it is left to a channel, and the
rest to write what became of the message before another takes it."""


@attrs.frozen(kw_only=True)
class Delivery:
    """What one call delivered."""

    sent: int = 0
    failed: int = 0
    """Will be tried again."""
    dead: int = 0
    """Given up; see `resend`."""
    expired: int = 0
    """Of no use any more, so not sent."""
    cancelled: int = 0
    """Not wanted by the recipient on this channel."""


@attrs.define(eq=False)
class Hold:
    """What a call of `deliver_due` holds, for whoever must let go of it: see `let_go`."""

    batch: _Batch | None = None
    """What is leased at this moment."""
    sending: Notice | None = None
    """What the channel was given and has not answered."""
    lost: bool = False
    """Whether another let go of it, so that the call is to take no more."""
    lock: threading.Lock = attrs.field(factory=threading.Lock, repr=False)
    """Held while any of it changes."""


@attrs.define
class _Call:
    """What one call knows while it delivers."""

    crm: Crm
    limit: int
    stopping: Stopping
    ends: float
    """When no more are taken, by the process's own steady clock; so are all moments here."""
    hold: Hold
    counts: Counter[NoticeStatus] = attrs.field(factory=Counter)
    left_alone: set[str] = attrs.field(factory=set)
    """Channels that were found not to work."""

    def over(self) -> bool:
        """Whether no more are to be taken."""
        return self.hold.lost or self.stopping() or time.monotonic() >= self.ends

    def delivery(self) -> Delivery:
        """Tell what was delivered."""
        return Delivery(**{status.value: n for status, n in self.counts.items()})


@attrs.define
class _Batch:
    """Notices of one channel that are leased to this call."""

    channel: str
    notices: Sequence[Notice]
    people: Mapping[int | None, Employee]
    preferences: Mapping[int, NoticePreference]
    languages: Mapping[int, Language]
    """In which each is told."""
    until: float
    """When the leases are no longer relied on."""
    ends: float
    """When they end."""
    whole: bool
    """Whether there was no more to take."""
    tries: Mapping[int | None, int] = attrs.field(init=False)
    left: deque[Notice] = attrs.field(init=False)
    """Those that were not tried."""
    done: list[Notice] = attrs.field(factory=list)
    """Those of which it is not written yet what became of them."""

    def __attrs_post_init__(self) -> None:
        self.tries = {n.id: n.attempts for n in self.notices}
        self.left = deque(self.notices)


def due_channels(crm: Crm, *, by: Principal) -> tuple[str, ...]:
    """Tell the channels on which something is due that nobody is at, changing nothing.

    Those that this process leaves alone for a while are not among them. One that is there no more
    is, for somebody has to give up what was written for it.

    Raises:
        NotPermitted: Without ``notice:deliver``.
    """
    by.need("notice:deliver")
    with crm.unit_of_work(read_only=True) as uow:
        found = uow.notices.due_channels(crm.now(), crm.settings.lease_seconds)
    return tuple(c for c in found if not _rests(crm, c))


def deliver_due(
    crm: Crm, *, limit: int = 500, seconds: float | None = None, channel: str | None = None,
    stopping: Stopping = never, hold: Hold | None = None, by: Principal,
) -> Delivery:  # fmt: skip
    """Send the notices whose time has come, until none is left.

    Attempts are counted before the call, under a lease: a worker that dies costs an attempt and the
    rest of the lease, not the message. Outcomes are written about once a second, so it may also
    cost a message that is sent twice. A notice of which they die again and again is tried apart
    from others, and given up after twice the attempts, and four more at least. Channels take turns,
    a batch each. One that fails ten times in a row, or for half a minute, is left alone by this
    process for a while. How long a channel may take for a message is for the caller to limit; where
    its call does not return at all, another thread can let go of what is held. What has expired, or
    what the recipient does not want on a channel, is not sent; in quiet hours it waits for their
    end.

    Args:
        crm: The CRM.
        limit: Notices taken at a time.
        seconds: After which no more are taken; None is never.
        channel: The only channel to see to; None is all, one after the other.
        stopping: Whether to end; asked before each is sent. What was not tried is given back then.
        hold: Tells what this call holds; for `let_go`.
        by: Who asks; needs ``notice:deliver``.

    Returns:
        How many were sent, failed, are dead, expired or cancelled.

    Raises:
        Invalid: The limit is not 1 to 10,000, or the channel is no name.
        NotPermitted: Without the permission.
    """
    by.need("notice:deliver")
    _refuse_bounds(limit, channel)
    ends = math.inf if seconds is None else time.monotonic() + seconds
    call = _Call(crm, limit, stopping, ends, hold or Hold())
    turns = due_channels(crm, by=by) if channel is None else (channel,)
    while turns:
        turns = tuple(name for name in turns if not call.over() and _round(call, name))
    return call.delivery()


def _refuse_bounds(limit: object, channel: object) -> None:
    problems = bad_channel(channel)
    if type(limit) is not int or not 1 <= limit <= 10_000:
        problems.append(FieldError("limit", "out_of_range", limit, "每批须为 1 到 10000 条",
                                   "1 to 10000 notices are taken at a time"))  # fmt: skip
    if problems:
        raise Invalid(problems)


def _round(call: _Call, channel: str) -> bool:
    """Deliver a batch of one channel, and tell whether to go on with it."""
    if _rests(call.crm, channel):
        return False
    batch = _taken(call, channel)
    with call.hold.lock:
        call.hold.batch = batch
    left = _deliver(call, batch)
    # A lease too short for even one would go on for ever.
    moved = left < len(batch.notices)
    return moved and channel not in call.left_alone and (left > 0 or not batch.whole)


def _taken(call: _Call, channel: str) -> _Batch:
    """Lease what is due on a channel; of those of which one may kill us, only the most suspect."""
    crm = call.crm
    # Before the database begins to count, so that we give up first.
    begun, lasts = time.monotonic(), crm.settings.lease_seconds
    with crm.unit_of_work() as uow:
        leased = uow.notices.lease(crm.now(), lasts, call.limit, channel)
        numbers = list({n.recipient_id for n in leased})
        people = {e.id: e for e in uow.records.among(Employee, numbers)}
        preferences = uow.notices.preferences(numbers)
        spoken = languages(crm, uow, numbers)
    apart = _apart(crm, leased, begun + lasts)
    whole = len(leased) < call.limit and len(apart) == len(leased)
    return _Batch(
        channel, apart, people, preferences, spoken, until=begun + lasts * SHARE,
        ends=begun + lasts, whole=whole,
    )  # fmt: skip


def _apart(crm: Crm, batch: Sequence[Notice], until: float) -> Sequence[Notice]:
    """Leave the suspects of a batch, of which one may have killed the workers before.

    Whoever dies of it then costs the others no attempt, so that they are not given up with it.
    They are given back, to be taken again at once.
    """
    suspect = suspects(batch, crm.settings.max_attempts)
    if not suspect or len(suspect) == len(batch):
        return batch
    now, chosen = crm.now(), {n.id for n in suspect}
    others = [given_back(n, next_attempt_at=now) for n in batch if n.id not in chosen]
    patiently(crm, others, until)
    return suspect


def _deliver(call: _Call, batch: _Batch) -> int:
    """Deal with leased notices one by one, writing what became of them about once a second.

    Whoever is stopped in between, by the end of its process or by what a channel raises and nobody
    may catch, still writes what became of those before, and gives back those behind.

    Returns:
        How many were left, because the call, the lease or the channel came to an end.
    """
    written = time.monotonic()
    try:
        while (notice := _next(call, batch)) is not None:
            _try(call, batch, notice)
            if time.monotonic() - written >= 1 or len(batch.done) >= MOST_UNWRITTEN:
                _write_done(call, batch)
                written = time.monotonic()
    finally:
        left = _all_that_is_left(call, batch)
        _write_done(call, batch, [_untried(call, batch, n) for n in left])
    return len(left)


def _next(call: _Call, batch: _Batch) -> Notice | None:
    """Take the next notice of a batch; None when the call, the lease or the channel is at its end.

    Whatever happens from here on, it may have been sent.
    """
    with call.hold.lock:
        over = call.hold.lost or call.stopping() or batch.channel in call.left_alone
        if over or not batch.left or time.monotonic() >= batch.until:
            return None
        call.hold.sending = batch.left.popleft()
        return call.hold.sending


def _try(call: _Call, batch: _Batch, notice: Notice) -> None:
    """Deal with one notice, and note what became of it."""
    try:
        after = _outcome(call, batch, notice)
    except BaseException:
        with call.hold.lock:
            call.hold.sending = None
        raise
    with call.hold.lock:
        call.hold.sending = None
        batch.done.append(after)


def _all_that_is_left(call: _Call, batch: _Batch) -> Sequence[Notice]:
    """Take what was not tried; nothing where another let go of it."""
    with call.hold.lock:
        left, batch.left = batch.left, deque()
    return tuple(left)


def let_go(crm: Crm, hold: Hold, error: DeliveryFailed, *, by: Principal) -> bool:
    """Give up a notice whose channel does not answer, from another thread than the one that waits.

    It has failed; what became of those before it is written, and those behind it are given back
    without an attempt. The channel rests. Whoever waits writes, should it come back, how that one
    went, and takes no more.

    Args:
        crm: The CRM.
        hold: What the waiting call holds.
        error: Why it is given up.
        by: Who asks; needs ``notice:deliver``.

    Returns:
        Whether there was one that waited.

    Raises:
        NotPermitted: Without the permission.
    """
    by.need("notice:deliver")
    with hold.lock:
        batch, notice = hold.batch, hold.sending
        if batch is None or notice is None or hold.lost:
            return False
        hold.lost = True
        left, batch.left = batch.left, deque()
        done, batch.done = batch.done, []
    wait = first_wait(crm)
    crm.pauses.pause(batch.channel, crm.now() + wait)
    behind = [given_back(n, next_attempt_at=crm.now() + wait) for n in left]
    settled(crm, [*done, failure(crm, notice, error), *behind], batch.ends)
    return True


def _untried(call: _Call, batch: _Batch, notice: Notice) -> Notice:
    """Tell what becomes of a notice that was leased and not tried."""
    wait = first_wait(call.crm) if batch.channel in call.left_alone else timedelta()
    after = _ruled_out(call, batch, notice)
    return after or given_back(notice, next_attempt_at=call.crm.now() + wait)


def _write_done(call: _Call, batch: _Batch, more: Sequence[Notice] = ()) -> None:
    """Write what became of leased notices, and count it; another's are left out."""
    with call.hold.lock:
        done = [*batch.done, *more]
    if not done:
        return
    ours = settled(call.crm, done, batch.ends)
    # Not before: whoever is stopped in between writes them once more.
    batch.done = []
    for n in done:
        # What was put off may have failed before, but not now.
        told = n.status not in WAITING or n.attempts == batch.tries[n.id]
        if told and n.id in ours:
            call.counts[n.status] += 1


def _outcome(call: _Call, batch: _Batch, notice: Notice) -> Notice:
    """Tell what becomes of one leased notice: it is ruled out, or tried."""
    decided = _ruled_out(call, batch, notice)
    if decided is not None:
        return decided
    crm, begun = call.crm, time.monotonic()
    to = notice.recipient_id
    after, broken = attempt(crm, notice, batch.people.get(to), batch.languages[to])
    if broken:
        _note_failure(call, batch.channel, time.monotonic() - begun)
    elif broken is not None:
        crm.pauses.worked(batch.channel)
    return after


def _ruled_out(call: _Call, batch: _Batch, notice: Notice) -> Notice | None:
    crm = call.crm
    wish = batch.preferences.get(notice.recipient_id)
    return ruled_out(notice, wish, crm.now(), crm.settings.zone, most=crm.settings.max_attempts)


def _note_failure(call: _Call, channel: str, seconds: float) -> None:
    """Leave a channel alone that has failed too often or for too long."""
    crm = call.crm
    times, lost = crm.pauses.failed(channel, seconds)
    # Within a short lease half a minute would be many messages that nobody answers.
    if times >= ENOUGH or lost >= min(ENOUGH_SECONDS, crm.settings.lease_seconds * SHARE):
        crm.pauses.pause(channel, crm.now() + first_wait(crm))
        call.left_alone.add(channel)


def _rests(crm: Crm, channel: str) -> bool:
    return crm.pauses.rests(channel, crm.now(), first_wait(crm))

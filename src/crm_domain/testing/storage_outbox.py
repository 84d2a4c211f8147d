"""The part of the contract of a storage that is about the outbox."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from crm_domain.model import Event, Notice, NoticePreference, NoticeStatus, Scope, User
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, Query, Reach, UnitOfWork
from crm_domain.testing.making import NOW, a_notice, employee, read, together


def _sent(one: Notice) -> Notice:
    return changed(one, status=NoticeStatus.SENT, sent_at=NOW)


def _resent(uow: UnitOfWork, one: Notice) -> int:
    statuses = (NoticeStatus.DEAD, NoticeStatus.FAILED)
    return uow.notices.resend(NOW, 60, ids=[one.id or 0], statuses=statuses)


class OutboxPart:
    """A part of ``StorageContract``."""

    def test_a_key_is_written_once(self, crm: Crm) -> None:
        """By whichever way, and however often."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(number, "k"), a_notice(number, "k")])
        with crm.unit_of_work() as uow:
            assert uow.notices.add_new([a_notice(number, "k"), a_notice(number, "l")]) == 1
        assert len(read(crm, lambda uow: uow.notices.page(Query()))) == 2

    def test_a_notice_is_leased_to_one(self, crm: Crm) -> None:
        """Of many who ask at once, each gets others; the attempt is counted."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(number, f"k{i}") for i in range(12)])

        def lease(_: int) -> list[int]:
            with crm.unit_of_work() as uow:
                found = uow.notices.lease(NOW, 60, 4, "console")
                assert all((n.attempts, n.fence) == (1, 1) for n in found)
                assert all(n.leased_until is not None for n in found)
                return [n.id or 0 for n in found]

        leased = [n for part in together(4, lease) for n in part]
        assert len(leased) == len(set(leased))
        with crm.unit_of_work() as uow:
            rest = [n.id for n in uow.notices.lease(NOW, 60, 100, "console")]
        assert len({*leased, *rest}) == 12 == len(leased) + len(rest)

    def test_each_channel_is_leased_by_itself(self, crm: Crm) -> None:
        """What waits on others is not looked at; a channel is due when somebody could lease it."""
        number = employee(crm)
        later = changed(a_notice(number, "d"), next_attempt_at=NOW + timedelta(hours=1))
        with crm.unit_of_work() as uow:
            uow.notices.add(
                [changed(a_notice(number, c), channel=c) for c in ("b", "a", "c")]
                + [changed(later, channel="d")]
            )

        def due(at: Any = NOW) -> tuple[str, ...]:
            return read(crm, lambda uow: uow.notices.due_channels(at, 60))

        assert due() == ("a", "b", "c")
        with crm.unit_of_work() as uow:
            [held] = uow.notices.lease(NOW, 60, 9, "b")
            assert uow.notices.lease(NOW, 60, 9, "d") == uow.notices.lease(NOW, 60, 9, "e") == ()
        assert (held.channel, held.idempotency_key) == ("b", "b")
        assert due() == ("a", "c")
        assert due(NOW + timedelta(hours=1)) == ("a", "c", "d")
        with crm.unit_of_work() as uow:
            uow.notices.settle([_sent(held)])
        assert due() == ("a", "c")

    def test_a_lease_ends_by_the_database_s_own_clock(self, crm: Crm) -> None:
        """Whatever the clock of the program says, of which the lease knows nothing."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(number)])
        with crm.unit_of_work() as uow:
            assert len(uow.notices.lease(NOW, 0.4, 100, "console")) == 1
        with crm.unit_of_work() as uow:
            assert uow.notices.lease(NOW + timedelta(days=1), 0.4, 100, "console") == ()
        time.sleep(0.5)
        with crm.unit_of_work() as uow:
            [again] = uow.notices.lease(NOW, 60, 100, "console")
        assert (again.attempts, again.fence) == (2, 2)

    def test_a_lease_of_a_clock_set_back_since_counts_for_nothing(self, crm: Crm) -> None:
        """It would keep the notice for years; one that is a little long is believed."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(number)])
        with crm.unit_of_work() as uow:
            assert len(uow.notices.lease(NOW, 700, 1, "console")) == 1
        with crm.unit_of_work() as uow:
            assert uow.notices.lease(NOW, 200, 1, "console") == ()
            assert len(uow.notices.lease(NOW, 60, 1, "console")) == 1

    def test_only_the_present_lease_settles(self, crm: Crm) -> None:
        """Who was taken over, comes too late with whatever did not come to be."""
        number = employee(crm)
        late, present = self._taken_over(crm, number)
        with crm.unit_of_work() as uow:
            assert not uow.notices.settle([changed(late, status=NoticeStatus.DEAD, error="x")])
            assert not uow.notices.settle([changed(late, attempts=0, next_attempt_at=NOW)])
            assert uow.notices.settle([_sent(present)]) == {present.id}
            assert not uow.notices.settle([changed(present, status=NoticeStatus.DEAD, error="x")])
            assert not _resent(uow, present)

    def test_a_resent_notice_is_another_s(self, crm: Crm) -> None:
        """Resending begins to count anew, and yet who held it before does not settle it."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(number)])
        with crm.unit_of_work() as uow:
            [first] = uow.notices.lease(NOW, 60, 1, "console")
            assert not _resent(uow, first)
            uow.notices.settle([changed(first, status=NoticeStatus.FAILED, next_attempt_at=NOW)])
        with crm.unit_of_work() as uow:
            assert _resent(uow, first)
        with crm.unit_of_work() as uow:
            [second] = uow.notices.lease(NOW, 60, 1, "console")
        assert (second.attempts, first.attempts) == (1, 1)
        with crm.unit_of_work() as uow:
            late = changed(first, status=NoticeStatus.DEAD, error="x")
            assert not uow.notices.settle([late])
            assert uow.notices.settle([_sent(second)]) == {second.id}

    def test_what_was_sent_is_believed_of_who_was_too_slow(self, crm: Crm) -> None:
        """So that nobody sends it a third time; once, and whoever is at it now has no say."""
        number = employee(crm)
        late, present = self._taken_over(crm, number)
        with crm.unit_of_work() as uow:
            assert uow.notices.settle([_sent(late)]) == {late.id}
        with crm.unit_of_work() as uow:
            assert not uow.notices.settle([_sent(present)])
            assert not uow.notices.settle([changed(present, attempts=0, next_attempt_at=NOW)])
            assert not uow.notices.settle([_sent(late)])
        [kept] = read(crm, lambda uow: uow.notices.page(Query())).items
        assert (kept.status, kept.leased_until) == (NoticeStatus.SENT, None)

    def test_an_endless_lease_keeps_nothing_from_being_resent(self, crm: Crm) -> None:
        """A clock that was set back since gave it; one that is a little long is believed."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(number)])
        with crm.unit_of_work() as uow:
            [held] = uow.notices.lease(NOW, 60, 1, "console")
            uow.notices.settle([changed(held, status=NoticeStatus.FAILED, next_attempt_at=NOW)])
        with crm.unit_of_work() as uow:
            assert uow.notices.lease(NOW, 700, 1, "console")
            failed = (NoticeStatus.FAILED,)
            assert uow.notices.resend(NOW, 200, statuses=failed) == 0
            assert uow.notices.resend(NOW, 60, statuses=failed) == 1

    def test_what_was_not_tried_is_given_back(self, crm: Crm) -> None:
        """Due at the moment given, and without the attempt that the lease counted."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(number, f"k{i}") for i in range(3)])
        with crm.unit_of_work() as uow:
            sent, *rest = uow.notices.lease(NOW, 60, 3, "console")
            uow.notices.settle([changed(n, attempts=0, next_attempt_at=NOW) for n in rest])
        with crm.unit_of_work() as uow:
            again = uow.notices.lease(NOW, 60, 3, "console")
        assert {(n.id, n.attempts, n.fence) for n in again} == {(n.id, 1, 2) for n in rest}
        with crm.unit_of_work() as uow:
            assert uow.notices.settle([_sent(sent)]) == {sent.id}

    def test_a_cancelled_notice_is_not_settled(self, crm: Crm) -> None:
        """Its lease ends with it, and whoever held it writes nothing over that."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(number)])
        with crm.unit_of_work() as uow:
            [held] = uow.notices.lease(NOW, 60, 1, "console")
            assert uow.notices.cancel("customer:1") == 1
            assert not uow.notices.settle([_sent(held)])
        [kept] = read(crm, lambda uow: uow.notices.page(Query())).items
        assert (kept.status, kept.leased_until) == (NoticeStatus.CANCELLED, None)
        assert kept.fence == held.fence + 1

    def test_many_are_resent_by_what_they_are(self, crm: Crm) -> None:
        """By status, channel, event and number; not what was sent or has expired."""
        number = employee(crm)
        over = a_notice(number, "k9")
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(number, f"k{i}") for i in range(3)])
            uow.notices.add([changed(over, expires_at=NOW + timedelta(hours=1))])
        with crm.unit_of_work() as uow:
            sent, *others = uow.notices.lease(NOW, 60, 9, "console")
            uow.notices.settle(
                [_sent(sent)]
                + [changed(n, status=NoticeStatus.DEAD, error="x") for n in others[1:]]
                + [changed(others[0], status=NoticeStatus.FAILED, error="x")]
            )
        every = (NoticeStatus.DEAD, NoticeStatus.FAILED, NoticeStatus.SENT)

        def resent(**only: Any) -> int:
            with crm.unit_of_work() as uow:
                return uow.notices.resend(NOW, 60, **{"statuses": every} | only)

        assert resent(channel="pigeon") == resent(event=Event.NOBODY) == resent(ids=[]) == 0
        assert resent(statuses=[NoticeStatus.FAILED], event=Event.ASSIGNED, channel="console") == 1
        with crm.unit_of_work() as uow:
            assert uow.notices.resend(NOW + timedelta(hours=1), 60, statuses=every) == 1
        assert resent() == 1
        kept = read(crm, lambda uow: uow.notices.page(Query())).items
        assert sorted(n.status.value for n in kept) == ["pending"] * 3 + ["sent"]
        assert {n.error for n in kept} == {None}

    def test_the_backlog_is_counted(self, crm: Crm) -> None:
        """What waits by its status, what is dead, and since when the oldest has been due."""
        number = employee(crm)
        assert read(crm, lambda uow: uow.notices.backlog(NOW)).due_since is None
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(number, f"k{i}") for i in range(4)])
        with crm.unit_of_work() as uow:
            sent, dead, failed = uow.notices.lease(NOW, 60, 3, "console")
            hour = NOW + timedelta(hours=1)
            uow.notices.settle([
                _sent(sent), changed(dead, status=NoticeStatus.DEAD, error="x"),
                changed(failed, status=NoticeStatus.FAILED, next_attempt_at=hour),
            ])  # fmt: skip
        found = read(crm, lambda uow: uow.notices.backlog(NOW))
        assert {s.value: n for s, n in found.waiting.items()} == {
            "pending": 1, "failed": 1, "dead": 1,
        }  # fmt: skip
        assert found.due_since == NOW
        assert read(crm, lambda uow: uow.notices.backlog(NOW - timedelta(1))).due_since is None
        with crm.unit_of_work() as uow:
            uow.notices.lease(NOW, 60, 9, "console")
        assert read(crm, lambda uow: uow.notices.backlog(hour)).due_since == hour

    def test_a_reach_limits_what_is_resent_and_counted(self, crm: Crm) -> None:
        """To what goes to people within it."""
        me, other = employee(crm), employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(me, "a"), a_notice(other, "b"), a_notice(other, "c")])
        reach = Reach(scope=Scope.OWN, employee_id=me)
        nobody = Reach(scope=Scope.OWN)
        for asked, some in ((reach, 1), (nobody, 0), (Reach(scope=Scope.ALL), 3), (None, 3)):
            with crm.unit_of_work(read_only=True) as uow:
                found = uow.notices.backlog(NOW, asked)
            assert found.waiting[NoticeStatus.PENDING] == some
            assert found.due_since == (NOW if some else None)
        with crm.unit_of_work() as uow:
            held = uow.notices.lease(NOW, 60, 9, "console")
            uow.notices.settle([changed(n, status=NoticeStatus.DEAD, error="x") for n in held])
        statuses = (NoticeStatus.DEAD,)
        every = [n.id or 0 for n in held]
        with crm.unit_of_work() as uow:
            assert uow.notices.backlog(NOW, reach).waiting[NoticeStatus.DEAD] == 1
            assert uow.notices.resend(NOW, 60, statuses=statuses, reach=nobody) == 0
            assert uow.notices.resend(NOW, 60, ids=every, statuses=statuses, reach=reach) == 1
            assert uow.notices.resend(NOW, 60, statuses=statuses) == 2

    def test_wishes_are_read_of_those_who_have_some(self, crm: Crm) -> None:
        """By employee; of whoever said nothing there is nothing."""
        me, other, third = (employee(crm) for _ in range(3))
        with crm.unit_of_work() as uow:
            kept = [
                uow.records.add(NoticePreference(employee_id=n, off={"assigned": ("console",)}))
                for n in (me, third)
            ]
        found = read(crm, lambda uow: uow.notices.preferences({me, other}))
        assert found == {me: kept[0]}
        assert read(crm, lambda uow: uow.notices.preferences(set())) == {}

    def test_words_are_kept_in_both_languages(self, crm: Crm) -> None:
        """By whichever way they are written and read; those of before have no English ones."""
        number = employee(crm)
        full = {"subject": "您" * 200, "body": "好" * 4000, "channel": "inapp"}
        both = full | {"subject_en": "s" * 200, "body_en": "b" * 4000}
        few = [changed(a_notice(number, "both"), **both), changed(a_notice(number, "old"), **full)]
        many = [changed(few[i % 2], idempotency_key=f"{i}") for i in range(200)]
        with crm.unit_of_work() as uow:
            uow.notices.add(few)
            uow.notices.add(many)
        wanted = {(m.subject, m.body, m.subject_en, m.body_en) for m in few}
        with crm.unit_of_work() as uow:
            query = Query(limit=1000)
            for found in (
                uow.notices.inbox(number, query, unread_only=True), uow.notices.page(query),
                uow.notices.lease(NOW, 60, 1000, "inapp"),
            ):  # fmt: skip
                words = [(m.subject, m.body, m.subject_en, m.body_en) for m in found]
                assert (len(words), {*words}) == (202, wanted)

    def test_languages_are_those_that_accounts_chose(self, crm: Crm) -> None:
        """Nothing is told of whoever chose none, has none, or was not asked for."""
        chosen: dict[str, str | None] = {"zh": "zh", "en": "en", "none": None, "odd": "fr"}
        people = {name: employee(crm) for name in (*chosen, "bare", "other")}
        with crm.unit_of_work() as uow:
            for name, language in (chosen | {"other": "en"}).items():
                uow.records.add(User(username=name, employee_id=people[name], language=language))
        asked = [n for name, n in people.items() if name != "other"]
        found = read(crm, lambda uow: uow.directory.languages(asked))
        assert found == {people["zh"]: "zh", people["en"]: "en"}
        assert read(crm, lambda uow: uow.directory.languages([])) == {}

    def test_an_inbox_holds_one_s_own_messages(self, crm: Crm) -> None:
        """Nobody reads or marks another's, and what went out by other channels is not in it."""
        one, other = employee(crm), employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add(
                [changed(a_notice(p, f"k{p}{i}"), channel="inapp")
                 for p in (one, other) for i in range(3)] + [a_notice(one, "c")]
            )  # fmt: skip
        with crm.unit_of_work() as uow:
            mine = uow.notices.inbox(one, Query(), unread_only=False).items
            assert uow.notices.unread(one) == 3 == len(mine)
            assert uow.notices.mark_read(other, [n.id or 0 for n in mine], NOW) == 0
            assert uow.notices.mark_read(one, [mine[0].id or 0], NOW) == 1
            assert uow.notices.mark_read(one, [mine[0].id or 0], NOW + timedelta(1)) == 0
            assert uow.notices.unread(one) == 2
            unread = uow.notices.inbox(one, Query(), unread_only=True).items
            assert [n.id for n in unread] == [n.id for n in mine[1:]]
            assert uow.notices.mark_read(one, None, NOW) == 2
            assert (uow.notices.unread(one), uow.notices.unread(other)) == (0, 3)
            assert {n.read_at for n in uow.notices.inbox(one, Query(), unread_only=False)} == {NOW}

    def _taken_over(self, crm: Crm, number: int) -> tuple[Notice, Notice]:
        """Lease a notice, let the lease end, and lease it again."""
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(number)])
        with crm.unit_of_work() as uow:
            [late] = uow.notices.lease(NOW, 0.05, 1, "console")
        time.sleep(0.1)
        with crm.unit_of_work() as uow:
            [present] = uow.notices.lease(NOW, 60, 1, "console")
        return late, present

    def test_what_was_dealt_with_long_ago_is_removed(self, crm: Crm) -> None:
        """And nothing that waits, is dead, is unread, is young, or had not expired by then."""
        number = employee(crm)
        status, later = NoticeStatus, NOW + timedelta(days=9)
        kinds: dict[str, dict[str, Any]] = {
            "gone: sent": {"status": status.SENT, "sent_at": NOW},
            "gone: unwanted": {"status": status.CANCELLED},
            "gone: expired": {"status": status.EXPIRED, "expires_at": NOW},
            "gone: read": {
                "status": status.SENT, "sent_at": NOW, "channel": "inapp", "read_at": NOW,
            },
            "unread": {"status": status.SENT, "sent_at": NOW, "channel": "inapp"},
            "unread and unwanted": {"status": status.CANCELLED, "channel": "inapp"},
            "dead": {"status": status.DEAD, "error": "x"},
            "waiting": {"next_attempt_at": NOW},
            "of use still": {"status": status.SENT, "sent_at": NOW, "expires_at": later},
            "young": {"status": status.SENT, "sent_at": NOW, "created_at": later},
        }  # fmt: skip
        with crm.unit_of_work() as uow:
            uow.notices.add([changed(a_notice(number, k), **v) for k, v in kinds.items()])
        place: int | None = 0
        removed, looks, now = 0, 0, NOW + timedelta(days=5)
        while place is not None:
            with crm.unit_of_work() as uow:
                some, place = uow.notices.remove_old(now, now, after=place, limit=4)
            removed, looks = removed + some, looks + 1
        left = {n.idempotency_key for n in read(crm, lambda uow: uow.notices.page(Query()))}
        assert left == {k for k in kinds if not k.startswith("gone")}
        assert (removed, looks) == (4, 4)

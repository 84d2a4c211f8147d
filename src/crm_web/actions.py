"""What is done to rows: one, those that are ticked, or all that match; and what takes it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from crm_domain.errors import CrmError, Invalid
from crm_domain.ports import Query
from crm_web.address import Address
from crm_web.answers import Answer, Page, Redirect, Undo
from crm_web.context import Context, local, number, numbers, said_of
from crm_web.resource import BY_SET, Action, Outcome, Resource
from crm_web.rows import called, part
from crm_web.widgets import inputs

SHOWN = 200
"""So many refusals are shown with their reasons; of more it is said how many there are."""
NAMED = 5
"""So many rows are named before something is done to them."""
AHEAD = 10_000
"""So far is counted how many rows are left."""
UNDONE_AT_ONCE = 100
"""So many rows fit into the word above the page, with the button that takes back what was done."""


@attrs.frozen(kw_only=True)
class Meant:
    """The rows that an action is done to now, and what is left for the next time."""

    ids: tuple[int, ...]
    rest: tuple[int, ...] = ()
    """Rows that are left, by number."""
    after: str | None = None
    """Where the rows go on that are left of all that match; None where none are."""
    left: int = 0
    """How many are left."""
    exact: bool = True
    """Whether there are no more of them than that."""
    count: int = attrs.field(default=attrs.Factory(lambda self: len(self.ids), takes_self=True))
    """How many it is done to; they need not be known by number as long as nothing is done."""


def act(resource: Resource, action: Action, c: Context) -> Answer:
    """Show the small form of an action, or do it to the rows that were meant."""
    given = c.form if c.request.method == "POST" else c.request.query_params
    state = str(given.get("state", ""))
    back = local(given.get("back"), str(Address.read(resource.path, state)))
    everything = given.get("all") == "1"
    ticked = numbers(str(v) for v in given.getlist("ids"))
    after = str(given.get("after", "")) or None
    if everything:
        counted = None
        if c.request.method != "POST" and after is None:
            counted = _counted(resource, action, c, state)
        meant = counted or _all_that_match(resource, action, c, state, after)
    else:
        meant = _ticked(action, ticked)
    typed: dict[str, str] | None = None
    told: dict[str, Any] = {"r": resource, "action": action, "meant": meant, "state": state,
                            "all": everything, "back": back}  # fmt: skip
    problems: Mapping[str, Sequence[str]] = {}
    if not action.bulk and (everything or len(ticked) > 1):
        problems = {"": [c.t("此操作一次只能对一条记录。", "This is done to one row at a time.")]}
    elif c.request.method == "POST" and meant.ids:
        typed = {spec.name: c.one(spec.name) for spec in action.fields}
        try:
            done = action.run(c, meant.ids, typed)
        except Invalid as e:
            problems = said_of(e.problems, c.language)
        else:
            return _done(c, done, typed, told)
    fields = {spec.name for spec in action.fields}
    # Whoever writes about one, or does what cannot be taken back, sees whom it is about.
    few = meant.ids if meant.count <= NAMED else ()
    names = called(resource, c, few)
    told["names"] = [names[n] for n in few if n in names]
    return Page(template="action.html", status=422 if problems else 200, data={
        **told, "inputs": inputs(c, action.fields, None, typed, problems),
        "errors": [m for name, said in problems.items() for m in said if name not in fields],
    })  # fmt: skip


def _done(c: Context, done: Outcome, typed: Mapping[str, str], told: Mapping[str, Any]) -> Answer:
    """Say what was done: above the list if that is all, else with what was refused or is left."""
    resource, action, meant = told["r"], told["action"], told["meant"]
    undo = done.done if action.undo is not None and c.by.may(action.undo.needs) else ()
    if not done.refused and not meant.left and len(undo) <= UNDONE_AT_ONCE:
        name = f"{resource.name}/actions/{action.undo.name}" if undo else ""
        return Redirect(to=done.to or told["back"], said=done.said,
                        undo=Undo(name, undo) if undo else None)  # fmt: skip
    shown = done.refused[:SHOWN]
    names = called(resource, c, numbers(which for which, _ in shown))
    refused = [(names.get(number(which) or 0, f"#{which}"), why) for which, why in shown]
    return Page(template="outcome.html", data={
        **told, "said": done.said, "refused": refused, "count": len(done.refused),
        "typed": typed, "undo": undo,
    })  # fmt: skip


def _ticked(action: Action, ids: Sequence[int]) -> Meant:
    rest = tuple(ids[action.most :])
    return Meant(ids=tuple(ids[: action.most]), rest=rest, left=len(rest))


def _counted(resource: Resource, action: Action, c: Context, state: str) -> Meant | None:
    """Only count the rows that match, for a form; None where they are too many to be counted."""
    if resource.tally is None:
        return None
    query = Address.read(resource.path, state).query(resource, c)
    tally = resource.tally(c.crm, attrs.evolve(query, sort=None), (), c.by)
    if not tally.exact:
        return None
    count = min(tally.total, action.most)
    return Meant(ids=(), count=count, left=tally.total - count)


def _all_that_match(
    resource: Resource, action: Action, c: Context, state: str, after: str | None
) -> Meant:
    """Find the rows that match under the rights of this moment, from where the last time ended.

    They are taken in the list's own order, which no action changes, so that none is taken twice
    whatever becomes of those that were taken. A list that has no such order gives all its numbers
    at once, and what is left goes on by number.
    """
    query = Address.read(resource.path, state).query(resource, c)
    query = attrs.evolve(query, sort=None, after=after)
    most = action.most if resource.steady else max(BY_SET, action.most)
    found, next_ = part(resource, c, query, most)
    ids = tuple(getattr(row, resource.key) for row in found)
    if not resource.steady:
        return attrs.evolve(_ticked(action, ids), exact=next_ is None)
    left, exact = (0, True) if next_ is None else _count(resource, c, query, next_)
    return Meant(ids=ids, after=next_, left=left, exact=exact)


def _count(resource: Resource, c: Context, query: Query, after: str) -> tuple[int, bool]:
    """Count the rows behind a mark, as far as `AHEAD`."""
    found, next_ = part(resource, c, attrs.evolve(query, after=after), AHEAD)
    return len(found), next_ is None


def one_by_one(
    c: Context, ids: Iterable[int], do: Callable[[int], object], said: tuple[str, str]
) -> Outcome:
    """Do something to each row by itself and gather what was refused.

    Args:
        c: The request.
        ids: The rows.
        do: Called with each number; a refusal of the domain is noted, nothing else.
        said: What was done, in both languages, with ``{n}`` for how many.
    """
    done: list[int] = []
    refused = []
    for one in ids:
        try:
            do(one)
            done.append(one)
        except CrmError as e:
            refused.append((str(one), e.message(c.language)))
    return Outcome(said=c.t(*said).format(n=len(done)), refused=tuple(refused), done=tuple(done))

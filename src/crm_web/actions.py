"""What is done to rows: one, those that are ticked, or all that match."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from crm_domain.errors import CrmError, Invalid
from crm_web.address import Address
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context, local, numbers, said_of
from crm_web.resource import Action, Outcome, Resource
from crm_web.rows import walk
from crm_web.widgets import inputs

BULK = 10_000
"""So many rows one action takes at the most."""


def act(resource: Resource, action: Action, c: Context) -> Answer:
    """Show the small form of an action, or do it to the rows that were meant."""
    given = c.form if c.request.method == "POST" else c.request.query_params
    state = str(given.get("state", ""))
    back = local(given.get("back"), str(Address.read(resource.path, state)))
    everything = given.get("all") == "1"
    ids = wanted(resource, c, state, [str(v) for v in given.getlist("ids")], everything)
    errors: Mapping[str, Sequence[str]] = {}
    typed: dict[str, str] | None = None
    status = 200
    if c.request.method == "POST" and ids:
        typed = {spec.name: c.one(spec.name) for spec in action.fields}
        try:
            done = action.run(c, ids, typed)
        except Invalid as e:
            status, errors = 422, said_of(e.problems, c.language)
        else:
            if not done.refused:
                return Redirect(to=done.to or back, said=done.said)
            return Page(template="outcome.html", data={"r": resource, "action": action,
                                                       "done": done, "back": back})  # fmt: skip
    return Page(template="action.html", status=status, data={
        "r": resource, "action": action, "ids": ids, "all": everything, "state": state,
        "back": back, "inputs": inputs(c, action.fields, None, typed, errors),
        "errors": [m for name, told in errors.items() for m in told
                   if name not in {s.name for s in action.fields}],
        "most": BULK,
    })  # fmt: skip


def wanted(
    resource: Resource, c: Context, state: str, ticked: Sequence[str], everything: bool
) -> list[int]:
    """Find the numbers of the rows that an action is meant for."""
    if not everything:
        return numbers(ticked)[:BULK]
    query = Address.read(resource.path, state).query(resource, c)
    found = []
    for row in walk(resource, c, query):
        found.append(getattr(row, resource.key))
        if len(found) == BULK:
            break
    return found


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
    done, refused = 0, []
    for number in ids:
        try:
            do(number)
            done += 1
        except CrmError as e:
            refused.append((str(number), e.message(c.language)))
    return Outcome(said=c.t(*said).format(n=done), refused=tuple(refused))

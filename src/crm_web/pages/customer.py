"""A customer's page: who it is, what happened, and what comes next."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import attrs

from crm_domain.errors import AskedTooOften, Invalid, NotFound
from crm_domain.model import Assignment, AuditEntry, Customer, FollowUp, Notice, specs
from crm_domain.ports import Query
from crm_domain.rules.pool import is_public, spoken_to, still_agreed
from crm_domain.usecases import follow_up, intake, timeline
from crm_domain.usecases.audit_log import Entry
from crm_web.answers import Answer, Page, Redirect
from crm_web.cells import why
from crm_web.changes import LogLine, lines_of, said_changes
from crm_web.context import Context, said_of
from crm_web.look import Look
from crm_web.resource import Action, column
from crm_web.resources.customers import (
    ASSIGN,
    CLAIM,
    FOLLOW_UP,
    LOCK,
    RELEASE,
    TRANSFER,
    UNLOCK,
    editable,
    refused_claims,
)
from crm_web.resources.office import ACTIONS
from crm_web.rows import titles_of
from crm_web.screen import screen
from crm_web.widgets import inputs

TOLD = ("gender", "source", "courses", "school_id", "consulted_on", "education",
        "graduation_school", "major", "experience", "work_status", "company", "salary",
        "memo", "created_at")  # fmt: skip
STREAM = 30
UNTOLD = frozenset({"assignment_id", "due_status", "due_days", "warn_on", "created_by_id",
                    "created_at", "import_row", "last_contacted_at"})  # fmt: skip
"""Fields that follow from what the timeline tells anyhow."""


@screen("/customers/{id:int}", needs="customer:view")
def show(c: Context, id: int) -> Answer:
    """Show a customer with its timeline."""
    return _page(c, intake.get_customer(c.crm, id, by=c.by))


def _page(
    c: Context, customer: Customer, typed: dict[str, Any] | None = None,
    errors: dict[str, list[str]] | None = None,
) -> Answer:  # fmt: skip
    public = is_public(customer, c.crm.today())
    after = c.request.query_params.get("after")
    try:
        stream = timeline.timeline(
            c.crm, customer.id or 0, Query(limit=STREAM, after=after), by=c.by
        )
    except NotFound:
        # Of a public customer people see who it is, not what was said before.
        stream = None
    look, refused = Look(c), _refused(c, customer, public)
    lines = _changes(c, stream.items if stream is not None else ())
    columns = [column(Customer, n) for n in (*TOLD, "owner_id", "last_consultant_id")]
    mine = customer.owner_id is not None and customer.owner_id == c.by.employee_id
    return Page(template="customer.html", status=422 if errors else 200, data={
        "x": customer, "public": public, "mine": mine, "stream": stream,
        "events": folded(stream.items if stream is not None else ()),
        "told": [one for one in columns if one.name in TOLD], "all": columns,
        "titles": titles_of(c, columns, [customer]),
        "actions": _actions(c, customer, public, refused),
        "refused": [why(*told) for told in refused.values()],
        "inputs": inputs(c, [specs(FollowUp)[n] for n in FOLLOW_UP], _begun(c, customer), typed,
                         errors or {}),
        "spoken": spoken_to(customer),
        "may_log": mine and not public and c.by.may("customer:follow_up"),
        "state_of": lambda a: a.status.label(c.language, a.limit_days),
        "field": lambda name: _field(c, name),
        "done": lambda entry: c.t(*ACTIONS.get(entry.action, (entry.action,) * 2)),
        "changes": lambda entry: said_changes(look, lines[entry.id]),
        "editable": c.by.may("customer:edit") and editable(customer, c),
    })  # fmt: skip


def folded(
    events: Sequence[timeline.TimelineEvent],
) -> list[tuple[timeline.TimelineEvent, list[Notice]]]:
    """Give events with the notices that they stand for: one that went out by several channels is
    shown once, with how it went on each."""
    found: list[tuple[timeline.TimelineEvent, list[Notice]]] = []
    for one in events:
        told = one.record if isinstance(one.record, Notice) else None
        if told is not None and found and found[-1][1] and _alike(found[-1][1][0], told):
            found[-1][1].append(told)
        else:
            found.append((one, [] if told is None else [told]))
    return found


def _alike(a: Notice, b: Notice) -> bool:
    return (a.created_at, a.recipient_id, a.event, a.about, a.subject) == (
        b.created_at, b.recipient_id, b.event, b.about, b.subject,
    )  # fmt: skip


def _begun(c: Context, customer: Customer) -> Any:
    """Give what a follow-up begins with: an appointment that it would leave stands there."""
    return SimpleNamespace(
        channel=specs(FollowUp)["channel"].default,
        next_contact_at=still_agreed(customer, c.crm.now(), c.crm.settings.zone),
    )


def _changes(c: Context, events: Iterable[timeline.TimelineEvent]) -> dict[int, LogLine]:
    """Read what was changed as the audit log shows it: names, words and moments of people."""
    entries = [e.record for e in events if isinstance(e.record, AuditEntry)]
    found = lines_of(c.crm, [Entry(entry=one, by_name=None) for one in entries], c.by)
    return {
        one.id: attrs.evolve(
            one, changes={n: both for n, both in one.changes.items() if n not in UNTOLD}
        )
        for one in found
    }


def _field(c: Context, name: str) -> str:
    spec = specs(Customer).get(name) or specs(Assignment).get(name)
    return spec.label(c.language) if spec else name


def _refused(c: Context, customer: Customer, public: bool) -> dict[str, tuple[str, str]]:
    """Tell which actions would be refused, and why, before anybody presses them."""
    if not (public and c.by.may(CLAIM.needs)):
        return {}
    told = refused_claims(c, [customer.id or 0]).get(customer.id or 0)
    return {} if told is None else {CLAIM.name: told}


def _actions(
    c: Context, customer: Customer, public: bool, refused: Container[str]
) -> list[tuple[str, Action]]:  # fmt: skip
    """Give what somebody may do with the customer now, with the list that does it."""
    offered: list[tuple[str, Action]] = []
    if public:
        offered = [("/pool", CLAIM), ("/pool", ASSIGN)]
    elif customer.owner_id is not None:
        offered = [("/customers", TRANSFER), ("/customers", RELEASE)]
    offered += [("/customers", LOCK), ("/customers", UNLOCK)]
    may = [(path, a) for path, a in offered if c.by.may(a.needs) and a.fits(customer, c)]
    return [(path, a) for path, a in may if a.name not in refused]


@screen("/customers/{id:int}/follow-up", needs="customer:follow_up", methods=("POST",))
def log(c: Context, id: int) -> Answer:
    """Log a follow-up; what is wrong stands beside its field."""
    typed = {name: c.one(name) for name in FOLLOW_UP}
    try:
        # What was emptied of an appointment is meant to be empty.
        given = {n: v for n, v in typed.items() if v or n == "next_contact_at"}
        follow_up.log_follow_up(c.crm, id, given, by=c.by)
    except Invalid as e:
        customer = intake.get_customer(c.crm, id, by=c.by)
        return _page(
            c, customer, typed, {k: list(v) for k, v in said_of(e.problems, c.language).items()}
        )
    return Redirect(to=f"/customers/{id}", said=c.t("跟进已记录。", "The follow-up is logged."))


@screen("/customers/similar", needs="customer:add")
def similar(c: Context) -> Answer:
    """Say, while somebody types, whether a contact is known: status and owner's name only."""
    asked = c.request.query_params
    values = {n: asked[n] for n in ("phone", "qq", "wechat") if asked.get(n, "").strip()}
    found: tuple[intake.Similar, ...] = ()
    problem = ""
    try:
        found = intake.find_duplicates(c.crm, values, by=c.by) if values else ()
    except AskedTooOften as e:
        # Nothing found would read as "nobody has it".
        problem = e.message(c.language)
    return Page(
        template="similar.html", part=True,
        data={"found": found, "problem": problem, "field": lambda n: _field(c, n)},
    )  # fmt: skip


SCREENS = (show, log, similar)

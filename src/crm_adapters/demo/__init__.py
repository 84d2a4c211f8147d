"""A school that lives through two weeks: made, played and told by the public use cases alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from crm_adapters.bootstrap import open_crm
from crm_adapters.demo.life import CONSULTANTS, DAYS, Happening, Story
from crm_adapters.demo.sheet import messy_sheet
from crm_domain import SYSTEM, Crm, Principal, Query, Settings
from crm_domain.model import Assignment, AssignmentStatus, Customer
from crm_domain.usecases import assignment, follow_up, imports, intake
from crm_domain.usecases.assignment import Rotation
from crm_domain.usecases.follow_up import Contact
from crm_domain.usecases.imports import ImportReport
from crm_domain.usecases.pool import Sweep

DATABASE, SHEET, REJECTED = "demo.db", "来访登记.xlsx", "未导入.xlsx"
Progress = Callable[[int, int], None]


@attrs.frozen(kw_only=True)
class Example:
    """A customer with all that happened to it."""

    zh: str
    en: str
    customer: Customer
    history: Sequence[Assignment]
    contacts: Sequence[Contact]


@attrs.frozen(kw_only=True)
class Played:
    """What a demo left behind, to be told."""

    database: Path
    sheet: Path
    rejected: Path
    zone: str
    report: ImportReport
    happenings: Sequence[Happening]
    last_sweep: Sweep
    released: int
    warned: int
    delivered: int
    messages: Sequence[str]
    """The last lines that the console channel wrote."""
    consultants: Sequence[Mapping[str, Any]]
    """By consultant: name, quota, weight, dealt, owned, lost, claimed."""
    rotation: Rotation
    names: Mapping[int, str]
    examples: Sequence[Example]
    in_pool: int


def run_demo(
    folder: Path, *, now: datetime | None = None, progress: Progress | None = None
) -> Played:
    """Make a school in a fresh database and live through two weeks that end now.

    Args:
        folder: Gets the database and the sheets; those of an earlier demo are replaced.
        now: The moment at which the story ends; None is the present.
        progress: Told after each day.
    """
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / DATABASE
    for suffix in ("", "-wal", "-shm"):
        database.with_name(DATABASE + suffix).unlink(missing_ok=True)
    now = now or datetime.now(UTC)
    story = Story(now)
    with open_crm(f"sqlite:///{database}", clock=lambda: story.moment, migrate=True,
                  settings=Settings(plugins="")) as crm:  # fmt: skip
        story.begin(crm)
        sheet = folder / SHEET
        sheet.write_bytes(messy_sheet(crm.writer, story.random, story.first))
        story.receive(sheet)
        for day in range(DAYS):
            story.live(day)
            if progress is not None:
                progress(day + 1, DAYS)
        last = story.end(now)
        (folder / REJECTED).write_bytes(imports.rejected_rows(crm, story.report.id, by=SYSTEM))
        customers = intake.list_customers(crm, Query(limit=10_000), by=SYSTEM).items
        lives = [(c, assignment.history(crm, c.id or 0, by=SYSTEM)) for c in reversed(customers)]
        return Played(
            database=database, sheet=sheet, rejected=folder / REJECTED,
            zone=crm.settings.time_zone, report=story.report, happenings=tuple(story.told),
            last_sweep=last, released=story.released, warned=story.warned,
            delivered=story.delivered, messages=tuple(story.messages[-6:]),
            consultants=_standings(story.people, lives),
            rotation=assignment.show_rotation(crm, 12, by=SYSTEM), names=story.names,
            examples=_examples(crm, lives),
            in_pool=sum(c.due_on <= crm.today() for c in customers),
        )  # fmt: skip


Life = tuple[Customer, Sequence[Assignment]]


def _standings(people: Mapping[str, Principal], lives: Sequence[Life]) -> list[dict[str, Any]]:
    dealt: Counter[int] = Counter()
    lost, claimed, owned = Counter[int](), Counter[int](), Counter[int]()
    for customer, history in lives:
        owned[customer.owner_id or 0] += 1
        for a in history:
            dealt[a.consultant_id] += a.cycle is not None
            lost[a.consultant_id] += a.status in (3, 4)
            claimed[a.consultant_id] += a.method == "claim"
    found = []
    for name, quota, weight, *_ in CONSULTANTS:
        n = people[name].employee_id or 0
        found.append({"name": name, "quota": quota, "weight": weight, "dealt": dealt[n],
                      "claimed": claimed[n], "lost": lost[n], "owned": owned[n]})  # fmt: skip
    return found


def _examples(crm: Crm, lives: Sequence[Life]) -> list[Example]:
    """Pick one customer for each kind of fate."""

    def ends(history: Sequence[Assignment]) -> list[int]:
        return [int(a.status) for a in history]

    kinds: tuple[
        tuple[str, str, Callable[[Customer, list[int], Sequence[Assignment]], bool]], ...
    ] = (
        (
            "按轮转分配，一直有人跟进",
            "Dealt by the rotation and looked after ever since",
            lambda c, e, h: e == [1] and c.last_contacted_at != c.received_at,
        ),
        (
            "轮到的人请假，顺延给下一位",
            "The one whose turn it was is on leave: passed on",
            lambda c, e, h: bool(h) and "顺延" in h[0].explanation,
        ),
        (
            "无人跟进，退回公海，被别人抢到",
            "Neglected, taken back, claimed by somebody else",
            lambda c, e, h: e[:1] == [AssignmentStatus.NO_FOLLOW_UP] and e[-1:] == [1],
        ),
        (
            "跟进不断却没有成单，到期退回",
            "Followed up again and again, but not closed in time",
            lambda c, e, h: AssignmentStatus.NOT_CLOSED in e,
        ),
        (
            "主动放弃后被抢到",
            "Given back, then claimed",
            lambda c, e, h: AssignmentStatus.RELEASED in e,
        ),
        ("由主管转移", "Moved by the manager", lambda c, e, h: AssignmentStatus.TRANSFERRED in e),
        ("已锁定，不会退回公海", "Locked: never falls due", lambda c, e, h: c.locked),
    )
    found: list[Example] = []
    for zh, en, fits in kinds:
        told = {e.customer.id for e in found}
        for customer, history in lives:
            if customer.id not in told and fits(customer, ends(history), history):
                contacts = follow_up.timeline(crm, customer.id or 0, by=SYSTEM)
                found.append(Example(zh=zh, en=en, customer=customer, history=history,
                                     contacts=contacts))  # fmt: skip
                break
    return found

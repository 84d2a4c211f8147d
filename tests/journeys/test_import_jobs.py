"""Imports that workers run (spec sections 7, 11): start, progress, pause, resume, leases.

The workers of these tests are calls of `imports.run_started`, which is all that a worker does. Time
does not pass: where a lease must end, it is ended in the database, as if its time had passed.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import attrs
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_adapters.sheets import Limits, SafeSheetReader
from crm_adapters.storage.imports import SqlImports
from crm_domain import SYSTEM, Crm
from crm_domain.errors import (
    CrmError,
    DatabaseBusy,
    ImportBusy,
    NotFound,
    NotPermitted,
    UnreadableSheet,
)
from crm_domain.model import (
    Event,
    ImportProblem,
    ImportStatus,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Query, Settings, Sheet
from crm_domain.usecases import imports, schedule
from crm_domain.usecases._import_work import MOST_ATTEMPTS
from importing import (
    CHECKED,
    DONE,
    FAILED,
    PAUSED,
    REVERTED,
    RUNNING,
    Killed,
    Wakes,
    checked,
    killed,
    let_leases_end,
    people,
    run_of,
    sound,
    started,
    taken_in,
    work,
)
from make import World, phone
from races.tasks import InlineReader
from steps import told

# -- starting -----------------------------------------------------------------------------------


def test_a_started_import_is_left_to_the_workers_and_taken_in_by_them(
    world: World, small: Crm
) -> None:
    """Starting writes who and when, wakes them, and takes nothing in by itself."""
    # given
    number = checked(small, people(7), world.a)
    # when
    begun = imports.start_import(small, number, by=world.a)
    # then
    assert (begun.status, begun.done_rows, begun.waiting_rows, begun.at_work) == (
        RUNNING, 0, 7, False,
    )  # fmt: skip
    assert (begun.started_by, begun.started_at) == ("李雷", world.clock())
    assert small.jobs.woken == [("run_import", {"import_id": number})]
    assert taken_in(small, number) == []
    assert imports.started_imports(small, by=SYSTEM) == (number,)
    # when
    done = work(small, number)
    # then
    assert done is not None and (done.status, done.accepted, done.at_work) == (DONE, 7, False)
    assert imports.started_imports(small, by=SYSTEM) == ()
    assert work(small, number) is None
    [notice] = told(small, Event.IMPORT_FINISHED)
    assert notice.recipient_id == world.a.employee_id
    sound(small)


def test_progress_is_told_without_the_file(world: World, small: Crm) -> None:
    """At any moment, however large the file: by the row of the import alone."""

    class Unreadable:
        max_bytes = 0

        def read(self, *_: Any) -> Any:
            raise AssertionError("the file was read")

    content = people(5) + "\n坏,12\n\n,\n坏,34".encode()
    number = started(small, content, world.a)
    work(small, number, batches=2)
    blind = attrs.evolve(small, reader=Unreadable())
    statements: list[str] = []
    sa.event.listen(small.storage.engine, "before_cursor_execute",  # type: ignore[attr-defined]
                    lambda *a: statements.append(a[2]))  # fmt: skip
    found = imports.progress(blind, number, by=world.a)
    assert (found.data_rows, found.done_rows, found.waiting_rows) == (7, 6, 1)
    assert (found.accepted, found.refused, found.at_work) == (5, 1, False)
    assert not any("import_file" in s or "import_problem" in s for s in statements)
    with pytest.raises(NotFound):
        imports.progress(blind, number, by=world.b)
    with pytest.raises(NotPermitted):
        imports.progress(blind, number, by=world.person("老师", "teacher"))


def test_a_file_is_started_in_one_call_and_gone_on_with_by_the_same_file(
    world: World, small: Crm
) -> None:
    """Handed over twice it is one import; paused, the same file resumes it; done, it is another."""
    content = people(9)

    def start() -> imports.ImportProgress:
        return imports.start_file(small, content, file_name="x.csv", by=world.a)

    first = start()
    assert (start().id, first.status) == (first.id, RUNNING)
    work(small, first.id, batches=1)
    imports.pause_import(small, first.id, by=world.a)
    assert (start().id, start().status) == (first.id, RUNNING)
    # Whoever waits for the end may join in as well.
    report = imports.import_file(small, content, file_name="x.csv", by=world.a)
    assert (report.id, report.accepted, report.status) == (first.id, 9, DONE)
    again = start()
    assert again.id != first.id
    work(small, again.id)
    assert imports.report_import(small, again.id, by=world.a).duplicate_in_database == 9


def test_employees_are_started_like_customers(world: World, small: Crm) -> None:
    """Their one transaction is taken by the workers; nothing of it can be paused half-way."""
    content = "姓名,手机\n周一,13911110001\n吴二,12\n".encode()
    begun = imports.start_file(small, content, file_name="e.csv", record="Employee", by=SYSTEM)
    same = imports.start_file(small, content, file_name="e.csv", record="Employee", by=SYSTEM)
    assert same.id == begun.id
    imports.pause_import(small, begun.id, by=SYSTEM)
    assert work(small, begun.id) is None
    imports.resume_import(small, begun.id, by=SYSTEM)
    done = work(small, begun.id)
    assert done is not None and (done.status, done.accepted, done.refused) == (DONE, 1, 1)
    sound(small)


# -- states -------------------------------------------------------------------------------------


def _in(crm: Crm, status: ImportStatus) -> int:
    """Bring an import into a state."""
    number = checked(crm, people(6))
    if status is CHECKED:
        return number
    imports.start_import(crm, number, by=SYSTEM)
    if status is FAILED:
        with crm.unit_of_work() as uow:
            run = uow.imports.lock(number)
            assert run is not None
            uow.imports.save(changed(run, status=FAILED, error={"code": "x", "zh": "x", "en": "x"}))
    elif status is not RUNNING:
        work(crm, number, batches=None if status is DONE else 1)
    if status is PAUSED:
        imports.pause_import(crm, number, by=SYSTEM)
    if status is REVERTED:
        imports.revert_import(crm, number, by=SYSTEM)
    return number


STEPS: dict[str, tuple[Callable[..., Any], set[ImportStatus]]] = {
    "start": (imports.start_import, {CHECKED}),
    "pause": (imports.pause_import, {RUNNING}),
    "resume": (imports.resume_import, {PAUSED, FAILED}),
    "run": (imports.run_import, {CHECKED, RUNNING, PAUSED, FAILED, DONE}),
}


@pytest.mark.parametrize("name", STEPS)
def test_each_step_goes_with_some_states_and_the_refusal_says_what_to_do(
    small: Crm, name: str
) -> None:
    """In both languages; a refused step changes nothing."""
    act, fits = STEPS[name]
    for status in ImportStatus:
        number = _in(small, status)
        before = run_of(small, number)
        assert before.status is status
        if status in fits:
            act(small, number, by=SYSTEM)
            continue
        with pytest.raises(ImportBusy) as refused:
            act(small, number, by=SYSTEM)
        assert status.zh in refused.value.message("zh")
        assert status.en in refused.value.message("en")
        assert refused.value.todo_zh in refused.value.message("zh")
        assert run_of(small, number) == before
    sound(small)


def test_a_paused_import_keeps_its_place(world: World, small: Crm) -> None:
    """The batch under way is ended, nobody takes it, and resuming goes on with the next row."""
    # given
    number = started(small, people(9), world.a)
    work(small, number, batches=1)
    # when
    paused = imports.pause_import(small, number, by=world.manager)
    # then
    assert (paused.status, paused.accepted, paused.error) == (PAUSED, 3, None)
    assert imports.started_imports(small, by=SYSTEM) == ()
    assert work(small, number) is None
    assert imports.report_import(small, number, by=world.a).waiting_rows == 6
    # when
    resumed = imports.resume_import(small, number, by=world.manager)
    done = work(small, number)
    # then
    assert (resumed.accepted, resumed.started_by) == (3, "赵敏")
    assert done is not None and (done.status, done.accepted) == (DONE, 9)
    names = [c.created_by_id for c in taken_in(small, number)]
    assert names == [world.a.user_id] * 3 + [world.manager.user_id] * 6


def test_a_worker_stops_after_the_batch_in_which_it_was_paused(world: World, small: Crm) -> None:
    """So does whoever waits for the end of an import, who is told."""
    for run in (imports.run_started, imports.run_import):
        number = started(small, people(30), world.a)
        begun, paused = threading.Event(), threading.Event()

        def between(*rows: int, begun: Any = begun, paused: Any = paused) -> bool:
            if not rows or rows[0] > 1:
                begun.set()
                paused.wait(0.05)
            return False

        how = "stopping" if run is imports.run_started else "progress"
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(run, small, number, by=SYSTEM, **{how: between})
            assert begun.wait(20)
            before = imports.pause_import(small, number, by=world.a)
            paused.set()
            error = running.exception(20)
        assert isinstance(error, ImportBusy) is (run is imports.run_import)
        after = imports.progress(small, number, by=world.a)
        assert (after.status, after.done_rows) == (PAUSED, before.done_rows)
        assert after.done_rows < 30
        sound(small)


def test_a_paused_import_is_cancelled_by_reverting_it(world: World, small: Crm) -> None:
    """What it took in is archived, its contacts are free, and it never goes on."""
    content = people(9)
    number = started(small, content, world.a)
    work(small, number, batches=1)
    imports.pause_import(small, number, by=world.a)
    assert imports.revert_import(small, number, by=world.a) == 3
    with pytest.raises(ImportBusy):
        imports.resume_import(small, number, by=world.a)
    report = imports.import_file(small, content, file_name="x.csv", by=world.a)
    assert (report.accepted, report.id != number) == (9, True)
    sound(small)


# -- what goes wrong ----------------------------------------------------------------------------


class Refusing:
    """A reader that reads something else than before, or nothing."""

    max_bytes = 20_000_000

    def __init__(self, error: CrmError | None = None, sheets: tuple[Sheet, ...] = ()) -> None:
        self.error, self.sheets = error, sheets

    def read(self, *_: Any) -> tuple[Sheet, ...]:
        if self.error is not None:
            raise self.error
        return self.sheets


def test_a_file_that_cannot_be_read_any_more_stops_the_import(small: Crm) -> None:
    """And one that is read otherwise: its rows would be lost, or counted twice."""
    unreadable = UnreadableSheet(file="x.csv", reason="r", reason_zh="损坏", reason_en="damaged")
    other = small.reader.read(people(4), "x.csv")
    for reader, code in ((Refusing(unreadable), "unreadable_sheet"),
                         (Refusing(sheets=other), "sheet_changed")):  # fmt: skip
        number = started(small, people(9))
        stopped = work(attrs.evolve(small, reader=reader), number)
        assert stopped is not None and stopped.error is not None
        assert (stopped.status, stopped.error["code"], stopped.accepted) == (FAILED, code, 0)
        assert imports.started_imports(small, by=SYSTEM) == ()
    sound(small)


def test_a_machine_that_is_too_busy_to_read_the_file_stops_no_import(small: Crm) -> None:
    """The file was read when it was checked; only after many attempts somebody must look."""
    heavy = UnreadableSheet(file="x.csv", reason="too_heavy", reason_zh="忙", reason_en="busy")
    busy = attrs.evolve(small, reader=Refusing(heavy))
    number = started(small, people(9))
    for attempt in range(1, MOST_ATTEMPTS + 1):
        tried = work(busy, number)
        assert tried is not None and (tried.status, tried.error) == (RUNNING, None)
        assert run_of(small, number).attempts == attempt
        assert work(small, number) is None, "its lease must end first"
        let_leases_end(small)
    other = started(small, people(9))
    assert work(busy, other) is not None
    let_leases_end(small)
    done = work(small, other)
    assert done is not None and (done.status, done.accepted) == (DONE, 9)
    stopped = work(busy, number)
    assert stopped is not None and stopped.error is not None
    assert (stopped.status, stopped.error["code"]) == (FAILED, "import_stuck")
    sound(small)


def test_what_passes_is_tried_again_when_the_lease_is_over(small: Crm) -> None:
    """A busy database stops nothing for good, and is not hammered."""
    number = started(small, people(9))
    real = SqlImports.save
    for _ in range(MOST_ATTEMPTS + 3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SqlImports, "save", _busy)
            stopped = work(small, number)
        assert stopped is not None and (stopped.status, stopped.error) == (RUNNING, None)
        assert work(small, number) is None
        let_leases_end(small)
    assert SqlImports.save is real
    done = work(small, number)
    assert done is not None and (done.status, done.accepted) == (DONE, 9)


def _busy(*_: Any) -> None:
    raise DatabaseBusy


def test_an_import_that_kills_its_workers_is_given_up(world: World, small: Crm) -> None:
    """After some attempts without one batch; a batch in between is getting on."""
    number = started(small, people(9), world.a)
    for _ in range(2):
        for _ in range(MOST_ATTEMPTS - 1):
            _die_reading(small, number)
        work(small, number, batches=1)
    for _ in range(MOST_ATTEMPTS):
        _die_reading(small, number)
    stopped = work(small, number)
    assert stopped is not None and stopped.error is not None
    assert (stopped.status, stopped.error["code"], stopped.accepted) == (FAILED, "import_stuck", 6)
    imports.resume_import(small, number, by=world.a)
    done = work(small, number)
    assert done is not None and done.status is DONE


def _die_reading(crm: Crm, number: int) -> None:
    class Deadly:
        max_bytes = 0

        def read(self, *_: Any) -> Any:
            raise Killed

    with pytest.raises(Killed):
        work(attrs.evolve(crm, reader=Deadly()), number)
    let_leases_end(crm)


def test_an_import_that_breaks_does_not_stop_the_others(small: Crm) -> None:
    """Whoever looks runs all that wait; the broken one is taken again later."""
    first, second = started(small, people(2)), started(small, people(3))
    real = SqlImports.content

    def content(self: SqlImports, id: int) -> bytes:
        if id == first:
            raise RuntimeError("broken")
        return real(self, id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlImports, "content", content)
        found = imports.run_started_imports(small, by=SYSTEM)
    assert [(p.id, p.status) for p in found] == [(second, DONE)]
    assert run_of(small, first).status is RUNNING
    let_leases_end(small)
    assert [p.id for p in imports.run_started_imports(small, by=SYSTEM)] == [first]


def test_the_schedule_finds_imports_that_nobody_was_woken_for(small: Crm) -> None:
    """An embedding program without workers calls the tick, and that is enough."""
    started(small, people(4))
    [run] = [r for r in schedule.tick(small, by=SYSTEM) if r.name == "imports"]
    assert (run.result, run.error) == ({"imports": 1, "rows": 4}, None)


# -- leases -------------------------------------------------------------------------------------


def test_one_worker_at_a_time_is_at_an_import(small: Crm) -> None:
    """Others find nothing to do while its lease lasts, and take over when it is over."""
    number = started(small, people(9))
    killed(small, number, 1)
    assert imports.progress(small, number, by=SYSTEM).at_work
    assert imports.started_imports(small, by=SYSTEM) == ()
    assert work(small, number) is None
    let_leases_end(small)
    assert not imports.progress(small, number, by=SYSTEM).at_work
    assert imports.started_imports(small, by=SYSTEM) == (number,)
    done = work(small, number)
    assert done is not None and (done.status, done.accepted) == (DONE, 9)
    sound(small)


def test_a_worker_that_is_told_to_end_gives_the_import_back_at_once(small: Crm) -> None:
    """Nobody waits for its lease, and its attempt counts not."""
    number = started(small, people(9))
    for rows in (3, 6):
        stopped = work(small, number, batches=1)
        assert stopped is not None and (stopped.status, stopped.accepted) == (RUNNING, rows)
        run = run_of(small, number)
        assert (run.leased_until, run.attempts) == (None, 0)


def test_a_worker_that_was_taken_over_writes_nothing_more(small: Crm) -> None:
    """It finds another's fence in its next batch, and leaves."""
    number = started(small, people(12))
    seen: list[Any] = []

    def stopping() -> bool:
        if run_of(small, number).accepted == 3 and not seen:
            seen.append(None)
            let_leases_end(small)
            seen[0] = work(small, number, batches=1)
        return False

    ended = imports.run_started(small, number, stopping=stopping, by=SYSTEM)
    assert seen[0].accepted == 6
    assert ended is not None and (ended.status, ended.accepted) == (RUNNING, 6)
    assert run_of(small, number).fence == 2
    done = work(small, number)
    assert done is not None and (done.status, done.accepted) == (DONE, 12)
    sound(small)


def test_a_lease_is_renewed_while_the_file_is_read(world: World) -> None:
    """Reading may take longer than a lease; nobody takes the import over meanwhile."""
    crm = attrs.evolve(world.crm, settings=Settings(batch_rows=3, import_lease_seconds=0.3))
    number = started(crm, people(3))
    reading, looked = threading.Event(), threading.Event()

    class Slow:
        max_bytes = 0

        def read(self, *arguments: Any) -> Any:
            reading.set()
            looked.wait(20)
            return crm.reader.read(*arguments)

    with ThreadPoolExecutor(1) as threads:
        slow = attrs.evolve(crm, reader=Slow())
        running = threads.submit(imports.run_started, slow, number, by=SYSTEM)
        assert reading.wait(20)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            assert imports.started_imports(crm, by=SYSTEM) == ()
            time.sleep(0.05)
        looked.set()
        done = running.result(20)
    assert done is not None and done.status is DONE


def test_without_leases_two_workers_share_an_import_and_double_nothing(
    world: World, small: Crm
) -> None:
    """The lock on the row is what keeps rows single; the lease only saves work."""
    content = people(40)
    number = started(small, content, to="pool")
    for _ in range(3):
        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(3) as threads:
            patch.setattr(SqlImports, "lease", lambda *_: 1)
            patch.setattr(SqlImports, "renew", lambda *_: True)
            with small.storage.engine.begin() as c:  # type: ignore[attr-defined]
                c.execute(sa.text("UPDATE import_run SET fence = 1 WHERE status = 'running'"))
            found = [threads.submit(work, small, number) for _ in range(3)]
            assert [f.exception(60) for f in found] == [None] * 3
    rows = Counter(c.import_row for c in taken_in(small, number))
    assert (len(rows), max(rows.values())) == (40, 1)
    assert run_of(small, number).status is DONE
    sound(small)


def test_a_lease_of_a_clock_that_was_set_back_counts_for_nothing(small: Crm) -> None:
    """A year too far ahead must not stop an import for a year."""
    number = started(small, people(3))
    killed(small, number, 0)
    with small.unit_of_work() as uow:
        fence = run_of(small, number).fence
        assert uow.imports.renew(number, fence, timedelta(days=365).total_seconds())
    assert imports.started_imports(small, by=SYSTEM) == (number,)


# -- the partition ------------------------------------------------------------------------------


def partition(crm: Crm, number: int, rows: int, blank: int) -> None:
    """Each row is accepted, a duplicate, rejected, blank, or waits: once, and they are all."""
    report = imports.report_import(crm, number, by=SYSTEM)
    found = imports.progress(crm, number, by=SYSTEM)
    assert (found.data_rows, found.blank_rows) == (rows, blank)
    bad = report.duplicate_in_file + report.duplicate_in_database + sum(report.rejected.values())
    if found.status is not CHECKED:
        assert (found.accepted, found.refused) == (report.accepted, bad)
        assert found.done_rows + found.waiting_rows == report.done_rows + report.waiting_rows
        assert [c.import_row for c in taken_in(crm, number)] == sorted(
            {c.import_row for c in taken_in(crm, number)}  # type: ignore[type-var]
        )
        seen = Counter(c.import_row or 0 for c in taken_in(crm, number))
        with crm.unit_of_work(read_only=True) as uow:
            seen.update(p.row for p in uow.records.all(ImportProblem, import_id=number))
        assert sum(seen.values()) == found.done_rows
        assert set(seen.values()) <= {1}
        assert all(row < run_of(crm, number).next_row for row in seen)
    else:
        assert report.accepted + bad == rows
    assert found.accepted + found.refused + found.waiting_rows == rows
    assert (found.status is DONE) <= (found.waiting_rows == 0)


ROW = st.sampled_from(["new", "new", "new", "same", "known", "bad", "nameless", "blank"])
STEP = st.sampled_from(["work", "kill", "pause", "resume", "take over", "busy", "run"])


@settings(max_examples=20, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    rows=st.lists(ROW, min_size=1, max_size=25), steps=st.lists(STEP, max_size=12),
    size=st.integers(1, 8),
)  # fmt: skip
def test_the_report_is_a_partition_of_the_rows_at_every_moment(
    world: World, rows: list[str], steps: list[str], size: int
) -> None:
    """Whatever is done to it in whatever order, paused, killed, taken over; and at its end."""
    # given
    crm = attrs.evolve(world.crm, settings=Settings(batch_rows=size), jobs=Wakes(),
                       reader=InlineReader())  # fmt: skip
    known = world.customer().phone
    same = phone()
    lines = {"same": f"同,{same}", "known": f"旧,{known}", "bad": "坏,12",
             "nameless": f",{phone()}", "blank": ","}  # fmt: skip
    written = [lines.get(kind) or f"新,{phone()}" for kind in rows]
    # The last row is not blank: blank rows below it are none.
    content = "\n".join(["姓名,手机", *written, f"末,{phone()}"]).encode()
    filled, blank = len([r for r in rows if r != "blank"]) + 1, rows.count("blank")
    number = checked(crm, content)
    partition(crm, number, filled, blank)
    imports.start_import(crm, number, by=SYSTEM)
    # when
    for step in (*steps, "resume", "take over"):
        _take(crm, number, step)
        # then
        partition(crm, number, filled, blank)
    sound(crm)
    assert run_of(crm, number).status is DONE
    expected = Counter(rows)
    report = imports.report_import(crm, number, by=SYSTEM)
    assert report.accepted == expected["new"] + 1 + (expected["same"] > 0)
    assert report.duplicate_in_file == max(0, expected["same"] - 1)
    assert report.duplicate_in_database == expected["known"]
    assert dict(report.rejected) == {c: expected[k] for k, c in
                                     (("bad", "bad_phone"), ("nameless", "no_name"))
                                     if expected[k]}  # fmt: skip


def _take(crm: Crm, number: int, step: str) -> None:
    """Do one thing to an import; what does not go with its state is refused."""
    acts: dict[str, Callable[[], Any]] = {
        "work": lambda: work(crm, number, batches=1),
        "kill": lambda: _killed_somewhere(crm, number),
        "pause": lambda: imports.pause_import(crm, number, by=SYSTEM),
        "resume": lambda: imports.resume_import(crm, number, by=SYSTEM),
        "take over": lambda: (let_leases_end(crm), work(crm, number)),
        "busy": lambda: _busily(crm, number),
        "run": lambda: _run_a_little(crm, number),
    }
    try:
        acts[step]()
    except (ImportBusy, Killed):
        return


def _killed_somewhere(crm: Crm, number: int) -> None:
    """Die in the middle of a batch, after its rows were written and before it is committed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlImports, "renew", _die)
        work(crm, number)


def _die(*_: Any) -> bool:
    raise Killed


def _busily(crm: Crm, number: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlImports, "renew", _busy)
        work(crm, number)


def _run_a_little(crm: Crm, number: int) -> None:
    def progress(_: int, __: int) -> None:
        raise Killed

    imports.run_import(crm, number, progress=progress, by=SYSTEM)


# -- races --------------------------------------------------------------------------------------


def test_pausing_and_resuming_while_workers_run_loses_no_row(world: World, small: Crm) -> None:
    """Two workers, one who pauses, one who resumes, all at once; at the end every row is in."""
    number = started(small, people(60), world.a, to="pool")
    ended = threading.Event()

    def again(act: Callable[[], Any], wait: float) -> Callable[[], int]:
        def loop() -> int:
            dice, n = random.Random(wait), 0
            while not ended.is_set():
                try:
                    act()
                    n += 1
                except (ImportBusy, DatabaseBusy):
                    pass
                ended.wait(dice.uniform(0, wait))
            return n

        return loop

    def look() -> None:
        if run_of(small, number).status is DONE:
            ended.set()
        imports.run_started_imports(small, by=SYSTEM)

    crowd = [
        again(look, 0.005), again(look, 0.005),
        again(lambda: imports.pause_import(small, number, by=world.manager), 0.08),
        again(lambda: imports.resume_import(small, number, by=world.manager), 0.02),
    ]  # fmt: skip
    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(one) for one in crowd]
        assert ended.wait(90)
        done = [one.result(30) for one in running]
    assert min(done[2:]) >= 1
    assert [c.import_row for c in taken_in(small, number)] == list(range(2, 62))
    sound(small)


# -- large files --------------------------------------------------------------------------------


@pytest.fixture
def lean(world: World) -> Iterator[Crm]:
    yield attrs.evolve(world.crm, reader=SafeSheetReader(limits=Limits()))


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_million_rows_are_refused_in_bounded_time_and_memory(lean: Crm) -> None:
    """Before anything is kept or started, and again by a worker whose limits are lower."""
    import resource

    content = b"name,phone\n" + b"a,13800138000\n" * 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    with pytest.raises(UnreadableSheet):
        imports.start_file(lean, content, file_name="x.csv", by=SYSTEM)
    assert time.monotonic() - begun < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    assert list(imports.list_imports(lean, Query(), by=SYSTEM)) == []
    number = started(lean, people(500))
    poor = attrs.evolve(lean, reader=SafeSheetReader(limits=Limits(rows=100)))
    stopped = imports.run_started(poor, number, by=SYSTEM)
    assert stopped is not None and stopped.error is not None
    assert (stopped.status, stopped.error["code"]) == (FAILED, "unreadable_sheet")

"""The part of the contract of a storage that is about imports."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from crm_domain.errors import FileRemoved, NotFound
from crm_domain.model import (
    AssignmentMethod,
    Employee,
    FollowUp,
    ImportProblem,
    ImportRun,
    ImportStatus,
    NoticeStatus,
    Scope,
    User,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, Query, Reach
from crm_domain.testing.making import (
    NOW,
    a_customer,
    a_notice,
    begun,
    customer_of,
    employee,
    history_of,
    owned,
    read,
    refusal,
)


def an_import(crm: Crm, **values: object) -> ImportRun:
    """Write an import with its file."""
    typed: dict[str, object] = {
        "file_name": "x.csv", "sha256": "0" * 64, "created_at": NOW, "mode": "rotation", **values,
    }  # fmt: skip
    with crm.unit_of_work() as uow:
        return uow.imports.add(ImportRun(**typed), b"\x00name\r\n")  # type: ignore[arg-type]


def imported(crm: Crm, run: ImportRun, owner: int | None, row: int) -> int:
    """Write a customer of an import."""
    with crm.unit_of_work() as uow:
        [saved] = uow.customers.add([a_customer(import_id=run.id, import_row=row)])
        assert saved is not None
        if owner is None:
            uow.ownership.publish([saved])
        else:
            new = begun(owned(saved, owner), AssignmentMethod.IMPORT)
            uow.ownership.open([new], fresh=True)
        return saved.id or 0


class ImportsPart:
    """A part of ``StorageContract``."""

    def test_files_of_imports_that_ended_long_ago_are_removed(self, crm: Crm) -> None:
        """Or were only checked then; so many at a time. Of what stands still they are kept."""
        ended: dict[str, object] = {"status": ImportStatus.REVERTED, "finished_at": NOW}
        old = [an_import(crm, **how).id or 0 for how in (ended, ended, {})]
        later = NOW + timedelta(days=1)
        others = [
            an_import(crm, **how).id or 0
            for how in (
                {"status": ImportStatus.PAUSED}, {"created_at": later},
                {"status": ImportStatus.REVERTED, "finished_at": later},
            )
        ]  # fmt: skip

        def remove() -> int:
            with crm.unit_of_work() as uow:
                return uow.imports.remove_files(NOW + timedelta(hours=1), 2)

        assert [remove() for _ in range(3)] == [2, 1, 0]

        def file_of(number: int) -> bytes:
            return read(crm, lambda uow: uow.imports.content(number))

        for number in old:
            refusal(FileRemoved, partial(file_of, number))
        with crm.unit_of_work(read_only=True) as uow:
            assert all(uow.imports.content(number) for number in others)
            assert [uow.imports.has_file(n) for n in (*old, *others)] == [False] * 3 + [True] * 3
            assert uow.records.get(ImportRun, old[0]) is not None

    def test_an_import_keeps_its_file_and_its_place(self, crm: Crm) -> None:
        """Byte for byte; whoever goes on with it finds how far it has come."""
        run = an_import(crm)
        number = run.id or 0
        with crm.unit_of_work() as uow:
            assert uow.imports.lock(number) == run
            assert uow.imports.lock(number + 99) is None
            assert uow.imports.content(number) == b"\x00name\r\n"
            going = changed(run, status=ImportStatus.RUNNING, last_row=9, data_rows=8)
            uow.imports.save(changed(going, next_row=7, accepted=3))
        again = read(crm, lambda uow: uow.imports.unfinished("0" * 64, "rotation", None))
        assert [(r.id, r.next_row, r.accepted) for r in again] == [(number, 7, 3)]
        for sha256, mode in (("1" * 64, "rotation"), ("0" * 64, "pool")):
            with crm.unit_of_work(read_only=True) as uow:
                assert uow.imports.unfinished(sha256, mode, None) == ()

    def test_an_import_that_was_handed_over_is_taken_by_one(self, crm: Crm) -> None:
        """As long as the lease is renewed; what is given back counts as no attempt."""
        run = an_import(crm, status=ImportStatus.RUNNING, started_at=NOW, last_row=9)
        first = run.id or 0
        second = an_import(crm, status=ImportStatus.RUNNING, started_at=NOW, sha256="1" * 64,
                           last_row=9).id or 0  # fmt: skip
        an_import(crm, status=ImportStatus.PAUSED, started_at=NOW, sha256="2" * 64, last_row=9)

        def waiting() -> tuple[int, ...]:
            return read(crm, lambda uow: uow.imports.waiting(60))

        assert waiting() == (first, second)
        with crm.unit_of_work() as uow:
            fence = uow.imports.lease(first, 60)
            assert fence is not None
        with crm.unit_of_work() as uow:
            assert uow.imports.lease(first, 60) is None
            assert uow.imports.renew(first, fence, 60)
            assert not uow.imports.renew(first, fence + 1, 60)
            uow.imports.let_go(first, fence + 1, at_once=True)
        assert waiting() == (second,)
        with crm.unit_of_work() as uow:
            uow.imports.let_go(first, fence, at_once=True)
        assert waiting() == (first, second)
        with crm.unit_of_work() as uow:
            again = uow.imports.lease(first, 60)
            locked = uow.imports.lock(first)
            assert locked is not None
            assert (again, locked.attempts) == (fence + 1, 1)
            assert not uow.imports.renew(first, fence, 60)

    def test_an_import_that_failed_leaves_no_file(self, crm: Crm) -> None:
        """The run and its file commit together."""

        def fail() -> None:
            with crm.unit_of_work() as uow:
                uow.imports.add(ImportRun(file_name="x", sha256="2" * 64, created_at=NOW), b"x")
                raise NotFound(what="x", id=1)

        refusal(NotFound, fail)
        assert read(crm, lambda uow: uow.records.all(ImportRun)) == ()

    def test_problems_come_by_row(self, crm: Crm) -> None:
        """All of them, in the order of the rows, of this import only."""
        run, other = an_import(crm), an_import(crm)

        def problem(of: ImportRun, row: int) -> ImportProblem:
            return ImportProblem(import_id=of.id or 0, row=row, code="x", message="x", value="y")

        with crm.unit_of_work() as uow:
            uow.imports.add_problems([problem(run, 9), problem(run, 2), problem(other, 1)])
            uow.imports.add_problems([problem(run, n) for n in range(100, 180)])
        found = read(crm, lambda uow: uow.imports.problems(run.id or 0))
        assert [p.row for p in found] == [2, 9, *range(100, 180)]

    def test_what_was_dealt_is_counted_by_consultant(self, crm: Crm) -> None:
        """None is the pool; what moved later counts for whom it was dealt to."""
        first, second = employee(crm), employee(crm)
        run = an_import(crm)
        for row, owner in enumerate((first, first, second, None), 2):
            imported(crm, run, owner, row)
        found = read(crm, lambda uow: uow.imports.dealt(run.id or 0))
        assert found == {first: 2, second: 1, None: 1}

    def test_what_somebody_worked_on_is_counted(self, crm: Crm) -> None:
        """A change, a follow-up, a lock; an untouched customer counts not."""
        consultant = employee(crm)
        run = an_import(crm)
        numbers = [imported(crm, run, consultant, row) for row in range(2, 6)]

        def touched() -> int:
            return read(crm, lambda uow: uow.imports.touched(run.id or 0))

        assert touched() == 0
        with crm.unit_of_work() as uow:
            uow.imports.hold(run.id or 0)
            uow.customers.save(changed(customer_of(crm, numbers[0]), company="x"))
            uow.records.add(FollowUp(customer_id=numbers[1], consultant_id=consultant, at=NOW,
                                     note="x"))  # fmt: skip
        assert touched() == 2

    def test_what_is_archived_is_out_of_the_way(self, crm: Crm) -> None:
        """Its contacts are free, its assignments ended, and nobody is told of it any more."""
        consultant = employee(crm)
        run = an_import(crm)
        number = imported(crm, run, consultant, 2)
        phone = customer_of(crm, number).phone
        with crm.unit_of_work() as uow:
            uow.notices.add([
                changed(a_notice(consultant, "about it"), about=f"customer:{number}"),
                changed(a_notice(consultant, "of others"), about="customer:99999"),
            ])  # fmt: skip
        later = NOW + timedelta(hours=1)
        with crm.unit_of_work() as uow:
            assert uow.imports.archive(run.id or 0, later) == 1
        found = customer_of(crm, number)
        assert (found.archived_at, found.owner_id) == (later, None)
        assert [int(a.status) for a in history_of(crm, number)] == [7]
        assert read(crm, lambda uow: list(uow.customers.page(Query(), None, NOW.date()))) == []
        with crm.unit_of_work() as uow:
            [again] = uow.customers.add([a_customer(phone=phone)])
            assert again is not None
            uow.ownership.publish([again])
        told = read(crm, lambda uow: uow.notices.page(Query(sort="id")).items)
        statuses = {n.idempotency_key: n.status for n in told}
        assert statuses == {
            "about it": NoticeStatus.CANCELLED, "of others": NoticeStatus.PENDING,
        }  # fmt: skip

    def test_imports_are_listed_within_the_reach(self, crm: Crm) -> None:
        """One's own, whatever the scope, and those of the people within it."""
        me, other = employee(crm), employee(crm)
        with crm.unit_of_work() as uow:
            mine = uow.records.add(User(username="me", employee_id=me)).id
            theirs = uow.records.add(User(username="other", employee_id=other)).id
        own, foreign = an_import(crm, by_id=mine), an_import(crm, by_id=theirs)
        an_import(crm)

        def seen(scope: Scope) -> list[int | None]:
            reach = Reach(scope=scope, employee_id=me)
            page = read(crm, lambda uow: uow.imports.page(Query(sort="id"), reach, mine))
            return [r.id for r in page]

        assert seen(Scope.OWN) == [own.id]
        assert seen(Scope.ALL)[:2] == [own.id, foreign.id]
        assert read(crm, lambda uow: uow.records.find(Employee, id=me)) is not None

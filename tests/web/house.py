"""A school in which every customer carries its own canaries, and everybody who may look at them.

Two departments; 李雷 of the first is the consultant whose browser is tried. Each of `KINDS` is one
customer, named by what it is to 李雷.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import attrs

from crm_domain import SYSTEM, Crm
from crm_domain.model import (
    Cohort,
    Course,
    Customer,
    Department,
    Employee,
    Enrolment,
    Lesson,
    Menu,
    PermissionGroup,
    School,
    Student,
    StudyRecord,
    User,
)
from crm_domain.model.fields import changed
from crm_domain.rules.access import Principal
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import access, assignment, follow_up, pool, records, sessions, views
from make import World, phone
from steps import enrol, login
from web.visitor import PASSWORD, Visitor

KINDS = (
    "own", "colleague", "other", "pool", "expired", "enrolled", "archived", "missing",
)  # fmt: skip
"""Whose a customer is: 李雷's, of his department, of the other one, nobody's, his until last
midnight (and no sweep has run), won by him, put away, or there is none."""
THERE = KINDS[:-1]
ROLES = ("consultant", "sales_manager", "teacher", "finance", "student", "administrator")
NOBODY = ("anonymous", "ended", "disabled")
"""Visitors who have not signed in, or not any more."""
EVERYBODY = (*ROLES, "bare", *NOBODY)
FULL: Mapping[str, tuple[str, ...]] = {
    "consultant": ("own", "enrolled"),
    "sales_manager": ("own", "colleague", "enrolled"),
    "finance": ("own", "colleague", "other", "enrolled"),
    "administrator": THERE[:-1],
}
"""Whose ways to be reached, notes and memos a visitor may ever be shown."""
NAMED: Mapping[str, tuple[str, ...]] = {
    # The former owner keeps the row, without contact data (spec section 6).
    "consultant": (*FULL["consultant"], "pool", "expired"),
    "sales_manager": (*FULL["sales_manager"], "pool", "expired"),
    "finance": (*FULL["finance"], "pool", "expired"),
    "administrator": THERE[:-1],
}
"""Whose names a visitor may ever be shown."""
READ: Mapping[str, tuple[str, ...]] = FULL | {
    # Whoever sees all reads what was said, also of public customers.
    "finance": (*FULL["finance"], "pool", "expired"),
}
"""Of whom a visitor may read what was said."""
MISSING = 987_654
_numbers = count(1)


@attrs.frozen(kw_only=True)
class Canary:
    """What nobody may read of a customer but whom it is for."""

    name: str
    secret: tuple[str, ...]
    """Phone, QQ, WeChat and memo."""
    note: str
    """What was said."""


class House:
    """The school, its customers by kind, and a browser for each of `EVERYBODY`."""

    def __init__(self, crm: Crm, clock: FixedClock) -> None:
        """Build the school in an empty database."""
        self.crm, self.clock = crm, clock
        self.world = world = World(crm, clock)
        self.far = records.save_record(
            crm, Department(code=900_000 + next(_numbers), title="二部"), by=SYSTEM
        )
        self.a, self.b = world.a, world.b
        self.stranger = world.person("外人甲", department_id=self.far.id)
        self.canaries: dict[str, Canary] = {}
        self.ids = {kind: self.make(kind, "x") for kind in KINDS}
        self.customers = dict(self.ids)
        self.people: dict[str, Principal] = {
            "consultant": world.a, "sales_manager": world.manager,
            **{r: world.person(f"某{r[:3]}", r) for r in ("teacher", "finance", "student")},
        }  # fmt: skip
        self.people["administrator"] = self.account("administrator")
        bare = access.add_role(crm, {"title": "前台", "permissions": []}, by=SYSTEM)
        self.people["bare"] = self.account(bare.id or 0)
        views.save_view(crm, "customers", {"title": "外人的视图", "query": "q=1"},
                        by=self.stranger)  # fmt: skip

    def account(self, role: str | int) -> Principal:
        """Make an account without an employee."""
        name = f"account{next(_numbers)}"
        access.create_user(self.crm, {"username": name, "roles": [role]}, by=SYSTEM)
        return access.principal_for(self.crm, username=name)

    def make(self, kind: str, mark: str = "") -> int:
        """Make another customer of a kind and give its number."""
        if kind == "missing":
            return MISSING
        n = next(_numbers)
        name = f"{kind.title()}{mark}{n}Z"
        told = {
            "phone": f"139{n:04d}7531", "qq": f"86420{n:04d}1", "wechat": f"wx_{kind}_{n}_z",
            "memo": f"memo-{kind}-{n}-z", "company": f"company-{kind}-{n}-z",
        }  # fmt: skip
        note = f"note-{kind}-{n}-z"
        owner = {"colleague": self.b, "other": self.stranger}.get(kind, self.a)
        made = self.world.customer(None if kind == "pool" else owner, name=name, **told)
        number = made.id or 0
        if kind == "pool":
            # It was the stranger's once, so that there is something that was said.
            self._hand(made, self.stranger, note)
        elif kind != "archived":
            # Only what nobody ever touched is put away.
            follow_up.log_follow_up(self.crm, number, {"note": note}, by=owner)
        if kind == "enrolled":
            enrol(self.world, made)
        elif kind == "expired":
            self._write(number, due_on=self.crm.today())
        elif kind == "archived":
            pool.release_customer(self.crm, number, by=owner)
            self._archive(number)
        if mark:
            self.canaries[kind] = Canary(name=name, secret=_kept(told), note=note)
        return number

    def _hand(self, made: Customer, to: Principal, note: str) -> None:
        assignment.assign_customer(self.crm, made.id or 0, to.employee_id or 0, by=SYSTEM)
        follow_up.log_follow_up(self.crm, made.id or 0, {"note": note}, by=to)
        pool.release_customer(self.crm, made.id or 0, by=to)

    def _write(self, number: int, **values: Any) -> None:
        with self.crm.unit_of_work() as uow:
            customer = uow.customers.lock(number)
            assert customer is not None
            uow.ownership.keep(changed(customer, **values))

    def _archive(self, number: int) -> None:
        with self.crm.unit_of_work() as uow:
            customer = uow.customers.lock(number)
            assert customer is not None
            uow.customers.save(changed(customer, archived_at=self.clock()))

    def browser(self, open_one: Callable[..., Visitor], who: str) -> Visitor:
        """Open the browser of one of `EVERYBODY`."""
        if who == "anonymous":
            return open_one()
        if who == "ended":
            visitor = self._signed_in(open_one, self.world.person("走了"))
            sessions.sign_out(self.crm, visitor.session)
            return visitor
        if who == "disabled":
            person = self.world.person("停用")
            visitor = self._signed_in(open_one, person)
            access.set_active(self.crm, login(self.crm, person), False, by=SYSTEM)
            return visitor
        return self._signed_in(open_one, self.people[who])

    def _signed_in(self, open_one: Callable[..., Visitor], who: Principal) -> Visitor:
        visitor = open_one()
        name = login(self.crm, who)
        with self.crm.unit_of_work(read_only=True) as uow:
            user = uow.records.get(User, who.user_id or 0)
        if user is not None and user.password_hash is None:
            access.set_password(self.crm, name, PASSWORD, by=SYSTEM)
        assert visitor.sign_in(name).status_code == 303
        return visitor

    def leaks(self, who: str, body: str) -> list[str]:
        """Tell what a visitor must not know and the body tells."""
        found = []
        for kind, canary in self.canaries.items():
            if kind not in FULL.get(who, ()):
                found += [f"{kind}: {s}" for s in canary.secret if s in body]
            if kind not in READ.get(who, ()) and canary.note in body:
                found.append(f"{kind}: {canary.note}")
            if kind not in NAMED.get(who, ()) and canary.name in body:
                found.append(f"{kind}: {canary.name}")
        return found


def _kept(told: Mapping[str, str]) -> tuple[str, ...]:
    # What a company is called does not lead to anybody; the pool shows it.
    return tuple(v for n, v in told.items() if n != "company")


RECORDS = {"departments": Department, "employees": Employee, "schools": School, "courses": Course,
         "cohorts": Cohort, "lessons": Lesson, "menus": Menu,
         "permission_groups": PermissionGroup, "students": Student, "enrolments": Enrolment,
         "study_records": StudyRecord}  # fmt: skip


NONE_SUCH = {"token": "x", "username": "nobody", "code": "customer:view", "name": "nothing",
             "source": "nothing"}  # fmt: skip
"""What stands in a path where a test says nothing else."""


def filled(house: House, path: str, at: Mapping[str, str]) -> str:
    """Fill in the parameters of a path: something that everybody with the permission may have."""
    known = {**NONE_SUCH, **at}
    path = re.sub(r"\{(\w+)(?::path)?\}", lambda found: known[found[1]], path)
    if "{id:int}" not in path:
        return path
    list_name = path.split("/")[1]
    if list_name == "customers":
        return path.replace("{id:int}", str(house.ids["own"]))
    if list_name == "roles":
        title = f"角色{phone()}"
        made = access.add_role(house.crm, {"title": title, "permissions": []}, by=SYSTEM)
        return path.replace("{id:int}", str(made.id))
    if list_name == "inbox":
        return path.replace("{id:int}", "1")
    return path.replace("{id:int}", str(fresh(house, RECORDS[list_name])))


def fresh(house: House, cls: type[Any]) -> int:
    """Make a record that nothing refers to."""
    number = int(phone()[3:])
    made: Any
    if cls in TAUGHT:
        return TAUGHT[cls](house)
    if cls is Cohort:
        made = Cohort(
            course_id=fresh(house, Course), school_id=fresh(house, School), semester=number
        )
    elif cls is Department:
        made = Department(code=number, title=f"部{number}")
    elif cls is Employee:
        made = Employee(name=f"员{number}", department_id=house.world.department.id or 0)
    else:
        made = cls(title=f"名{number}")
    return records.save_record(house.crm, made, by=SYSTEM).id or 0


def fresh_lesson(house: House) -> int:
    """Make a lesson of the teacher's own."""
    cohort = fresh(house, Cohort)
    teacher = house.people["teacher"].employee_id or 0
    found = Lesson(cohort_id=cohort, day_number=1, date=house.crm.today(), teacher_id=teacher)
    return records.save_record(house.crm, found, by=SYSTEM).id or 0


def fresh_student(house: House) -> int:
    """Make a student of the teacher's own, in a cohort that he is the tutor of."""
    return _studying(house).student_id


def fresh_enrolment(house: House) -> int:
    """The same, and give the enrolment."""
    return _studying(house).id or 0


def fresh_study_record(house: House) -> int:
    """Make what is kept of a student of the teacher's own in a lesson of his."""
    made = StudyRecord(
        lesson_id=fresh_lesson(house), student_id=fresh_student(house), date=house.crm.today()
    )
    with house.crm.unit_of_work() as uow:
        return uow.records.add(made).id or 0


def _studying(house: House) -> Enrolment:
    who = house.world.customer(owner=None)
    cohort = records.get_record(house.crm, Cohort, fresh(house, Cohort), by=SYSTEM)
    tutor = house.people["teacher"].employee_id
    records.save_record(house.crm, changed(cohort, tutor_id=tutor), by=SYSTEM)
    # Enrolling is taught to the program later; this is what it will write.
    with house.crm.unit_of_work() as uow:
        student = uow.records.add(Student(customer_id=who.id or 0, student_number=phone()))
        return uow.records.add(
            Enrolment(student_id=student.id or 0, cohort_id=cohort.id or 0,
                      joined_on=house.crm.today())
        )  # fmt: skip


TAUGHT: Mapping[type[Any], Callable[[House], int]] = {
    Lesson: fresh_lesson, Student: fresh_student, Enrolment: fresh_enrolment,
    StudyRecord: fresh_study_record,
}  # fmt: skip

"""Two weeks of a school: its people, their habits, and the clock that they live by."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from crm_adapters.demo.sheet import COURSES, SOURCES, a_name
from crm_domain import SYSTEM, Crm, CrmError, Principal, Query, Settings
from crm_domain.model import Cohort, Course, Department, Employee, School
from crm_domain.usecases import (
    access,
    assignment,
    follow_up,
    imports,
    intake,
    notices,
    payments,
    pool,
    pool_rules,
    records,
)
from crm_domain.usecases.imports import ImportReport
from crm_domain.usecases.pool import Sweep

DAYS = 14
PASSWORD = "demo-school-crm"
"""Of every account of the demo, which is only a demo."""
INTENTIONS = ("2个月内报名", "1个月内报名", "2周内报名")
SEED = 20_261_101
CONSULTANTS = (
    # Name, quota, weight, how likely a due customer is called, claims a day.
    ("李雷", 3, 100, 0.95, 2), ("韩梅梅", 3, 90, 0.85, 1), ("王强", 2, 80, 0.75, 1),
    ("陈静", 2, 70, 0.6, 1), ("刘洋", 2, 60, 0.35, 0), ("杨帆", 1, 50, 0.15, 0),
    ("周涛", 1, 40, 0.05, 0), ("吴倩", 1, 30, 0.8, 1),
)  # fmt: skip
NOTES = ("介绍了课程大纲，想先试听", "在上班，约晚上再聊", "关心就业率和薪资", "和家人商量学费分期",
         "比较了另一家机构", "已发学习路线图，反馈不错", "周末来校参观")  # fmt: skip


@attrs.frozen(kw_only=True)
class Happening:
    """Something that was done in the two weeks, or refused."""

    at: datetime
    zh: str
    en: str


class Story:
    """The people, their habits, and the clock that they live by."""

    crm: Crm
    report: ImportReport
    manager: Principal

    def __init__(self, now: datetime) -> None:
        zone = Settings().zone
        self._zone = zone
        self.random = random.Random(SEED)  # noqa: S311 - a story, no secret
        self.first: date = now.astimezone(zone).date() - timedelta(days=DAYS)
        self.moment = datetime.combine(self.first, time(9), zone)
        self.people: dict[str, Principal] = {}
        self.names: dict[int, str] = {}
        self.told: list[Happening] = []
        self.messages: list[str] = []
        self.released = self.warned = self.delivered = 0

    def _set(self, day: int, hour: int, minute: int = 0) -> None:
        on = self.first + timedelta(days=day)
        self.moment = datetime.combine(on, time(hour, minute), self._zone)

    def _tell(self, zh: str, en: str) -> None:
        self.told.append(Happening(at=self.moment, zh=zh, en=en))

    # -- the school ----------------------------------------------------------------------------

    def begin(self, crm: Crm) -> None:
        """Found the school."""
        self.crm = crm
        head = self._save(Department(code=1, title="校长办公室"))
        sales = self._save(Department(code=10, title="销售部", parent_id=head.id))
        teams = [self._save(Department(code=11 + i, title=f"销售{n}组", parent_id=sales.id))
                 for i, n in enumerate("一二")]  # fmt: skip
        teaching = self._save(Department(code=20, title="教学部", parent_id=head.id))
        schools = [self._save(School(title=t)) for t in ("北京沙河校区", "上海浦东校区")]
        courses = [self._save(Course(title=t)) for t in COURSES]
        self.manager = self._hire("赵敏", "zhaomin", "sales_manager", sales)
        self._hire("孙总", "admin", "administrator", head)
        self._hire("周会计", "finance1", "finance", head)
        teachers = [self._hire(n, f"teacher{i}", "teacher", teaching).employee_id or 0
                    for i, n in enumerate(("郑老师", "冯老师", "卫老师"), 1)]  # fmt: skip
        for i, course in enumerate(courses[:3]):
            self._save(Cohort(
                school_id=schools[i % 2].id or 0, course_id=course.id or 0, semester=i + 1,
                price=Decimal(19800 + 1000 * i), start_date=self.first + timedelta(days=30),
                capacity=30, teachers=(teachers[i],), tutor_id=teachers[0],
            ))  # fmt: skip
        for i, (name, *_) in enumerate(CONSULTANTS):
            away = ((self.first, self.first + timedelta(days=4)),) if name == "吴倩" else ()
            self.people[name] = self._hire(name, f"sales{i + 1}", "consultant", teams[i % 2],
                                           leave=away)  # fmt: skip
        pool_rules.set_pool_rules(
            crm, [{"source": "campus_talk", "closing_days": 10}, {}], by=SYSTEM
        )
        self._tell("公海规则：3 天未跟进、15 天未成单；高校宣讲的客户 10 天未成单",
                   "The pool rules: 3 days without contact, 15 without closing; "
                   "10 for those of campus talks")  # fmt: skip
        assignment.set_rotation(
            crm, [{"employee_id": self.people[n].employee_id, "quota": q, "weight": w}
                  for n, q, w, *_ in CONSULTANTS], by=SYSTEM,
        )  # fmt: skip
        self._tell("设置轮转：8 位顾问；吴倩前五天请假", "The rotation is set: 8 consultants, "
                   "of whom 吴倩 is on leave for five days")  # fmt: skip

    def _save(self, record: Any) -> Any:
        return records.save_record(self.crm, record, by=SYSTEM)

    def _hire(self, name: str, username: str, role: str, at: Any, **more: Any) -> Principal:
        person = self._save(Employee(name=name, department_id=at.id, **more))
        access.create_user(
            self.crm, {"username": username, "employee_id": person.id, "roles": [role],
                       "password": PASSWORD}, by=SYSTEM,
        )  # fmt: skip
        self.names[person.id] = name
        return access.principal_for(self.crm, username=username)

    def receive(self, sheet: Path) -> None:
        """Import the sheet, as the sales manager does."""
        self._set(0, 10)
        self.report = imports.import_file(self.crm, sheet, by=self.manager)
        self._tell(
            f"赵敏导入《{sheet.name}》：{self.report.accepted} 位客户分给顾问",
            f"赵敏 imports {sheet.name}: {self.report.accepted} customers are dealt",
        )

    # -- the days ------------------------------------------------------------------------------

    def live(self, day: int) -> None:
        """Live through one day: sweep, warnings, messages, calls, claims, and what is special."""
        if day:
            self._set(day, 0, 5)
            self._sweep()
        self._set(day, 8, 30)
        if day in _WARNED:
            self._warn()
        self._deliver()
        self._set(day, 11, 15)
        for name, _, _, diligence, _ in CONSULTANTS:
            self._call(name, diligence)
        self._set(day, 15, 40)
        if won := [w for name, *_, n in CONSULTANTS if n and (w := self._claim(name, n))]:
            claims = "; ".join(won)
            self._tell(
                "抢单：" + claims.replace("; ", "；").replace(", ", "、"), f"Claims: {claims}"
            )
        self._set(day, 16, 30)
        for happens in _SPECIAL.get(day, ()):
            happens(self)
        self._set(day, 17)
        for _ in range(2):
            self._walk_in()

    def _walk_in(self) -> None:
        """Somebody comes in and is entered at once."""
        number = f"1990000{self.random.randrange(10**4):04d}"
        values = {"name": a_name(self.random), "phone": number,
                  "source": self.random.choice(SOURCES)}  # fmt: skip
        self._try("前台录入", "The desk enters somebody",
                  lambda: intake.register_customer(self.crm, values, by=self.manager))  # fmt: skip

    def end(self, now: datetime) -> Sweep:
        """Come back to the present: one more sweep, the last messages."""
        self.moment = now.astimezone(self._zone)
        found = self._sweep()
        self._warn()
        self._deliver()
        return found

    def _sweep(self) -> Sweep:
        found = pool.sweep_pool(self.crm, by=SYSTEM)
        self.released += found.released
        if found.released:
            whose = [f"{self.names[n]} {k}" for n, k in found.by_owner.items()]
            many = "customer" if found.released == 1 else "customers"
            self._tell(
                f"每日回收：{found.released} 位客户退回公海（{'、'.join(whose)}）",
                f"The sweep takes {found.released} {many} back ({', '.join(whose)})",
            )
        return found

    def _warn(self) -> None:
        written = pool.warn_owners(self.crm, by=SYSTEM)
        self.warned += written
        self._tell(f"提醒顾问：{written} 位客户明天到期",
                   f"Warnings: {written} customers fall due tomorrow")  # fmt: skip

    def _deliver(self) -> None:
        with redirect_stderr(io.StringIO()) as console:
            self.delivered += notices.deliver_due(self.crm, by=SYSTEM).sent
        self.messages += console.getvalue().splitlines()

    def _mine(self, name: str) -> Sequence[Any]:
        query = Query(where={"status": 1}, limit=1000)
        return assignment.my_customers(self.crm, query, by=self.people[name]).items

    def _call(self, name: str, diligence: float) -> None:
        """Call the customers that fall due within a day, as far as one is diligent."""
        soon = self.crm.today() + timedelta(days=1)
        for row in self._mine(name):
            due = row.due_on is not None and row.due_on <= soon
            if due and self.random.random() < diligence:
                values = {"note": self.random.choice(NOTES), "channel": "电话",
                          "intention": self.random.choice(INTENTIONS),
                          "next_contact_at": self.moment + timedelta(days=2)}  # fmt: skip
                follow_up.log_follow_up(self.crm, row.customer_id, values, by=self.people[name])

    def _claim(self, name: str, times: int) -> str:
        """Claim customers of the pool, and say which."""
        query = Query(limit=max(times, 1))
        won: list[str] = []
        for customer in pool.public_customers(self.crm, query, by=self.people[name]).items[:times]:
            number = customer.id or 0
            claimed = self._try(
                f"{name} 想抢 {customer.name}", f"{name} tries to claim {customer.name}",
                partial(pool.claim_customer, self.crm, number, by=self.people[name]),
            )  # fmt: skip
            won += [customer.name] if claimed else []
        return f"{name} {', '.join(won)}" if won else ""

    def _try(self, zh: str, en: str, act: Callable[[], Any]) -> bool:
        """Do something that may be refused; a refusal is told."""
        try:
            act()
        except CrmError as e:
            self._tell(f"{zh}，被拒绝：{e.message('zh')}", f"{en}: {e.message('en')}")
            return False
        return True

    # -- what is special -----------------------------------------------------------------------

    def _lock(self) -> None:
        row = self._mine("周涛")[0]
        assignment.lock_customer(self.crm, row.customer_id, reason="企业团报，老板亲自谈",
                                 by=self.manager)  # fmt: skip
        self._tell(f"赵敏锁定 {row.name}（周涛的客户）：企业团报，老板亲自谈",
                   f"赵敏 locks {row.name} of 周涛: the head negotiates it")  # fmt: skip

    def _transfer(self) -> None:
        row = self._mine("王强")[0]
        assignment.transfer_customer(self.crm, row.customer_id,
                                     self.people["陈静"].employee_id or 0,
                                     reason="客户想去上海校区", by=self.manager)  # fmt: skip
        self._tell(f"赵敏把 {row.name} 从王强转给陈静：客户想去上海校区",
                   f"赵敏 moves {row.name} from 王强 to 陈静")  # fmt: skip

    def _release(self) -> None:
        row = self._mine("刘洋")[0]
        pool.release_customer(self.crm, row.customer_id, reason="方向不合", by=self.people["刘洋"])
        self._tell(f"刘洋主动放弃 {row.name}", f"刘洋 gives {row.name} back")
        for name in ("刘洋", "李雷"):
            if self._try(f"{name} 想抢 {row.name}", f"{name} tries to claim {row.name}",
                         partial(pool.claim_customer, self.crm, row.customer_id,
                                 by=self.people[name])):  # fmt: skip
                self._tell(f"{name} 抢到 {row.name}", f"{name} claims {row.name}")

    def _late(self) -> None:
        """Somebody follows up on what was lost at midnight."""
        lost = next(
            (c for c in pool.public_customers(self.crm, Query(limit=100), by=self.manager)
             if c.last_consultant_id == self.people["周涛"].employee_id), None,
        )  # fmt: skip
        if lost is not None:
            self._try(f"周涛想跟进已退回公海的 {lost.name}",
                      f"周涛 wants to log a call to {lost.name}, lost at midnight",
                      lambda: follow_up.log_follow_up(self.crm, lost.id or 0, {"note": "补记"},
                                                      by=self.people["周涛"]))  # fmt: skip

    def _pay(self) -> None:
        row = self._mine("韩梅梅")[0]
        payments.record_payment(
            self.crm, {"customer_id": row.customer_id, "kind": "订金", "amount": "1000",
                       "paid_on": self.crm.today(), "method": "微信"}, by=self.people["韩梅梅"],
        )  # fmt: skip
        self._tell(
            f"韩梅梅登记 {row.name} 的订金，待审核期间客户不会退回公海",
            f"韩梅梅 enters a deposit of {row.name}, who stays private meanwhile",
        )


_WARNED = (3, 9)
"""A school warns every day; these mornings and the last are enough for a story."""
_SPECIAL: Mapping[int, Sequence[Callable[[Story], None]]] = {
    2: (Story._lock,), 3: (Story._transfer,), 5: (Story._late,), 6: (Story._release,),
    12: (Story._pay,),
}  # fmt: skip

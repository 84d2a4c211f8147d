"""The audit log, the notices, the schedule and the plugins in the browser."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import cast
from zipfile import ZipFile

import attrs
import pytest

from crm_domain import SYSTEM
from crm_domain.errors import DeliveryFailed
from crm_domain.model import Course, Employee, Notice, NoticeStatus
from crm_domain.model.fields import changed
from crm_domain.ports import Loaded, Query, Settings
from crm_domain.rules.access import Principal
from crm_domain.usecases import (
    access,
    intake,
    notices,
    pool_rules,
    records,
    rotation,
    schedule,
    sweep,
)
from crm_web.asgi import application
from crm_web.context import Context
from crm_web.look import Look
from crm_web.pages.jobs import planned
from make import World, phone
from steps import login
from web.conftest import Visit
from web.visitor import PASSWORD, Visitor

SPOKEN = cast(Context, SimpleNamespace(t=lambda zh, en: zh, language="zh"))
PAGES = ("/audit", "/audit/facets", "/notices", "/jobs", "/plugins")


@pytest.fixture
def boss(world: World) -> Principal:
    """Somebody who may do everything."""
    return world.person("孙总", "administrator")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_of_the_office_is_there_in_both_languages(
    visit: Visit, world: World, boss: Principal, language: str
) -> None:
    """For an administrator each page answers; for a consultant none does but the own notices'."""
    access.set_language(world.crm, language, by=boss)
    visitor, other = visit(boss), visit(world.a)
    for path in PAGES:
        assert visitor.get(path).status_code == 200, path
        assert other.get(path).status_code == 403, path


# -- the audit log ----------------------------------------------------------------------------


def test_the_log_shows_each_field_before_and_after_in_peoples_words(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Names for references, words for choices, and markup is only text."""
    course = records.save_record(world.crm, Course(title="<b>旧</b>"), by=boss)
    records.save_record(world.crm, changed(course, title="新"), by=boss)
    text = visit(boss).get(f"/audit?record=Course&record_id={course.id}&action=update").text
    assert "<del>&lt;b&gt;旧&lt;/b&gt;</del> → <ins>新</ins>" in text
    assert "课程名称" in text
    assert "孙总" in text
    assert "<b>旧" not in text


def test_of_a_list_the_log_says_what_came_and_what_went(
    visit: Visit, world: World, boss: Principal
) -> None:
    """A role's permissions by their names, not all of them twice."""
    values = {"title": "教务", "permissions": ["course:view", "school:view"]}
    role = access.add_role(world.crm, values, by=boss)
    access.edit_role(world.crm, role.id or 0, {"permissions": ["course:view", "lesson:view"]},
                     by=boss)  # fmt: skip
    text = visit(boss).get("/audit?record=Role&action=update").text
    assert "<ins>+ 上课记录  − 校区</ins>" in text
    assert "新建" in visit(boss).get("/audit?record=Role&action=create").text


def test_of_rules_and_rotation_the_log_says_what_they_were_and_are_by_field(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Each rule and each entry with its fields by name; of two lists what came and what went."""
    pool_rules.set_pool_rules(world.crm, [{"contact_days": 5, "source": "seo"}], by=boss)
    pool_rules.set_pool_rules(world.crm, [{"contact_days": 7, "source": "seo"}], by=boss)
    entry = {"employee_id": world.a.employee_id, "quota": 2, "weight": 7}
    rotation.set_rotation(world.crm, [entry], by=boss)
    text = visit(boss).get("/audit").text
    assert "来源：" in text
    assert "未跟进天数：7" in text
    assert "− (" in text
    assert "课程顾问：李雷，数量：2，权重：7，启用：是" in text


def test_of_a_sweep_the_log_says_why_and_from_whom_in_words(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Reasons and owners are counted by what they are called, not by numbers."""
    world.customer(world.a)
    world.clock.advance(timedelta(days=30))
    assert sweep.sweep_pool(world.crm, by=SYSTEM).released == 1
    text = visit(boss).get("/audit?action=sweep").text
    assert "每日回收" in text
    assert "N天未跟进：1" in text
    assert "李雷：1" in text


def test_the_log_is_filtered_by_record_action_person_and_day(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Filters, their counts and the export agree; what cannot be asked is refused by name."""
    visitor = visit(boss)
    course = records.save_record(world.crm, Course(title="Python"), by=boss)
    records.remove_record(world.crm, Course, course.id or 0, by=boss)

    def found(query: str) -> list[tuple[str, str]]:
        rows = visitor.get(f"/audit.json?{query}").json()["items"]
        return [(row["record"], row["action"]) for row in rows]

    assert found("record=Course") == [("Course", "remove"), ("Course", "create")]
    assert found(f"record=Course&by_id={boss.user_id}&action=create") == [("Course", "create")]
    assert found("record=Course&at.from=2026-11-01&at.to=2026-11-01")
    assert not found("record=Course&at.from=2026-11-02")
    assert "删除<small>1</small>" in visitor.get("/audit/facets?record=Course").text
    assert visitor.get("/audit?at.from=never").status_code == 422


def test_the_log_is_exported_as_it_is_filtered_and_that_is_written_down(
    visit: Visit, world: World, boss: Principal
) -> None:
    """No cell is a formula."""
    records.save_record(world.crm, Course(title="=1+1"), by=boss)
    visitor = visit(boss)
    text = visitor.get("/audit.csv?record=Course").content.decode("utf-8-sig")
    assert "课程" in text.splitlines()[1]
    assert not re.search(r"(^|,)=", text, re.M)
    book = visitor.get("/audit.xlsx?record=Course")
    assert ZipFile(io.BytesIO(book.content)).namelist()
    rows = visitor.get("/audit.json?record=AuditEntry").json()["items"]
    assert [row["action"] for row in rows] == ["export", "export"]


# -- notices ----------------------------------------------------------------------------------


class NoBox:
    """A channel by which nobody can be reached."""

    name = "email"

    def address(self, employee: Employee) -> str | None:
        """Everybody has an address."""
        return "a@b.cn"

    def send(self, notice: Notice, employee: Employee) -> str | None:
        """Fail for good."""
        raise DeliveryFailed(reason="550 <no> such box", permanent=True)

    def close(self) -> None:
        """Nothing is held."""


def dead(world: World) -> list[int]:
    """Make notices that were given up, and give their numbers."""
    crm = attrs.evolve(world.crm, notifiers={"email": NoBox()}, settings=Settings(channels="email"))
    for owner in (world.a, world.b):
        typed = {"name": "王芳", "phone": phone()}
        intake.register_customer(crm, typed, consultant_id=owner.employee_id, by=SYSTEM)
    notices.deliver_due(crm, by=SYSTEM)
    page = notices.list_notices(crm, status=NoticeStatus.DEAD, by=SYSTEM)
    assert len(page) == 2
    return [n.id or 0 for n in page]


def test_notices_that_were_given_up_are_seen_with_their_error_and_sent_again(
    visit: Visit, world: World, boss: Principal
) -> None:
    """One or all that match; one that needs no resending is told with its reason."""
    numbers = dead(world)
    visitor = visit(boss)
    page = visitor.get("/notices?status=dead").text
    assert "550 &lt;no&gt; such box" in page
    assert len(re.findall("data-tick ", page)) == len(numbers) > 1
    answer = visitor.post("/notices/actions/resend", {"ids": numbers[:1]})
    assert answer.status_code == 303
    answer = visitor.post("/notices/actions/resend", {"all": "1", "state": "status=dead"})
    assert answer.status_code == 303
    page = notices.list_notices(world.crm, Query(where={"id": numbers}), by=SYSTEM)
    assert {n.status for n in page} == {NoticeStatus.PENDING}
    answer = visitor.post("/notices/actions/resend", {"ids": numbers[:1]})
    assert answer.status_code == 200
    assert "1 条没有成功" in answer.text


def test_who_may_only_look_at_notices_resends_none(visit: Visit, world: World) -> None:
    """The button is not there, and the form is refused."""
    numbers = dead(world)
    visitor = visit(world.manager)
    assert "actions/resend" not in visitor.get("/notices").text
    answer = visitor.post("/notices/actions/resend", {"ids": numbers})
    assert answer.status_code == 403


# -- the schedule -----------------------------------------------------------------------------


def test_a_job_is_handed_to_the_workers_and_its_result_is_told(
    visit: Visit, world: World, boss: Principal
) -> None:
    """The page has each job with its expression, and afterwards the run; no such job is none."""
    visitor = visit(boss)
    assert visitor.get("/jobs").text.count("立即运行：") == len(schedule.JOBS)
    assert visitor.post("/jobs/tidy/run").headers["location"] == "/jobs"
    text = visitor.get("/jobs").text
    assert "已安排运行" in text
    assert text.count("等待后台运行") == 1
    assert "tidy" in {run.name for run in schedule.tick(world.crm, by=SYSTEM)}
    text = visitor.get("/jobs").text
    assert "等待后台运行" not in text
    assert "已清理 0" in text
    assert visitor.post("/jobs/nothing/run").status_code == 404
    assert visitor.get("/jobs/tidy/run").status_code == 405
    assert "每天 00:05" in visitor.get("/jobs").text


@pytest.mark.parametrize(
    ("cron", "said"),
    [("* * * * *", "每分钟"), ("*/5 * * * *", "每 5 分钟"), ("7 * * * *", "每小时第 7 分"),
     ("5 0 * * *", "每天 00:05"), ("0 9 * * 1", "0 9 * * 1"), ("0 8-18 * * *", "0 8-18 * * *")],
)  # fmt: skip
def test_a_schedule_is_said_in_words_where_there_are_words(cron: str, said: str) -> None:
    """What is less simple stays the expression that it is."""
    assert planned(SPOKEN, cron) == said


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
         " Gecko) Mobile/15E148 MicroMessenger/8.0.44", "微信 WeChat · iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
         " Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", "Edge · Windows"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"
         " Mobile Safari/537.36", "Chrome · Android"),
        ("curl/8.5.0", "curl/8.5.0"), (None, "未知设备"),
    ],
)  # fmt: skip
def test_a_device_is_called_as_people_call_it(agent: str | None, said: str) -> None:
    """By its browser and its system; what is neither is shown as it calls itself."""
    assert Look(SPOKEN).device(agent) == said


@pytest.mark.parametrize(
    ("language", "told", "because"),
    [("zh", "您有一位新客户", "由 赵敏 录入时指定"),
     ("en", "You have a new customer", "assigned by 赵敏")],
)  # fmt: skip
def test_what_was_told_and_why_is_read_in_one_s_own_language(
    visit: Visit, world: World, boss: Principal, language: str, told: str, because: str
) -> None:
    """In the inbox, the list of notices and its file, and in the timeline of the customer."""
    world.crm = attrs.evolve(world.crm, settings=Settings())
    customer = intake.register_customer(
        world.crm, {"name": "王芳", "phone": phone()}, consultant_id=world.a.employee_id,
        by=world.manager,
    )  # fmt: skip
    for who in (world.a, world.manager, boss):
        access.set_language(world.crm, language, by=who)
    own, manager, office = visit(world.a), visit(world.manager), visit(boss)
    pages = [own.get("/inbox"), *(v.get(f"/customers/{customer.id}") for v in (own, manager))]
    assert [p.status_code for p in pages if told not in p.text or because not in p.text] == []
    for path in ("/notices", "/notices.csv"):
        assert told in office.get(path).text


def test_plugins_are_listed_with_what_went_wrong(world: World, boss: Principal) -> None:
    """A broken one shows its error, as text."""
    broken = Loaded(name="crm-fax", version="0.1", error="ImportError: <no> modem")
    crm = attrs.evolve(world.crm, plugins=(*world.crm.plugins, broken))
    visitor = Visitor(application(crm))
    access.set_password(world.crm, login(world.crm, boss), PASSWORD, by=SYSTEM)
    visitor.sign_in(login(world.crm, boss))
    text = visitor.get("/plugins").text
    assert "crm-fax" in text
    assert "ImportError: &lt;no&gt; modem" in text
    assert "crm_screens" in text

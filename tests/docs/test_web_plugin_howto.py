"""The page on lists and pages of plugins tells the truth: its code runs as it stands."""

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

from crm_adapters import open_crm
from crm_domain import SYSTEM, Settings
from crm_domain.hookspecs import GROUP
from crm_domain.model import Cohort, Course, Employee, School
from crm_domain.usecases import access, intake, records
from crm_web.asgi import application
from web.visitor import PASSWORD, Visitor

PAGE = (Path(__file__).parents[2] / "docs/how-to/a-new-list-in-ten-lines.md").read_text("utf-8")
COMING, DESK_INIT, DESK = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PROJECT, DESK_PROJECT = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
[TEMPLATE] = re.findall(r"```html\n(.*?)```", PAGE, re.DOTALL)


def install(folder, name, module):
    """What ``pip install .`` leaves behind beside the module."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {module}\n")


@pytest.fixture
def visitor(tmp_path, monkeypatch):
    """An administrator with a browser, in a school that has both plugins of the page."""
    project = tomllib.loads(PROJECT)["project"]
    assert project["entry-points"][GROUP] == {"crm-coming": "crm_coming"}
    project = tomllib.loads(DESK_PROJECT)
    assert project["project"]["entry-points"][GROUP] == {"crm-desk": "crm_desk"}
    kept = project["tool"]["setuptools"]
    assert kept["packages"] == ["crm_desk"]
    assert kept["package-data"] == {"crm_desk": ["templates/*.html"]}
    (tmp_path / "crm_coming.py").write_text(COMING, "utf-8")
    install(tmp_path, "crm-coming", "crm_coming")
    (tmp_path / "crm_desk" / "templates").mkdir(parents=True)
    (tmp_path / "crm_desk" / "__init__.py").write_text(DESK_INIT, "utf-8")
    (tmp_path / "crm_desk" / "desk.py").write_text(DESK, "utf-8")
    (tmp_path / "crm_desk" / "templates" / "desk.html").write_text(TEMPLATE, "utf-8")
    install(tmp_path, "crm-desk", "crm_desk")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with open_crm("sqlite://", migrate=True, settings=Settings(plugins_strict=True)) as crm:
        school = records.save_record(crm, School(title="沙河校区"), by=SYSTEM)
        course = records.save_record(crm, Course(title="Python"), by=SYSTEM)
        records.save_record(
            crm, Cohort(school_id=school.id, course_id=course.id, semester=7), by=SYSTEM
        )
        sun = records.save_record(crm, Employee(name="孙总"), by=SYSTEM)
        access.create_user(
            crm, {"username": "sun", "employee_id": sun.id, "roles": ["administrator"],
                  "password": PASSWORD}, by=SYSTEM,
        )  # fmt: skip
        for i, name in enumerate(("王芳", "张伟")):
            intake.register_customer(
                crm, {"name": name, "phone": f"1380013800{i}"}, to="pool", by=SYSTEM
            )
        one = Visitor(application(crm))
        one.crm = crm
        assert one.sign_in("sun").status_code == 303
        yield one
    for name in [n for n in sys.modules if n.partition(".")[0] in ("crm_coming", "crm_desk")]:
        del sys.modules[name]


def test_the_list_is_what_its_heading_promises():
    """Ten lines, blank ones aside or not."""
    assert len([line for line in COMING.splitlines() if line.strip()]) <= 10


def test_the_list_has_all_that_the_table_names(visitor):
    """Page, JSON, files and forms, of one declaration."""
    for path in ("/coming", "/coming.json", "/coming.csv", "/coming.xlsx", "/coming/new",
                 "/coming/1/edit", "/coming/1/remove"):  # fmt: skip
        assert f"`{re.sub('1', '3', path)}`" in PAGE
        answer = visitor.get(path)
        assert answer.status_code == 200, path
    assert "开班计划" in visitor.get("/coming").text
    assert visitor.get("/coming.json").json()["items"][0]["semester"] == 7
    assert "Python" in visitor.get("/coming.csv").text


def test_customers_have_the_column_and_the_action(visitor):
    """The column is on the page, in the data and in the file; the action changes what is ticked."""
    page = visitor.get("/customers").text
    assert "尾号" in page and ">8001<" in page
    rows = visitor.get("/customers.json").json()["items"]
    assert {row["name"]: row["tail"] for row in rows} == {"王芳": "8000", "张伟": "8001"}
    assert "8001" in visitor.get("/customers.csv").text
    ids = [row["id"] for row in rows]
    done = visitor.post("/customers/actions/note", {"ids": ids, "line": "周六来访"})
    assert done.status_code == 303
    assert "已为 2 位客户加备注。" in visitor.get("/customers").text
    memos = {intake.get_customer(visitor.crm, n, by=SYSTEM).memo for n in ids}
    assert memos == {"周六来访"}


def test_the_page_stands_in_the_menu_and_shows_who_is_new(visitor):
    """The administrator has its permission, as the page says."""
    assert 'href="/desk"' in visitor.get("/").text
    page = visitor.get("/desk").text
    assert "今日前台" in page and "王芳" in page
    assert records.list_records(visitor.crm, Cohort, by=SYSTEM)


def test_the_page_of_a_plugin_asks_for_its_permission(visitor):
    """Whoever has not been given it is refused."""
    li = records.save_record(visitor.crm, Employee(name="李雷"), by=SYSTEM)
    access.create_user(
        visitor.crm, {"username": "li", "employee_id": li.id, "roles": ["consultant"],
                      "password": PASSWORD}, by=SYSTEM,
    )  # fmt: skip
    other = Visitor(visitor.client.app)
    other.sign_in("li")
    assert other.get("/desk").status_code == 403
    assert other.get("/coming").status_code == 200

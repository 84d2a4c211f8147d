"""Databases for the command line."""

import io
import os
import sys

import pytest

from commands import Here
from crm_adapters.cli import main


@pytest.fixture
def here(capsys, monkeypatch, tmp_path, sqlite_template):
    """Commands on a fresh database; nobody is there yet."""
    (tmp_path / "crm.db").write_bytes(sqlite_template.read_bytes())
    for name in list(os.environ):
        if name.startswith(("CRM_", "LC_", "LANG", "COLUMNS")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return Here(capsys, monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def school_template(sqlite_template, tmp_path_factory):
    """Two consultants in the rotation, and three customers: 1 and 2 dealt, 3 in the pool."""
    path = tmp_path_factory.mktemp("school") / "crm.db"
    path.write_bytes(sqlite_template.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_DATABASE_URL", f"sqlite:///{path}")
        for command in (
            "user add li --name 李雷 --role consultant",
            "user add han --name 韩梅梅 --role consultant",
            "rotation set 李雷:2:10 韩梅梅:1:5",
            "customers add --name 王芳 --phone +86-138-0013-8000 --source 百度",
            "customers add --name 张三 --wechat zhang_3",
            "customers add --name 赵四 --qq 123456 --to pool",
        ):
            assert main(command.split()) == 0
        assert main(["db", "backup", str(path.with_name("school.zip"))]) == 0
        patch.setenv("CRM_DATABASE_URL", f"sqlite:///{path.with_name('copy.db')}")
        assert main(["db", "restore", str(path.with_name("school.zip"))]) == 0
    return path.with_name("copy.db")


@pytest.fixture
def school(here, school_template):
    """A copy of the school."""
    (here.folder / "crm.db").write_bytes(school_template.read_bytes())
    return here

"""Plugins bring lists, pages and templates of their own, and replace none that is there."""

from pathlib import Path

import pytest

from crm_domain.model import Course
from crm_web.answers import Nothing, Page
from crm_web.app import make_app
from crm_web.files import Files
from crm_web.pages import screens
from crm_web.resource import plain
from crm_web.resources import resources
from crm_web.screen import ANYBODY, Screen, Templates
from crm_web.site import make_templates
from web.visitor import Visitor


def a_folder(tmp_path: Path, name: str, text: str) -> Path:
    (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def test_a_page_of_a_plugin_stands_in_the_frame_of_all_pages(crm, tmp_path):
    """What it shows is escaped like everything else."""
    folder = a_folder(
        tmp_path,
        "board.html",
        '{% extends "base.html" %}{% block content %}<p>{{ word }}</p>{% endblock %}',
    )
    board = Screen(path="/board", needs=ANYBODY,
                   call=lambda c: Page(template="board.html", data={"word": "<b>"}))  # fmt: skip
    found = Visitor(make_app(crm, [*screens(), board, Templates(folder=folder)])).get("/board")
    assert found.status_code == 200
    assert "<p>&lt;b&gt;</p>" in found.text and "tabler.min" in found.text


def test_a_template_of_the_program_is_not_replaced(tmp_path):
    """Nor one of another plugin: it would be a page that nobody asked for."""
    folder = a_folder(tmp_path, "base.html", "mine")
    with pytest.raises(ValueError, match=r"base\.html is there already"):
        make_templates(Files(), [folder])


def test_a_folder_without_templates_is_told_at_the_start(tmp_path):
    """A misspelt folder is not found out by whoever opens the page."""
    with pytest.raises(ValueError, match="is empty"):
        make_templates(Files(), [tmp_path / "tempaltes"])


@pytest.mark.parametrize(
    "given",
    [
        plain(Course, "courses", ("课程", "Courses"), "book"),
        Screen(path="/rotation", needs=ANYBODY, call=lambda c: Nothing()),
        Screen(path="/courses.json", needs=ANYBODY, call=lambda c: Nothing()),
    ],
    ids=["list", "page", "page of a list"],
)
def test_a_list_or_page_of_the_program_is_not_replaced(crm, given):
    """Whichever was loaded first would have won, and nobody would have known."""
    own = [*screens(), *resources()]
    make_app(crm, own)
    with pytest.raises(ValueError, match="there twice"):
        make_app(crm, [given, *own])

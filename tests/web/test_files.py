"""The files of the pages."""

import re
from pathlib import Path

import pytest

from crm_web import assets, resources
from crm_web.assets import ICONS, AssetsMissing
from crm_web.files import VENDOR, Files
from crm_web.resource import Resource
from crm_web.site import TEMPLATES

SOURCES = Path(resources.__file__).parents[1]


def test_every_icon_that_a_page_names_is_in_the_sprite():
    """A missing one would be an empty square."""
    named = set()
    for path in TEMPLATES.glob("*.html"):
        named |= set(re.findall(r"""p?\.?\bi\("([a-z0-9-]+)\"""", path.read_text("utf-8")))
    for path in SOURCES.rglob("*.py"):
        named |= set(re.findall(r'icon="([a-z0-9-]+)"', path.read_text("utf-8")))
    named |= {r.icon for r in resources.resources() if isinstance(r, Resource)}
    named |= {a.icon for r in resources.resources() for a in r.actions}
    assert len(named) > 30
    assert named <= set(ICONS)


def test_the_sprite_has_every_icon():
    """The assets are installed before the tests run, and by the same list."""
    sprite = (VENDOR / "icons.svg").read_text("utf-8")
    assert set(re.findall(r'<symbol id="([a-z0-9-]+)"', sprite)) == set(ICONS)


def test_a_file_is_named_after_its_content(tmp_path):
    """So that browsers keep it for good, and never an old one."""
    (tmp_path / "a.css").write_text("a{}")
    first = Files((tmp_path,)).address("a.css")
    (tmp_path / "a.css").write_text("b{}")
    second = Files((tmp_path,)).address("a.css")
    assert first != second
    assert re.fullmatch(r"/static/a\.[0-9a-f]{12}\.css", first)


def test_what_is_missing_is_named(tmp_path):
    """`crm serve` says it before it begins."""
    assert "htmx.min.js" in Files((tmp_path,)).missing
    assert Files().missing == ()


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """An npm that notes each call and does what is asked of it."""

    def does(script: str) -> Path:
        program = tmp_path / "bin" / "npm"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho called >> calls\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        return tmp_path / "calls"

    return does


def test_a_registry_that_stalls_is_asked_again(tmp_path, npm):
    """As it happens on a machine that waits for one answer that never comes."""
    calls = npm("[ $(wc -l < calls) -ge 2 ] || exec sleep 60")
    assets._npm(tmp_path, patience=1)
    assert len(calls.read_text().splitlines()) == 2


def test_a_registry_that_stalls_for_good_is_told(tmp_path, npm):
    """It does not wait for ever."""
    calls = npm("exec sleep 60")
    with pytest.raises(AssetsMissing, match="did not end within 1 s"):
        assets._npm(tmp_path, patience=1, tries=2)
    assert len(calls.read_text().splitlines()) == 2


def test_what_npm_says_is_told_at_once(tmp_path, npm):
    """A wrong checksum is not mended by asking again."""
    calls = npm("echo EINTEGRITY >&2; exit 1")
    with pytest.raises(AssetsMissing, match="EINTEGRITY"):
        assets._npm(tmp_path)
    assert len(calls.read_text().splitlines()) == 1

"""The files of the pages."""

import re
from pathlib import Path

from crm_web import resources
from crm_web.assets import ICONS
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

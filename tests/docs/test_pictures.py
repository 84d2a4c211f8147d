"""The pictures of the documents: each is shown, each is there, and none is heavy."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SHOWN = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
WIDTH, MOST_BYTES, MOST = 1100, 120_000, 12
PICTURES = sorted(FOLDER.glob("*"))


def shown() -> list[tuple[Path, str, Path]]:
    """Give each place where a picture is shown: the page, what is said instead, the file."""
    return [
        (page, words, (page.parent / to).resolve())
        for page in PAGES
        for words, to in SHOWN.findall(page.read_text("utf-8"))
        if "pictures/" in to
    ]


def test_every_picture_that_is_shown_is_there() -> None:
    """And says in words what it shows, for those who do not see it."""
    assert [(page.name, to.name) for page, _, to in shown() if to not in PICTURES] == []
    assert all(len(words) > 5 for _, words, _ in shown())


def test_every_picture_is_shown() -> None:
    """A picture that nobody looks at grows old unseen."""
    used = {to for _, _, to in shown()}
    assert [p.name for p in PICTURES if p not in used] == []
    assert len(PICTURES) <= MOST


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.name)
def test_a_picture_is_light_and_of_the_width_of_all(picture: Path) -> None:
    """A clone and a page stay small, and words in all pictures have one size."""
    content = picture.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", content[16:20]) == (WIDTH,)
    assert len(content) <= MOST_BYTES

"""The glossary has a word for everything that has a name in the records."""

from __future__ import annotations

import inspect
import re
from enum import Enum
from pathlib import Path

from crm_domain import model
from crm_domain.model import RECORDS, Choice, about

PAGE = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text("utf-8")
ROWS = {
    name: chinese
    for names, chinese in re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", names)
}
HAN = re.compile(r"[\u3400-\u9fff]")


def closed_lists() -> dict[str, type[Enum]]:
    """The choices and states of the records."""
    return {
        name: kind
        for name, kind in inspect.getmembers(model, inspect.isclass)
        if issubclass(kind, Enum) and kind is not Choice
    }


def test_every_record_is_in_the_glossary_by_the_word_of_the_staff() -> None:
    """A new record is not finished before it has its words."""
    lacking = {
        name: about(kind).zh
        for name, kind in RECORDS.items()
        if about(kind).zh not in ROWS.get(name, "")
    }
    assert lacking == {}


def test_every_choice_is_in_the_glossary() -> None:
    """So is a new closed list."""
    assert sorted(closed_lists().keys() - ROWS.keys()) == []


def test_the_glossary_names_no_record_or_choice_that_is_gone() -> None:
    """What begins with a capital letter is a class of the model, or of the rules of access."""
    classes = {n for n in ROWS if n[0].isupper() and not n.isupper()}
    assert sorted(classes - RECORDS.keys() - closed_lists().keys() - {"Principal"}) == []


def test_every_word_has_its_chinese() -> None:
    """The middle column is what staff say."""
    assert [name for name, chinese in ROWS.items() if not HAN.search(chinese)] == []


def test_every_member_of_a_choice_has_a_label_of_its_own_in_both_languages() -> None:
    """Two members that read alike could not be told apart in a form."""
    for name, kind in closed_lists().items():
        if issubclass(kind, Choice):
            for language in ("zh", "en"):
                labels = [member.label(language) for member in kind]
                assert all(labels), name
                assert len(set(labels)) == len(labels), name
            assert not any(HAN.search(member.en) for member in kind), name

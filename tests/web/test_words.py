"""Both languages stand side by side in the templates, so nothing can be said in one only."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import jinja2
import pytest
from jinja2 import nodes

from crm_domain import Crm
from crm_domain.model import Assignment, Menu, Notice, Permission, PermissionGroup, Role, specs
from crm_domain.rules.access import Principal
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import access, intake, records, views
from crm_web.site import TEMPLATES
from web.conftest import Visit
from web.expected import EXPECTED
from web.house import House, filled

CHINESE = re.compile(r"[\u3400-\u9fff]")
PAGES = sorted(path.name for path in TEMPLATES.glob("*.html"))
SAME = {"中文", "English"}
"""What a language is called is said in that language."""


def words_of(page, folder=TEMPLATES):
    """Give the calls of ``t`` in a template, and all text that stands outside of them."""
    tree = jinja2.Environment(autoescape=True).parse((folder / page).read_text("utf-8"))
    calls = [c for c in tree.find_all(nodes.Call) if getattr(c.node, "name", "") == "t"]
    inside = {id(c) for call in calls for c in call.find_all(nodes.Const)}
    constants = [c.value for c in tree.find_all(nodes.Const) if id(c) not in inside]
    texts = [d.data for d in tree.find_all(nodes.TemplateData)]
    return calls, [v for v in constants if isinstance(v, str)] + texts


@pytest.mark.parametrize("page", PAGES)
def test_every_word_of_a_page_is_there_in_both_languages(page):
    """A word for people comes in a pair: Chinese, and English without Chinese in it."""
    both_languages(*words_of(page))


def both_languages(calls, rest):
    for call in calls:
        assert len(call.args) == 2 or call.dyn_args is not None, f"line {call.lineno}"
        for argument in call.args[1:]:
            for constant in (argument, *argument.find_all(nodes.Const)):
                assert not isinstance(constant, nodes.Const) or not CHINESE.search(
                    str(constant.value)
                ), constant.value
    assert [w for w in rest if CHINESE.search(w) and w.strip() not in SAME] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_nothing_in_english_alone(page):
    """Text beside the markup is in no language: numbers, signs, names of file types."""
    _, rest = words_of(page)
    for text in rest:
        if "<" in text or ">" in text:
            shown = re.sub(r"<[^>]*>|^[^<]*>|<[^>]*$", " ", text)
            words = set(re.findall(r"[A-Za-z]{3,}", shown)) - {"Excel", "xlsx", "CSV", "nbsp"}
            assert not words - {"amp"}, words


@pytest.mark.parametrize("text", ["<p>你好</p>", "{{ t('好', '好') }}", "{{ '好' }}"])
def test_the_scan_finds_what_is_missing(text, tmp_path):
    """The control: a word in one language only is found."""
    (tmp_path / "bad.html").write_text(text, "utf-8")
    with pytest.raises(AssertionError):
        both_languages(*words_of("bad.html", tmp_path))


# -- whole screens ------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Excuse:
    """What may be Chinese on an English screen, and why."""

    why: str
    words: Callable[[Crm], set[str]]
    at: str = ""
    """Where, as an expression; "" is everywhere."""


EXCUSED = (
    Excuse(why="what a language is called is said in that language", words=lambda crm: {"中文"}),
    Excuse(
        why="programs read the fields as they are kept", at=r"/(notices|assignments)\.json",
        words=lambda crm: stored(crm, Notice, "subject", "body")
        | stored(crm, Assignment, "explanation"),
    ),
    Excuse(
        why="the Chinese title is a field of its own here, beside the English one",
        at=r"/menus(\.csv|\.json|/permissions/.*)|/permission_groups(\..*)?|/roles/\d+",
        words=lambda crm: stored(crm, Menu, "title") | stored(crm, PermissionGroup, "title")
        | stored(crm, Permission, "title") | stored(crm, Role, "title"),
    ),
)  # fmt: skip


def stored(crm: Crm, cls: type[Any], *names: str) -> set[str]:
    with crm.unit_of_work(read_only=True) as uow:
        return {getattr(one, n) or "" for one in uow.records.all(cls) for n in names}


def in_ascii(value: Any) -> Any:
    """Write names without Chinese characters, each other name otherwise."""
    if isinstance(value, str):
        return "".join(c if c.isascii() else f"u{ord(c):x}" for c in value)
    return value


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, crm: Crm, clock: FixedClock) -> House:
    """Build the school with names that have no Chinese character; the program's own words do."""
    typing = ((records, "save_record"), (access, "add_role"), (views, "save_view"),
              (intake, "register_customer"))  # fmt: skip
    for module, name in typing:
        monkeypatch.setattr(module, name, typed_in_ascii(getattr(module, name)))
    return House(crm, clock)


def typed_in_ascii(use_case: Callable[..., Any]) -> Callable[..., Any]:
    """Give a use case that is told a record, or values, by somebody who types ASCII only."""

    def call(crm: Crm, *given: Any, **more: Any) -> Any:
        *rest, last = given
        if isinstance(last, Mapping):
            last = {n: in_ascii(v) for n, v in last.items()}
        else:
            last = type(last)(**{n: in_ascii(getattr(last, n)) for n in specs(type(last))})
        return use_case(crm, *rest, last, **more)

    return call


def test_an_english_screen_has_no_chinese_word(
    house: House, everything: Principal, visit: Visit
) -> None:
    """Each that can be opened, and what it answers to an empty form, over names in ASCII."""
    crm, visitor = house.crm, visit(everything)
    access.set_language(crm, "en", by=everything)
    rows = {path: (filled(house, path, row.at), row) for path, row in EXPECTED.items()}
    found: dict[str, list[str]] = {}

    def look(address: str, answer: Any) -> None:
        assert answer.status_code < 500, address
        text = html.unescape(answer.text)
        for excuse in EXCUSED:
            if re.fullmatch(excuse.at or ".*", address):
                for words in sorted(excuse.words(crm), key=len, reverse=True):
                    text = text.replace(words, "") if words else text
        if told := re.findall(r".{0,60}[\u3400-\u9fff]+", text):
            found[address] = told

    known = house.canaries["colleague"].secret[0]
    more = [f"/customers/{number}" for number in house.ids.values()]
    more += [f"/customers/similar?phone={known}", f"/users/of/{everything.name}", "/roles/1"]
    read = [a for p, (a, row) in rows.items() if row.get and not p.endswith(".xlsx")]
    for address in [*read, *more]:
        look(address, visitor.get(address))
    for address in [a for p, (a, row) in rows.items() if row.post and p != "/sign-out"]:
        look(address, visitor.post(address))
    assert found == {}

"""Both languages stand side by side in the templates, so nothing can be said in one only."""

import re

import jinja2
import pytest
from jinja2 import nodes

from crm_web.site import TEMPLATES

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

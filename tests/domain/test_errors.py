"""Every refusal has a name and speaks both languages."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest

import crm_adapters
import crm_domain
from crm_domain import errors
from crm_domain.errors import (
    TERMS,
    AlreadyClaimed,
    ClaimRefused,
    CrmError,
    DeliveryFailed,
    FieldError,
    ImportBusy,
    Invalid,
    NotFound,
)
from crm_domain.model import ImportStatus

CLASSES = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, CrmError)]
OWN = [c for c in CLASSES if c is not CrmError]
AT = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
PROBLEM = FieldError("phone", "bad_phone", "12345", "手机“12345”不对", "Phone “12345” is wrong")


def fields_of(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def made(cls: type[CrmError]) -> CrmError:
    """Raise-ready, with a fact for every placeholder of either language."""
    if cls is Invalid:
        return Invalid([PROBLEM])
    if cls is ClaimRefused:
        return ClaimRefused("locked", "该客户已被锁定。", "the customer is locked.")
    if cls is DeliveryFailed:
        return DeliveryFailed("line busy", permanent=True, retry_after=2.5)
    names = fields_of(cls.zh) | fields_of(inspect.getdoc(cls))
    return cls(**{name: AT if name == "at" else f"<{name}>" for name in names})


everyone = pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)


@pytest.mark.parametrize("cls", OWN, ids=lambda c: c.__name__)
def test_every_error_has_a_docstring_a_chinese_sentence_and_a_code_of_its_own(cls):
    """Its docstring is the English message, so nothing may be inherited."""
    assert vars(cls).get("__doc__")
    assert re.search(r"[\u4e00-\u9fff]", vars(cls)["zh"])
    assert re.fullmatch(r"[a-z_]+", vars(cls)["code"])


def test_codes_name_one_error_each():
    """A caller in another language decides by the code."""
    codes = [cls.code for cls in CLASSES]
    assert len(codes) == len(set(codes))


@everyone
def test_messages_format_in_both_languages(cls):
    """No placeholder is left over, and the one sentence is not the other."""
    error = made(cls)
    zh, en = error.message("zh"), error.message("en")
    assert str(error) == en
    assert re.search(r"[\u4e00-\u9fff]", zh)
    for said in (zh, en):
        assert said
        assert "{" not in said
        assert "\n" not in said


@everyone
def test_both_languages_tell_the_same_facts(cls):
    """But for the halves of a sentence that exist once in each language."""
    zh = {name.removesuffix("_zh") for name in fields_of(cls.zh)}
    en = {name.removesuffix("_en") for name in fields_of(inspect.getdoc(cls))}
    assert zh == en


@everyone
@pytest.mark.parametrize(
    "copied",
    [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)
def test_errors_survive_a_change_of_process(cls, copied):
    """A worker's refusal arrives with its class, its facts and both messages."""
    error = made(cls)
    again = copied(error)
    assert type(again) is cls
    assert again.facts == error.facts
    assert again.message("zh") == error.message("zh")
    assert str(again) == str(error)


def test_what_a_caller_must_decide_on_survives_pickling():
    """Whether to try again, when, and what was wrong where."""
    failed = pickle.loads(pickle.dumps(DeliveryFailed("x", permanent=True, retry_after=9.0)))
    assert (failed.permanent, failed.retry_after) == (True, 9.0)
    assert pickle.loads(pickle.dumps(Invalid([PROBLEM]))).problems == (PROBLEM,)


def test_facts_are_attributes_and_anything_else_is_not():
    """A misspelt fact is an AttributeError, so hasattr and copy work."""
    error = NotFound(what="customer", id=7)
    assert (error.what, error.id) == ("customer", 7)
    assert not hasattr(error, "whta")


def test_facts_with_braces_are_told_as_they_are():
    """What people typed is never taken for a template."""
    assert "{0}{x}" in NotFound(what="{0}{x}", id=1).message("en")
    assert "{x}" in Invalid([FieldError("a", "b", None, "{x}", "{x}")]).message("zh")


def test_a_lost_race_is_a_refused_claim():
    """Whoever handles refusals handles this one too, by its reason."""
    error = AlreadyClaimed(by_name="赵六", at=AT, by_id=2)
    assert isinstance(error, ClaimRefused)
    assert error.reason == "already_claimed"
    assert "赵六" in error.message("zh")
    assert "2026-11-23" in error.message("en")


def test_invalid_input_lists_every_problem_in_the_language_asked_for():
    """All at once, as they were found."""
    other = FieldError("name", "missing", None, "请填写“姓名”", "Name is missing")
    error = Invalid([PROBLEM, other])
    assert error.message("zh") == "输入有误：手机“12345”不对；请填写“姓名”"
    assert error.message("en") == (
        "The input was not accepted: Phone “12345” is wrong; Name is missing"
    )
    assert other.message("zh") == "请填写“姓名”"


def test_a_choice_is_said_in_the_language_of_the_message():
    """Whoever raises gives the member; its words are declared once, for both languages."""
    busy = ImportBusy(id=2, status=ImportStatus.REVERTED, todo_zh="", todo_en="")
    assert busy.message("zh") == "导入 2 当前状态为“已撤销”，不能执行此步骤。"
    assert busy.message("en") == "The import 2 is reverted; this step is not possible now."


def test_whatever_an_error_names_in_chinese_has_an_english_name():
    """What is written in the code as ``what`` or ``field`` is a record, a field or a term."""
    sources = (Path(package.__file__).parent for package in (crm_domain, crm_adapters))
    texts = [path.read_text("utf-8") for folder in sources for path in folder.rglob("*.py")]
    named = {
        name for text in texts for name in re.findall('(?:what|field)="([\u4e00-\u9fff]+)"', text)
    }
    assert len(named) > 5
    assert sorted(named - TERMS.keys()) == []

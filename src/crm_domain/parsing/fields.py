"""Fields and whole records of what was typed; all problems are told at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, TypeVar

import attrs

from crm_domain.errors import FieldError, Invalid
from crm_domain.model.fields import Spec, specs
from crm_domain.parsing.contacts import CONTACTS
from crm_domain.parsing.values import (
    CHINA,
    choice_value,
    clock_value,
    day_value,
    flag_value,
    moment_value,
    money_value,
    number_value,
    references_value,
)
from crm_domain.parsing.words import Unreadable, keep_text

T = TypeVar("T")
_UNUSABLE = re.compile("[\0\ud800-\udfff]")
"""What no database takes: the null character, and halves of characters."""


def field_value(spec: Spec, value: Any, zone: tzinfo = CHINA) -> Any:
    """Read one value as what the field holds; a moment without an offset is meant in ``zone``.

    Raises:
        Unreadable: With a stable code and a sentence in both languages.
    """
    if spec.contact and spec.name in CONTACTS:
        return CONTACTS[spec.name](value)
    match spec.kind:
        case "text":
            text = keep_text(value)
            if text is not None and spec.length is not None and len(text) > spec.length:
                raise Unreadable(
                    "too_long", f"不能超过 {spec.length} 个字符", f"is longer than {spec.length}"
                )
            if text is not None and _UNUSABLE.search(text):
                raise Unreadable("bad_text", "含有无法保存的字符", "holds an unusable character")
            return text
        case "choice":
            return choice_value(spec.type, value)
        case "day":
            return day_value(value)
        case "moment":
            return moment_value(value, zone)
        case "number" | "version" | "key" | "reference":
            return number_value(value)
        case "state":
            number = number_value(value)
            try:
                return None if number is None else spec.type(number)
            except ValueError as e:
                raise Unreadable(
                    "unknown_choice", "不在可选范围内", "is not one of the choices"
                ) from e
        case "money":
            return money_value(value)
        case "flag":
            return flag_value(value)
        case "references":
            return references_value(value)
        case "clock":
            return clock_value(value)
        case _:
            return value


def parse_fields(
    cls: type[Any], values: Mapping[str, Any], *, partial: bool = False, zone: tzinfo = CHINA
) -> tuple[dict[str, Any], list[FieldError]]:
    """Read a mapping of what was typed as the fields of a record.

    Args:
        cls: The record class.
        values: What was typed, by field name.
        partial: Whether fields that are not named are left alone instead of being missing.
        zone: The business time zone, in which moments without an offset are meant.

    Returns:
        The values that could be read, by field name, and every problem found. Guarded and unknown
        fields are problems (``guarded_field``, ``unknown_field``), never silently dropped.
    """
    found: dict[str, Any] = {}
    problems: list[FieldError] = []
    fields = specs(cls)
    for name, value in values.items():
        spec = fields.get(name)
        if spec is None or spec.kind == "key":
            problems.append(FieldError(name, "unknown_field", value, f"没有“{name}”这一项",
                                       f"there is no field {name}"))  # fmt: skip
        elif spec.guarded and spec.kind != "version":
            problems.append(FieldError(name, "guarded_field", None, f"“{spec.zh}”不能直接修改",
                                       f"{spec.en} cannot be set directly"))  # fmt: skip
        else:
            try:
                read = field_value(spec, value, zone)
            except Unreadable as e:
                kept, shown = (None, "…") if spec.secret else (value, _shown(value))
                problems.append(FieldError(name, e.code, kept, f"{spec.zh}“{shown}”{e.zh}",
                                           f"{spec.en} “{shown}” {e.en}"))  # fmt: skip
            else:
                if read is None and spec.kind == "text" and spec.default == "":
                    read = ""
                if read is None and not spec.optional:
                    _missing(spec, value, problems)
                else:
                    found[name] = read
    if not partial:
        for name, spec in fields.items():
            if name not in values and not spec.optional and spec.default is attrs.NOTHING:
                _missing(spec, None, problems)
    return found, problems


def _shown(value: Any) -> str:
    try:
        text = str(value)
    except ValueError:
        return "…"
    return text if len(text) <= 60 else text[:59] + "…"


def _missing(spec: Spec, value: Any, problems: list[FieldError]) -> None:
    problems.append(FieldError(spec.name, "missing", value, f"请填写“{spec.zh}”",
                               f"{spec.en} is missing"))  # fmt: skip


def read_record(cls: type[T], values: Mapping[str, Any]) -> T:
    """Make a record of what was typed.

    Raises:
        Invalid: With every problem.
    """
    found, problems = parse_fields(cls, values)
    if problems:
        raise Invalid(problems)
    return cls(**found)

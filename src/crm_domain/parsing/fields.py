"""Fields and whole records of what was typed; all problems are told at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, tzinfo
from typing import Any, TypeVar

import attrs

from crm_domain.errors import FieldError
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
    periods_value,
    references_value,
)
from crm_domain.parsing.words import Unreadable, bad_text, keep_text, quoted, storable

T = TypeVar("T")
LARGEST = 2**31 - 1
"""How far from zero a number of a record may be: a column has four bytes."""


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
            if text is not None and not storable(text):
                raise bad_text()
            return text
        case "choice":
            return choice_value(spec.type, value)
        case "day":
            return day_value(value)
        case "moment":
            return moment_value(value, zone)
        case "number" | "version":
            return number_value(value, LARGEST)
        case "key" | "reference":
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
        case "json" if spec.type == tuple[tuple[date, date], ...]:
            return periods_value(value)
        case _:
            return value


def read_field(spec: Spec, value: Any, zone: tzinfo = CHINA) -> tuple[Any, FieldError | None]:
    """Read one value as what the field holds, with the problem if it does not fit.

    Returns:
        The value, None where there is a problem; and the problem, or None.
    """
    try:
        read = field_value(spec, value, zone)
    except Unreadable as e:
        kept, shown = (None, "…") if spec.secret else (value, quoted(value))
        return None, FieldError(spec.name, e.code, kept, f"{spec.zh}“{shown}”{e.zh}",
                                f"{spec.en} “{shown}” {e.en}")  # fmt: skip
    if read is None and spec.kind == "text" and spec.default == "":
        return "", None
    if read is None and not spec.optional:
        return None, _missing(spec, value)
    return read, None


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
    if not isinstance(values, Mapping):
        return found, [FieldError("", "no_mapping", None, "须按字段名给出内容",
                                  "the values must be given by field name")]  # fmt: skip
    fields = specs(cls)
    for name, value in values.items():
        spec = fields.get(name)
        if spec is None or spec.kind == "key":
            path = name if isinstance(name, str) else quoted(name)
            problems.append(FieldError(path, "unknown_field", value, f"没有“{quoted(name)}”这一项",
                                       f"there is no field {quoted(name)}"))  # fmt: skip
        elif spec.guarded and spec.kind != "version":
            problems.append(FieldError(name, "guarded_field", None, f"“{spec.zh}”不能直接修改",
                                       f"{spec.en} cannot be set directly"))  # fmt: skip
        else:
            read, problem = read_field(spec, value, zone)
            if problem is None:
                found[name] = read
            else:
                problems.append(problem)
    if not partial:
        for name, spec in fields.items():
            if name not in values and not spec.optional and spec.default is attrs.NOTHING:
                problems.append(_missing(spec, None))
    return found, problems


def _missing(spec: Spec, value: Any) -> FieldError:
    return FieldError(spec.name, "missing", value, f"请填写“{spec.zh}”",
                      f"{spec.en} is missing")  # fmt: skip

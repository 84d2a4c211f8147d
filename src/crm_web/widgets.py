"""Fields become inputs: what a form shows for each field of a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import attrs

from crm_domain.model import Choice, Spec
from crm_domain.model.fields import RECORDS
from crm_domain.usecases import records
from crm_web.context import Context, numbers
from crm_web.look import Look

MANY = 300
"""So many records a drop-down holds; of more it shows these."""
TYPED = ("Customer", "Student")
"""What there is too much of for a drop-down: its number is typed, which its list shows."""
LONG = 300
"""Text that may be longer than this gets several lines."""
_TYPES = {"day": "date", "moment": "datetime-local", "clock": "time", "number": "number"}


@attrs.frozen(kw_only=True)
class Input:
    """One input of a form."""

    name: str
    label: str
    kind: str
    """``text``, ``area``, ``select``, ``many``, ``flag``, or a type of HTML's input."""
    value: str = ""
    chosen: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    errors: tuple[str, ...] = ()
    required: bool = False
    length: int | None = None
    now: str | None = None
    """What is stored by now, where somebody else changed it meanwhile."""


def inputs(
    context: Context, fields: Iterable[Spec], record: Any, typed: Mapping[str, Any] | None,
    errors: Mapping[str, Sequence[str]], changed: Any = None,
) -> list[Input]:  # fmt: skip
    """Make the inputs of a form.

    Args:
        context: The request.
        fields: What is asked for.
        record: What is there already; None for a new one.
        typed: What was typed before and not accepted; it is shown again.
        errors: What was wrong, by field.
        changed: The record as it is by now, where it was changed meanwhile.
    """
    return [_input(context, spec, record, typed, errors, changed) for spec in fields]


def _input(
    context: Context, spec: Spec, record: Any, typed: Mapping[str, Any] | None,
    errors: Mapping[str, Sequence[str]], changed: Any,
) -> Input:  # fmt: skip
    look = Look(context)
    default = None if record is not None else _default(spec)
    stored = getattr(record, spec.name, default)
    values = written(look, stored)
    if typed is not None:
        values = tuple(_listed(typed.get(spec.name)))
    by_now = written(look, getattr(changed, spec.name)) if changed is not None else None
    options = _options(context, spec, values)
    told = None
    if by_now is not None and by_now != values:
        told = "、".join(dict(options).get(v, v) for v in by_now) or context.t("（空）", "(empty)")
    return Input(
        name=spec.name, label=spec.label(context.language), kind=_kind(spec), chosen=values,
        value=values[0] if values else "", options=options, now=told,
        errors=tuple(errors.get(spec.name, ())), length=spec.length,
        required=not spec.optional and spec.kind not in ("flag", "references")
        and spec.default != "",
    )  # fmt: skip


def _default(spec: Spec) -> Any:
    return None if spec.default is attrs.NOTHING else spec.default


def _listed(value: Any) -> list[str]:
    if value is None or value is False:
        return []
    if value is True:
        return ["true"]
    return list(value) if isinstance(value, list | tuple) else [str(value)]


def written(look: Look, value: Any) -> tuple[str, ...]:
    """Write a value as its input has it."""
    if value is None or value == "":
        return ()
    if isinstance(value, tuple):
        return tuple(str(v) for v in value)
    if isinstance(value, bool):
        return ("true",) if value else ()
    if isinstance(value, datetime):
        return (look.local_input(value),)
    if isinstance(value, time):
        return (f"{value:%H:%M}",)
    if isinstance(value, Choice):
        return (str(value.value),)
    if isinstance(value, date | Decimal | int):
        return (str(value),)
    return (str(value),)


def _kind(spec: Spec) -> str:
    if spec.kind == "text":
        return "area" if (spec.length or 0) > LONG else "text"
    if spec.kind == "money":
        return "text"
    if spec.kind in ("choice", "state"):
        return "select"
    if spec.kind == "reference":
        return "select" if spec.target not in TYPED else "number"
    if spec.kind == "references":
        return "many"
    return "flag" if spec.kind == "flag" else _TYPES.get(spec.kind, "text")


def _options(context: Context, spec: Spec, values: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Give what can be chosen; what is chosen already is always among it."""
    if spec.kind in ("choice", "state"):
        look = Look(context)
        return tuple((str(m.value), look.choice(m)) for m in spec.type)
    if spec.kind not in ("reference", "references") or spec.target in TYPED:
        return ()
    return options_of(context, RECORDS[spec.target], values)


def options_of(
    context: Context, cls: type[Any], values: Sequence[str] = ()
) -> tuple[tuple[str, str], ...]:
    """Give the records that can be chosen, as number and title, and those chosen already."""
    offered = records.suggest(context.crm, cls, "", MANY, by=context.by)
    found = {str(number): title for number, title in offered.items()}
    missing = numbers(v for v in values if v not in found)
    if missing:
        more = records.titles(context.crm, cls, missing, by=context.by)
        found |= {str(number): title for number, title in more.items()}
    return tuple(found.items())

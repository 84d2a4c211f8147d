"""Fields become inputs: what a form shows for each field of a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import attrs

from crm_domain.errors import NotFound, NotPermitted
from crm_domain.model import Choice, Spec
from crm_domain.model.fields import RECORDS
from crm_domain.usecases import assignment, records
from crm_web.context import Context, number, numbers
from crm_web.look import Look
from crm_web.resource import RECEIVERS, Pick

FEW = 50
"""So many records a drop-down holds; where there are more, one is picked by typing."""
MANY = 1000
"""So many records a list of choices holds."""
TYPED = ("Customer", "Student")
"""What there is too much of for a drop-down, always."""
LONG = 300
"""Text that may be longer than this gets several lines."""
_TYPES = {"day": "date", "moment": "datetime-local", "clock": "time", "number": "number"}


@attrs.frozen(kw_only=True)
class Input:
    """One input of a form."""

    name: str
    label: str
    kind: str
    """``text``, ``area``, ``select``, ``many``, ``flag``, ``pick`` and ``picks`` (one and several
    that are found by typing), ``money`` (in yuan), or a type of HTML's input."""
    value: str = ""
    chosen: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    errors: tuple[str, ...] = ()
    required: bool = False
    length: int | None = None
    source: str = ""
    """Among what is picked: the name that the suggestions go by."""
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
    look, by_now = Look(context), dict[str, tuple[str, ...]]()
    values: dict[str, tuple[str, ...]] = {}
    fields = tuple(fields)
    for spec in fields:
        default = None if record is not None else _default(spec)
        values[spec.name] = written(look, getattr(record, spec.name, default))
        if typed is not None:
            values[spec.name] = tuple(_listed(typed.get(spec.name)))
        if changed is not None:
            by_now[spec.name] = written(look, getattr(changed, spec.name))
    known = {n: (*chosen, *by_now.get(n, ())) for n, chosen in values.items()}
    choices = _Choices(context, look, fields, known)
    return [
        _input(context, spec, choices, values[spec.name], errors, by_now.get(spec.name))
        for spec in fields
    ]


def _input(
    context: Context, spec: Spec, choices: _Choices, values: tuple[str, ...],
    errors: Mapping[str, Sequence[str]], by_now: tuple[str, ...] | None,
) -> Input:  # fmt: skip
    kind, options = _kind(spec), choices.of(spec)
    told = None
    if by_now is not None and by_now != values:
        told = Look(context).listed(dict(options).get(v, v) for v in by_now) or context.t(
            "（空）", "(empty)"
        )
    value = values[0] if values else ""
    if choices.picked(spec):
        kind = "picks" if kind == "many" else "pick"
        options = tuple((v, dict(options).get(v, v)) for v in values if kind == "pick" or number(v))
        if kind == "picks":
            # What was typed and not chosen can only be typed again.
            value = next((v for v in values if number(v) is None), "")
    return Input(
        name=spec.name, label=spec.label(context.language), kind=kind, chosen=values,
        value=value, options=options, now=told, source=source_of(spec),
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
        return "money"
    if spec.kind in ("choice", "state"):
        return "select"
    if spec.kind == "reference":
        return "select"
    if spec.kind == "references":
        return "many"
    return "flag" if spec.kind == "flag" else _TYPES.get(spec.kind, "text")


class _Choices:
    """What the fields of one form offer: one question for each kind of record, and its titles."""

    def __init__(
        self, context: Context, look: Look, fields: Sequence[Spec],
        chosen: Mapping[str, Sequence[str]],
    ) -> None:  # fmt: skip
        self._look = look
        self._offered: dict[str, dict[str, str] | None] = {}
        """By source; None where one is picked by typing."""
        self._titles: dict[str, dict[str, str]] = {}
        refer = [spec for spec in fields if spec.kind in ("reference", "references")]
        for spec in refer:
            source = source_of(spec)
            if source not in self._offered:
                self._offered[source] = _few(context, source)
        for target in {spec.target for spec in refer}:
            # What is chosen already has a title, too, whether it is offered or not.
            known = numbers(v for s in refer if s.target == target for v in chosen[s.name])
            found = records.titles(context.crm, RECORDS[target], known,
                                   language=context.language, by=context.by)  # fmt: skip
            self._titles[target] = {
                str(number): found.get(number, f"#{number}") for number in known
            }
        self._chosen = chosen

    def picked(self, spec: Spec) -> bool:
        """Whether one types to find a record, because there are many."""
        return self._offered.get(source_of(spec), {}) is None

    def of(self, spec: Spec) -> tuple[tuple[str, str], ...]:
        """Give what can be chosen; what is chosen already is always among it."""
        if spec.kind in ("choice", "state"):
            return tuple((str(m.value), self._look.choice(m)) for m in spec.type)
        if spec.kind not in ("reference", "references"):
            return ()
        titles, chosen = self._titles[spec.target], self._chosen[spec.name]
        known = {v: titles[v] for v in chosen if v in titles}
        return tuple({**(self._offered[source_of(spec)] or {}), **known}.items())


def source_of(spec: Spec) -> str:
    """Say among what a reference is picked, as `offered` reads it."""
    return spec.among if isinstance(spec, Pick) else spec.target


def offered(context: Context, source: str, text: str, limit: int) -> dict[int, str]:
    """Find what can be picked, by a part of its title.

    Args:
        context: The request.
        source: The name of a record, or `RECEIVERS`.
        text: What was typed; "" gives the first ones.
        limit: So many at most.

    Raises:
        AskedTooOften: Too many contacts of masked customers were asked for.
        GuardedField: Records of this kind have no titles.
        NotFound: There is no such source.
        NotPermitted: Without the permission to see them.
    """
    if source == RECEIVERS:
        return assignment.find_receivers(context.crm, text, limit, by=context.by)
    if source not in RECORDS:
        raise NotFound(what=context.t("列表", "list"), id=source[:40])
    return records.suggest(
        context.crm, RECORDS[source], text, limit, language=context.language, by=context.by
    )


def _few(context: Context, source: str) -> dict[str, str] | None:
    """Give all that can be picked; None where there are many, or where they are not to be seen."""
    if source in TYPED:
        return None
    try:
        found = offered(context, source, "", FEW + 1)
    except NotPermitted:
        # Whoever may not look into the list may still know a number of it.
        return None
    return None if len(found) > FEW else {str(number): title for number, title in found.items()}


def options_of(
    context: Context, cls: type[Any], values: Sequence[str] = ()
) -> tuple[tuple[str, str], ...]:
    """Give the records that can be chosen, as number and title, and those chosen already."""
    first = records.suggest(
        context.crm, cls, "", MANY, language=context.language, by=context.by
    )  # fmt: skip
    found = {str(number): title for number, title in first.items()}
    missing = numbers(v for v in values if v not in found)
    if missing:
        more = records.titles(context.crm, cls, missing, language=context.language, by=context.by)
        found |= {str(number): title for number, title in more.items()}
    return tuple(found.items())

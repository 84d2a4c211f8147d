"""What a record is called where another refers to it: 李雷, or Python 北京校区 第3期."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import Formatter
from typing import Any

from crm_domain.errors import Language
from crm_domain.model import RECORDS, about, specs


def paths(cls: type[Any]) -> tuple[str, ...]:
    """Tell what must be known to name a record.

    Returns:
        Fields, in the order in which the title names them. One of a record that is referred to
        follows the reference and a dot: ``course_id.title``.
    """
    return tuple(_paths(cls, ""))


def _paths(cls: type[Any], before: str) -> Iterator[str]:
    for name in _named(about(cls).titled[0]):
        spec = specs(cls)[name]
        if spec.kind == "reference":
            yield from _paths(RECORDS[spec.target], f"{before}{name}.")
        else:
            yield f"{before}{name}"


def title(cls: type[Any], values: Sequence[Any], language: Language = "zh") -> str:
    """Name a record.

    Args:
        cls: Its class.
        values: What `paths` asks for, in that order; None for what is not there.
        language: Of the words between.
    """
    return _title(cls, iter(values), language)


def _title(cls: type[Any], values: Iterator[Any], language: Language) -> str:
    template = about(cls).titled[0 if language == "zh" else 1]
    found = {}
    for name in _named(template):
        spec = specs(cls)[name]
        if spec.kind == "reference":
            found[name] = _title(RECORDS[spec.target], values, language)
        else:
            value = next(values)
            found[name] = "" if value is None else str(value)
    return " ".join(template.format(**found).split())


def _named(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name]

"""What a record is called where another refers to it: 李雷, or Python 北京校区 第3期."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import Formatter
from typing import Any

from crm_domain.errors import Language
from crm_domain.model import RECORDS, about, specs


def paths(cls: type[Any]) -> tuple[str, ...]:
    """Tell what must be known to name a record, in either language.

    Returns:
        Fields, in the order in which the Chinese title names them, and then those that the English
        one alone names. One of a record that is referred to follows the reference and a dot:
        ``course_id.title``.
    """
    found = _KNOWN.get(cls)
    if found is None:
        found = _KNOWN[cls] = tuple(dict.fromkeys([*_paths(cls, "", 0), *_paths(cls, "", 1)]))
    return found


_KNOWN: dict[type[Any], tuple[str, ...]] = {}


def _paths(cls: type[Any], before: str, place: int) -> Iterator[str]:
    for name in _named(about(cls).titled[place]):
        spec = specs(cls)[name]
        if spec.kind == "reference":
            yield from _paths(RECORDS[spec.target], f"{before}{name}.", place)
        else:
            yield f"{before}{name}"


def title(cls: type[Any], values: Sequence[Any], language: Language = "zh") -> str:
    """Name a record; one without a title in English keeps its Chinese one.

    Args:
        cls: Its class.
        values: What `paths` asks for, in that order; None for what is not there.
        language: Of the title, and of the words in it.
    """
    known = dict(zip(paths(cls), values, strict=True))
    return _title(cls, "", known, 0 if language == "zh" else 1)


def _title(cls: type[Any], before: str, known: Mapping[str, Any], place: int) -> str:
    template = about(cls).titled[place]
    found = {}
    for name in _named(template):
        spec = specs(cls)[name]
        if spec.kind == "reference":
            found[name] = _title(RECORDS[spec.target], f"{before}{name}.", known, place)
        else:
            value = known[f"{before}{name}"]
            found[name] = "" if value is None else str(value)
    said = " ".join(template.format(**found).split())
    return said if said or place == 0 else _title(cls, before, known, 0)


def _named(template: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(template) if name]

"""The fields of a customer as people name them: by code, by label, or as a sheet's heading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from crm_adapters.cli.language import say
from crm_domain.errors import FieldError
from crm_domain.model import Customer, Spec, specs
from crm_domain.rules.layout import FORMS, read_header

_INSIDE = ("version", "import_row", "assignment_id", "due_status", "due_days", "warn_on")
"""What only the program itself goes by."""


@attrs.frozen
class UnknownField(FieldError):
    """A word that names no field, with the fields that there are."""

    allowed: tuple[str, ...] = ()


def settable() -> Mapping[str, Spec]:
    """Tell the fields that may be typed in."""
    return {n: s for n, s in filterable().items() if not s.guarded and s.kind != "key"}


def filterable() -> Mapping[str, Spec]:
    """Tell the fields that a list can be filtered by."""
    return {n: s for n, s in specs(Customer).items() if n not in _INSIDE and not s.secret}


def field_of(word: str) -> str:
    """Tell the field that a word names; the word itself where it names none."""
    if word in specs(Customer):
        return word
    plain = word.lower()
    labels = ((name, (s.zh, s.en.lower())) for name, s in specs(Customer).items())
    found = next((name for name, labelled in labels if plain in labelled), None)
    return found or read_header([word], 0, FORMS["Customer"]).columns.get(0) or word


def listed(names: Sequence[str]) -> str:
    """List fields by name and, in Chinese, by the label that may be given instead."""
    known = specs(Customer)
    return say("、".join(f"{n}（{known[n].zh}）" for n in names), ", ".join(names))


def unknown(word: str, names: Sequence[str]) -> UnknownField:
    """Make the problem with a word that names no field."""
    return UnknownField(word, "unknown_field", None, f"没有“{word}”这一项",
                        f"there is no field {word}", tuple(names))  # fmt: skip

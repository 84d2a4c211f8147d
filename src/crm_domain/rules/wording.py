"""What people are told, in both languages, and which of them whoever reads it gets."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from crm_domain.errors import Language
from crm_domain.model import Assignment, AssignmentMethod, Notice
from crm_domain.model.fields import changed
from crm_domain.rules.access import Principal

HANDING_OVER = "交接"
"""Why customers are handed over, where nobody says it."""
TAKEN_BACK = "撤回"
"""Why a transfer is taken back."""
_OURS = {HANDING_OVER: "handing over", TAKEN_BACK: "taken back"}


@attrs.frozen
class Words:
    """Something that is said, in Chinese and in English."""

    zh: str
    en: str


def counted(number: int, noun: str) -> str:
    """Say in English how many there are: 1 customer, 2 customers."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def named(names: Sequence[str], total: int) -> str:
    """Name a few of several in English: Li Lei, Han Meimei and 3 others."""
    more = total - len(names)
    return ", ".join(names) + (f" and {counted(more, 'other')}" if more > 0 else "")


def in_language(notice: Notice, language: Language) -> Notice:
    """Give a notice with the subject and the body in a language.

    Args:
        notice: As it is kept. One of before English was written keeps its Chinese words.
        language: Of whoever reads it.
    """
    if language == "zh":
        return notice
    return changed(notice, subject=notice.subject_en or notice.subject,
                   body=notice.body_en or notice.body)  # fmt: skip


def doer(by: Principal) -> str | None:
    """Name whoever acts, as what happened is signed; None is the program itself."""
    return None if by.user_id is None else by.title


def why(one: Assignment, language: Language, by_name: str | None = None) -> str:
    """Say why a period of ownership began.

    Args:
        one: The assignment. In Chinese it is said as it was written then.
        language: Of whoever reads it.
        by_name: Who did it, where that is known.
    """
    if language == "zh":
        return one.explanation
    if one.method is AssignmentMethod.ROTATION and one.cycle is None:
        return one.explanation
    return why_in_english(one.method, one.cycle, one.position, one.memo, by_name)


def why_in_english(
    method: AssignmentMethod, cycle: int | None = None, position: int | None = None,
    memo: str | None = None, by_name: str | None = None,
) -> str:  # fmt: skip
    """Say why a period of ownership begins, by what is kept of it.

    Args:
        method: How the customer came.
        cycle: The cycle of the turn, where it was one.
        position: Its place, counted from zero.
        memo: What somebody gave as the reason.
        by_name: Who did it; None is the program.
    """
    if cycle is not None:
        return f"rotation: cycle {cycle}, place {(position or 0) + 1}"
    if method is AssignmentMethod.IMPORT:
        return "named in the import"
    done = {AssignmentMethod.CLAIM: "claimed", AssignmentMethod.TRANSFER: "transferred"}
    text = done.get(method, "assigned") + (f" by {by_name}" if by_name else "")
    return text + (f": {_OURS.get(memo, memo)}" if memo else "")

"""What people are told, in both languages, and which of them whoever reads it gets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs

from crm_domain.errors import Language
from crm_domain.model import Assignment, AssignmentMethod, Notice
from crm_domain.model.fields import changed
from crm_domain.rules.access import Principal
from crm_domain.rules.duty import ABSENCES
from crm_domain.rules.rotation import Turn

HANDING_OVER = "交接"
"""Why customers are handed over, where nobody says it."""
TAKEN_BACK = "撤回"
"""Why a transfer is taken back."""
_PASSED_OVER = "；顺延："
"""What stands before those whom a turn passed over."""
_MORE = "个顺位"
"""What ends the list of them where there are more than are named."""
_NAMED = 10
_ABSENT = dict(ABSENCES.values())
_PASSED = re.compile(rf"(?:^|、)([^、]+?)（({'|'.join(_ABSENT)})）")
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
    if language == "zh" or (one.method is AssignmentMethod.ROTATION and one.cycle is None):
        return one.explanation
    if one.cycle is not None:
        turn = f"rotation: cycle {one.cycle}, place {(one.position or 0) + 1}"
        return turn + _passed_over(one.explanation)
    if one.method is AssignmentMethod.IMPORT:
        return "named in the import"
    return given_because(one.method, one.memo, by_name)


def dealt_because(turn: Turn, names: Mapping[int, str]) -> str:
    """Say in Chinese why a turn went where it did, as it is kept; `why` reads it again.

    Args:
        turn: The turn.
        names: Of those whom it passed over; who is not there is told by the number.
    """
    text = f"轮转第{turn.cycle}轮第{turn.position + 1}位"
    if turn.passed_over:
        listed = [
            f"{names[p.employee_id]}（{ABSENCES[p.reason][0]}）"
            if p.employee_id in names
            else str(p.employee_id)
            for p in turn.passed_over[:_NAMED]
        ]
        many = len(turn.passed_over)
        text += _PASSED_OVER + "、".join(listed) + (f"等{many}{_MORE}" if many > _NAMED else "")
    return text


def _passed_over(explanation: str) -> str:
    """Say in English whom a turn passed over; that is kept in the Chinese text alone."""
    listed = explanation.partition(_PASSED_OVER)[2]
    found = [f"{name} ({_ABSENT[reason]})" for name, reason in _PASSED.findall(listed)]
    more = " and others" if listed.endswith(_MORE) else ""
    return f"; passed over: {', '.join(found)}{more}" if found else ""


def given_because(method: AssignmentMethod, memo: str | None, by_name: str | None) -> str:
    """Say in English why somebody gives or takes a customer.

    Args:
        method: How.
        memo: What somebody gave as the reason.
        by_name: Who does it; None is the program.
    """
    done = {AssignmentMethod.CLAIM: "claimed", AssignmentMethod.TRANSFER: "transferred"}
    text = done.get(method, "assigned") + (f" by {by_name}" if by_name else "")
    return text + (f": {_OURS.get(memo, memo)}" if memo else "")

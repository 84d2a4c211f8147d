"""What people are told, in both languages."""

from __future__ import annotations

import re

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_domain.model import Assignment, AssignmentMethod, Notice
from crm_domain.rules.access import SYSTEM, Principal
from crm_domain.rules.duty import ABSENCES
from crm_domain.rules.rotation import PassedOver, Turn
from crm_domain.rules.wording import (
    HANDING_OVER,
    TAKEN_BACK,
    counted,
    dealt_because,
    doer,
    in_language,
    named,
    why,
)
from crm_domain.testing.making import NOW, a_notice

CHINESE = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
ONE = a_notice(1)
ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=500)


def begun(method: AssignmentMethod, **more: object) -> Assignment:
    """Make an assignment with a reason in Chinese."""
    return Assignment(
        customer_id=1, consultant_id=1, started_at=NOW, method=method, explanation="由 李雷 抢单",
        **more,
    )  # type: ignore[arg-type]  # fmt: skip


def test_a_notice_is_given_in_a_language() -> None:
    """Only its subject and its body change; what has no English keeps its Chinese words."""
    both = attrs.evolve(ONE, subject="您好", body="再见", subject_en="hello", body_en="bye")
    assert in_language(both, "zh") == both
    assert in_language(both, "en") == attrs.evolve(both, subject="hello", body="bye")
    old: Notice = attrs.evolve(ONE, subject="您好", body="再见")
    assert in_language(old, "en") == old


@pytest.mark.parametrize(
    ("total", "said"),
    [(2, "Li, Han"), (3, "Li, Han and 1 other"), (7, "Li, Han and 5 others")],
)
def test_a_few_of_several_are_named(total: int, said: str) -> None:
    """The rest is counted, one as one."""
    assert named(["Li", "Han"], total) == said
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (begun(AssignmentMethod.ROTATION, cycle=3, position=1), "rotation: cycle 3, place 2"),
        (begun(AssignmentMethod.IMPORT, cycle=1, position=0), "rotation: cycle 1, place 1"),
        (begun(AssignmentMethod.IMPORT), "named in the import"),
        (begun(AssignmentMethod.CLAIM), "claimed by Li"),
        (begun(AssignmentMethod.MANUAL, memo="asked"), "assigned by Li: asked"),
        (begun(AssignmentMethod.TRANSFER, memo=HANDING_OVER), "transferred by Li: handing over"),
        (begun(AssignmentMethod.TRANSFER, memo=TAKEN_BACK), "transferred by Li: taken back"),
    ],
)
def test_why_is_said_in_english_by_what_is_kept(one: Assignment, said: str) -> None:
    """In Chinese it stays as it was written, and so does what tells too little."""
    assert why(one, "en", "Li") == said
    assert why(one, "zh", "Li") == one.explanation
    untold = begun(AssignmentMethod.ROTATION)
    assert why(untold, "en", "Li") == untold.explanation


@pytest.mark.parametrize("more", [False, True])
def test_whom_a_turn_passed_over_is_read_out_of_what_is_kept(more: bool) -> None:
    """With every reason there is; who has no name is left out, and many are cut short."""
    names = {1: "李雷", 2: "Han Li", 3: "王（强）", 4: "x", 5: "y"}
    passed = [PassedOver(n, reason) for n, reason in enumerate(ABSENCES, 1)]
    passed += [PassedOver(7, "left")] * (6 if more else 1)
    kept = dealt_because(Turn(9, 1, 2, tuple(passed)), names)
    assert kept.startswith(
        "轮转第1轮第3位；顺延：李雷（不在岗）、Han Li（请假）、王（强）（已离职）、"
    )
    assert kept.endswith("等11个顺位") is more
    turn = attrs.evolve(begun(AssignmentMethod.ROTATION, cycle=1, position=2), explanation=kept)
    assert why(turn, "en") == (
        "rotation: cycle 1, place 3; passed over: 李雷 (off duty), Han Li (on leave), "
        "王（强） (left), x (no enabled account), y (at the limit)"
        + (" and others" if more else "")
    )


@given(st.sampled_from(AssignmentMethod), st.none() | st.integers(1, 10**6), st.integers(0, 10**6),
       st.none() | ASCII, st.none() | ASCII)  # fmt: skip
def test_no_reason_in_english_has_chinese_of_its_own(
    method: AssignmentMethod, cycle: int | None, position: int, memo: str | None, name: str | None
) -> None:
    """Only names and what somebody typed may have."""
    if method is AssignmentMethod.ROTATION:
        cycle = cycle or 1
    said = why(begun(method, cycle=cycle, position=position, memo=memo), "en", name)
    assert said and not CHINESE.search(said)


def test_the_program_signs_nothing() -> None:
    """Its name is a Chinese word."""
    assert doer(SYSTEM) is None
    assert doer(Principal(name="li", person="李雷", user_id=1)) == "李雷"

"""Who can take a customer today."""

from __future__ import annotations

from datetime import date

from crm_domain.model import Employee

ABSENCES = {
    "off_duty": ("不在岗", "off duty"), "on_leave": ("请假", "on leave"),
    "left": ("已离职", "left"), "no_account": ("无可用账号", "no enabled account"),
    "at_limit": ("客户数已达上限", "at the limit"),
}  # fmt: skip
"""What staff call the reasons why a turn is passed over, in both languages."""


def has_left(employee: Employee, today: date) -> bool:
    """Whether somebody does not work here any more."""
    return employee.left_on is not None and employee.left_on <= today


def absence(employee: Employee, active: bool, today: date) -> str | None:
    """Tell why somebody cannot take a customer on a day.

    Args:
        employee: Who.
        active: Whether an enabled account that may claim customers is theirs.
        today: The local day.

    Returns:
        A key of `ABSENCES`, or None when nothing hinders.
    """
    if has_left(employee, today):
        return "left"
    if not active:
        return "no_account"
    if not employee.on_duty:
        return "off_duty"
    if any(first <= today <= last for first, last in employee.leave):
        return "on_leave"
    return None

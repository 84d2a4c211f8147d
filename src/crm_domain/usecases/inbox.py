"""Messages in the program itself (站内消息): everybody reads and marks their own."""

from __future__ import annotations

from collections.abc import Sequence

from crm_domain.errors import FieldError, Invalid
from crm_domain.model import Notice
from crm_domain.parsing import quoted, record_number
from crm_domain.ports import Crm, Page, Query
from crm_domain.rules.access import Principal
from crm_domain.usecases._common import employee_of


def list_messages(
    crm: Crm, query: Query | None = None, *, unread_only: bool = False, by: Principal
) -> Page[Notice]:
    """Read one page of one's own messages, the newest first, from the moment they are written.

    Args:
        crm: The CRM.
        query: What is asked; None is the first page.
        unread_only: Whether those that were read are left out.
        by: Whose messages; needs an employee and no permission.

    Raises:
        Invalid: The query names what is not there.
        NoEmployee: Without an employee.
    """
    me = employee_of(by)
    with crm.unit_of_work(read_only=True) as uow:
        return uow.notices.inbox(me, query or Query(), unread_only=unread_only)


def count_unread(crm: Crm, *, by: Principal) -> int:
    """Count one's own messages that were not read yet, by one index.

    Raises:
        NoEmployee: Without an employee.
    """
    me = employee_of(by)
    with crm.unit_of_work(read_only=True) as uow:
        return uow.notices.unread(me)


def mark_read(crm: Crm, ids: Sequence[int] | None, *, by: Principal) -> int:
    """Mark one's own messages as read.

    Args:
        crm: The CRM.
        ids: Their numbers; None is all. What is not one's own, or was read before, stays as it is.
        by: Whose messages; needs an employee and no permission.

    Returns:
        How many were unread until now; none, and nothing is changed, in the name of another.

    Raises:
        Invalid: With every number that is none.
        NoEmployee: Without an employee.
    """
    me = employee_of(by)
    problems = [
        FieldError("ids", "bad_number", n, f"“{quoted(n)}”不是编号", f"{quoted(n)} is no number")
        for n in ids or () if record_number(n) is None
    ]  # fmt: skip
    if problems:
        raise Invalid(problems)
    if by.acting_id is not None:
        return 0  # Who looks in the name of another has not read them for that one.
    with crm.unit_of_work() as uow:
        return uow.notices.mark_read(me, ids, crm.now())

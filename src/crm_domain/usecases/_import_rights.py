"""Who may import what, and whose imports somebody sees."""

from __future__ import annotations

from crm_domain.errors import FieldError, ImportBusy, Invalid, NotFound
from crm_domain.model import ImportRun, ImportStatus, Scope, User
from crm_domain.ports import UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.layout import FORMS
from crm_domain.usecases._common import reach_of
from crm_domain.usecases._import_people import EDITED

MODES = ("rotation", "pool", "consultant")
UNDEALT = "none"
"""The mode of an import whose rows nobody is dealt: employees and students."""
_TODO = {
    ImportStatus.CHECKED: ("请先启动它。", "Start it first."),
    ImportStatus.RUNNING: ("请等它完成，或先暂停。", "Wait for its end, or pause it first."),
    ImportStatus.PAUSED: ("请继续它，或将其撤销。", "Resume it, or revert it."),
    ImportStatus.FAILED: ("请解决所示原因后继续，或将其撤销。",
                          "Put right what stopped it and resume it, or revert it."),
    ImportStatus.DONE: ("它已全部完成。", "There is nothing left to do."),
    ImportStatus.REVERTED: ("如需导入，请重新上传该文件。", "To import the file, check it anew."),
}  # fmt: skip


def may_import(record: str, to: str, consultant_id: int | None, by: Principal) -> None:
    """Refuse whoever may not import like this, and a wish that makes no sense.

    Raises:
        Invalid: ``record`` or ``to`` is not known, or a consultant is missing or not wanted.
        NotPermitted: Without ``customer:import``; for a named consultant, ``customer:assign``; for
            employees and students, the permission to edit them.
    """
    by.need("customer:import")
    if record not in FORMS:
        raise invalid("record", "unknown_choice", record,
                       f"导入的内容只能是 {'、'.join(FORMS)}",
                       f"it must be {', '.join(FORMS)}")  # fmt: skip
    if record != "Customer":
        by.need(EDITED[record])
        if consultant_id is not None or to not in ("rotation", UNDEALT):
            raise invalid("to", "not_wanted", to, "只有客户才分配", "only customers are dealt")
        return
    if to not in MODES:
        raise invalid("to", "unknown_choice", to,
                       "分配方式只能是 rotation（轮转）、pool（公海）或 consultant（指定顾问）",
                       "it must be rotation, pool or consultant")  # fmt: skip
    if to == "consultant":
        by.need("customer:assign")
        if consultant_id is None:
            raise invalid("consultant_id", "missing", None, "请指定课程顾问",
                           "the consultant to deal to is missing")  # fmt: skip
    elif consultant_id is not None:
        raise invalid("consultant_id", "not_wanted", consultant_id,
                       "只有分配方式为 consultant（指定顾问）时才能指定课程顾问",
                       "a consultant is named for the way consultant only")  # fmt: skip


def invalid(path: str, code: str, value: object, zh: str, en: str) -> Invalid:
    """Say what is wrong with one argument."""
    return Invalid([FieldError(path, code, value, zh, en)])


def theirs(uow: UnitOfWork, run: ImportRun | None, import_id: int, by: Principal) -> ImportRun:
    """Give an import to whoever may see it."""
    if run is None or not reaches(uow, run, by):
        raise NotFound(what="导入", id=import_id)
    return run


def reaches(uow: UnitOfWork, run: ImportRun, by: Principal) -> bool:
    """Whether an import is one's own or somebody's within one's reach."""
    if by.scope is Scope.ALL:
        return True
    if run.by_id is None:
        return False
    user = uow.records.get(User, run.by_id)
    of_theirs = user is not None and uow.directory.in_reach(user.employee_id, reach_of(by))
    return run.by_id == by.user_id or of_theirs


def busy(run: ImportRun) -> ImportBusy:
    """Say that a step does not go with the state of an import, and what does."""
    todo_zh, todo_en = _TODO[run.status]
    return ImportBusy(id=run.id, status=run.status, todo_zh=todo_zh, todo_en=todo_en)

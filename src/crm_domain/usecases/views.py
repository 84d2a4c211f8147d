"""What people keep of the lists that they look at: saved views, columns, density."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from crm_domain.errors import Duplicate, EditConflict, FieldError, Invalid, NotFound
from crm_domain.model import ListPreference, SavedView
from crm_domain.model.fields import changed
from crm_domain.parsing import parse_fields, quoted, record_number
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import Principal

_NAME = re.compile(r"[a-z][a-z0-9_/-]{0,59}")
_COLUMN = re.compile(r"[a-z][a-z0-9_.]{0,59}")
MOST_COLUMNS = 100
PAGE_SIZES = (5, 500)
MOST_VIEWS = 200
"""Views of one person; more are no help to anybody."""


@attrs.frozen(kw_only=True)
class ShownView:
    """A saved view as somebody finds it in a list."""

    view: SavedView
    own: bool
    by: str
    """Who saved it."""


def list_views(crm: Crm, list_name: str, *, by: Principal) -> tuple[ShownView, ...]:
    """Tell the views of a list that are one's own, and then those that others share, by title.

    Raises:
        Invalid: The list has no name.
        NotFound: Whoever asks has no account.
    """
    name, owner = _list(list_name), _owner(by)
    with crm.unit_of_work(read_only=True) as uow:
        kept = uow.directory.views(name, owner)
    shown = [ShownView(view=v, own=v.user_id == owner, by=who) for v, who in kept]
    return tuple(sorted(shown, key=lambda s: (not s.own, s.view.title)))


def save_view(
    crm: Crm, list_name: str, values: Mapping[str, Any], *, replace: bool = False,
    shared: bool | None = None, by: Principal,
) -> SavedView:  # fmt: skip
    """Keep a list as it is filtered and sorted now.

    Args:
        crm: The CRM.
        list_name: The list: ``customers``.
        values: ``title``, and ``query``: what follows the question mark in the address.
        replace: Whether an own view of this title is replaced instead of being in the way.
        shared: Whether others see it; None leaves one that is replaced as it is, and keeps a new
            one to oneself.
        by: Who asks; needs an account, and to share ``view:share``.

    Returns:
        The view, with its number.

    Raises:
        ActingForAnother: Somebody else acts under the account.
        Duplicate: One has a view of this title.
        Invalid: With every problem.
        NotFound: Whoever asks has no account.
        NotPermitted: To share it, without the permission.
    """
    by.need_oneself()
    owner = _owner(by)
    _refuse_sharing(shared, by)
    fields, problems = _typed(values, partial=False)
    try:
        name = _list(list_name)
    except Invalid as e:
        problems += e.problems
    if problems:
        raise Invalid(problems)
    if shared is not None:
        fields["shared"] = shared
    with crm.unit_of_work() as uow:
        now = crm.now()
        there = uow.records.find(SavedView, user_id=owner, list_name=name, title=fields["title"])
        if there is not None:
            if not replace:
                raise Duplicate(what="保存的视图", field="视图名称", value=fields["title"])
            return uow.records.save(changed(there, **fields))
        if len(uow.records.all(SavedView, user_id=owner)) >= MOST_VIEWS:
            raise Invalid([FieldError("", "too_many", None, f"最多保存 {MOST_VIEWS} 个视图",
                                      f"nobody keeps more than {MOST_VIEWS} views")])  # fmt: skip
        return uow.records.add(
            SavedView(user_id=owner, list_name=name, created_at=now, **fields)
        )  # fmt: skip


def edit_view(
    crm: Crm, view_id: int, values: Mapping[str, Any], *, version: int | None = None, by: Principal
) -> SavedView:
    """Rename an own view, or keep another query under its name.

    Args:
        crm: The CRM.
        view_id: Its number.
        values: ``title``, ``query`` or both.
        version: The version that was read; None does not look at it.
        by: Who asks; whose view it is.

    Raises:
        ActingForAnother: Somebody else acts under the account.
        Duplicate: One has another view of this title.
        EditConflict: It was changed since.
        Invalid: With every problem.
        NotFound: It is not one's own.
    """
    by.need_oneself()
    fields, problems = _typed(values, partial=True)
    if problems:
        raise Invalid(problems)
    with crm.unit_of_work() as uow:
        view = _own(uow, view_id, by)
        if version is not None and version != view.version:
            raise EditConflict(what="保存的视图", seen=version, version=view.version)
        return uow.records.save(changed(view, **fields))


def share_view(crm: Crm, view_id: int, shared: bool = True, *, by: Principal) -> SavedView:
    """Show an own view to everybody who may open the list, or keep it to oneself again.

    What others see in it is what they may see.

    Args:
        crm: The CRM.
        view_id: Its number.
        shared: Whether others see it.
        by: Who asks; whose view it is, and to share it needs ``view:share``.

    Raises:
        ActingForAnother: Somebody else acts under the account.
        Invalid: It is neither yes nor no.
        NotFound: It is not one's own.
        NotPermitted: Without the permission.
    """
    by.need_oneself()
    _refuse_sharing(shared if shared is not None else "", by)
    with crm.unit_of_work() as uow:
        return uow.records.save(changed(_own(uow, view_id, by), shared=shared))


def remove_view(crm: Crm, view_id: int, *, by: Principal) -> None:
    """Remove an own view; who may share views also removes those that others share.

    Raises:
        ActingForAnother: Somebody else acts under the account.
        NotFound: It is not one's own, nor one's to remove.
    """
    by.need_oneself()
    with crm.unit_of_work() as uow:
        known = record_number(view_id) is not None
        view = uow.records.get(SavedView, view_id) if known else None
        theirs = view is not None and view.shared and by.may("view:share")
        if view is None or not (view.user_id == by.user_id or theirs):
            raise NotFound(what="保存的视图", id=quoted(view_id))
        uow.records.remove(SavedView, view_id)


def read_preference(crm: Crm, list_name: str, *, by: Principal) -> ListPreference:
    """Tell how somebody wants to see a list; without a choice, what a new one would be.

    Raises:
        Invalid: The list has no name.
        NotFound: Whoever asks has no account.
    """
    name, owner = _list(list_name), _owner(by)
    with crm.unit_of_work(read_only=True) as uow:
        found = uow.records.find(ListPreference, user_id=owner, list_name=name)
    return found or ListPreference(user_id=owner, list_name=name)


def set_preference(
    crm: Crm, list_name: str, values: Mapping[str, Any], *, by: Principal
) -> ListPreference:
    """Choose how one wants to see a list; of two who choose at once, the later one holds.

    Args:
        crm: The CRM.
        list_name: The list: ``customers``.
        values: Any of ``columns`` (names in order; none is the list's own choice), ``density`` and
            ``page_size``; what is not named stays.
        by: Who asks; needs an account.

    Raises:
        ActingForAnother: Somebody else acts under the account.
        Invalid: With every problem.
        NotFound: Whoever asks has no account.
    """
    by.need_oneself()
    owner = _owner(by)
    fields, problems = _chosen(values)
    try:
        name = _list(list_name)
    except Invalid as e:
        problems += e.problems
    if problems:
        raise Invalid(problems)
    with crm.unit_of_work() as uow:
        # Held, so that two tabs of one person do not both write the first row.
        uow.sign_ins.hold(owner)
        there = uow.records.find(ListPreference, user_id=owner, list_name=name)
        if there is None:
            return uow.records.add(ListPreference(user_id=owner, list_name=name, **fields))
        return uow.records.save(changed(there, **fields))


def _refuse_sharing(shared: Any, by: Principal) -> None:
    if shared is not None and not isinstance(shared, bool):
        raise Invalid([FieldError("shared", "bad_flag", None, "请填“是”或“否”",
                                  "it is neither yes nor no")])  # fmt: skip
    if shared:
        by.need("view:share")


def _owner(by: Principal) -> int:
    if by.user_id is None:
        raise NotFound(what="用户", id=by.name)
    return by.user_id


def _own(uow: UnitOfWork, view_id: int, by: Principal) -> SavedView:
    known = record_number(view_id) is not None
    view = uow.records.get(SavedView, view_id) if known else None
    if view is None or view.user_id != by.user_id:
        raise NotFound(what="保存的视图", id=quoted(view_id))
    return view


def _list(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Invalid([FieldError("list_name", "bad_name", name, f"没有列表“{quoted(name)}”",
                                  f"there is no list {quoted(name)}")])  # fmt: skip
    return name


def _typed(values: Any, *, partial: bool) -> tuple[dict[str, Any], list[FieldError]]:
    given: Any = dict(values) if isinstance(values, Mapping) else values
    if isinstance(given, dict) and isinstance(given.get("query"), str):
        given["query"] = given["query"].removeprefix("?")
    own = {"user_id", "list_name"}
    fields, problems = parse_fields(SavedView, given, partial=partial)
    fields.pop("version", None)
    # Whose it is and where it stands is not typed, so that it is missing is no problem.
    return fields, [p for p in problems if not (p.path in own and p.code == "missing")]


def _chosen(values: Any) -> tuple[dict[str, Any], list[FieldError]]:
    fields, problems = parse_fields(ListPreference, values, partial=True)
    columns = fields.get("columns", ())
    listed = isinstance(columns, list | tuple)
    named = listed and all(isinstance(c, str) and _COLUMN.fullmatch(c) for c in columns)
    if not named or len(columns) > MOST_COLUMNS or len(set(columns)) < len(columns):
        problems.append(FieldError("columns", "bad_columns", None, "列须为不重复的列名",
                                   "the columns must be names, each once"))  # fmt: skip
    elif "columns" in fields:
        fields["columns"] = tuple(columns)
    low, high = PAGE_SIZES
    if not low <= fields.get("page_size", low) <= high:
        problems.append(FieldError("page_size", "out_of_range", fields["page_size"],
                                   f"每页须为 {low} 至 {high} 行",
                                   f"a page has {low} to {high} rows"))  # fmt: skip
    return fields, problems

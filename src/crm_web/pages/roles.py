"""Roles: what each may do and how far it reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from crm_domain.errors import CrmError, EditConflict, NotFound
from crm_domain.model import Permission, Role, Scope, specs
from crm_domain.usecases import access
from crm_domain.usecases.access import RoleSummary
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context, read_version
from crm_web.forms import typed_fields
from crm_web.pages.users import named, problems_of
from crm_web.screen import screen
from crm_web.widgets import inputs

FIELDS = ("title", "title_en", "scope")


@attrs.frozen(kw_only=True)
class Tick:
    """A permission as the form of a role offers it."""

    permission: Permission
    stored: bool
    chosen: bool
    givable: bool
    """Whether somebody may give it: what is not held is not given."""


@attrs.frozen(kw_only=True)
class TickGroup:
    """The permissions of a group, under its menu."""

    menu: str
    group: str
    ticks: tuple[Tick, ...]

    @property
    def chosen(self) -> int:
        """How many are chosen."""
        return sum(t.chosen for t in self.ticks)


@screen("/roles", needs="role:manage", icon="shield-lock")
def show(c: Context) -> Answer:
    """Show the roles with how many permissions and accounts each has."""
    order = list(Scope)
    found = sorted(access.list_roles(c.crm, by=c.by),
                   key=lambda r: (-order.index(r.role.scope), r.role.id or 0))  # fmt: skip
    return Page(template="roles.html", data={"roles": found, "named": lambda x: named(c, x)})


@screen("/roles/new", needs="role:manage", methods=("GET", "POST"))
def add(c: Context) -> Answer:
    """Make a role of the school's own."""
    if c.request.method == "GET":
        return _form(c, None)
    typed = _typed(c)
    try:
        made = access.add_role(c.crm, typed, by=c.by)
    except CrmError as e:
        errors, status = problems_of(c, e)
        return _form(c, None, typed, errors, status)
    return Redirect(to=f"/roles/{made.id}", said=c.t("角色已创建。", "The role is made."))


@screen("/roles/{id:int}", needs="role:manage", methods=("GET", "POST"))
def edit(c: Context, id: int) -> Answer:
    """Show a role, or change what it is called, may do and reaches."""
    found = _role(c, id)
    if c.request.method == "GET":
        return _form(c, found)
    typed = _typed(c)
    try:
        access.edit_role(c.crm, id, typed, version=read_version(c), by=c.by)
    except CrmError as e:
        errors, status = problems_of(c, e)
        return _form(c, _role(c, id), typed, errors, status, isinstance(e, EditConflict))
    return Redirect(to=f"/roles/{id}", said=c.t("已保存。", "Saved."))


@screen("/roles/{id:int}/remove", needs="role:manage", methods=("GET", "POST"))
def remove(c: Context, id: int) -> Answer:
    """Ask whether a role shall really go, or remove it."""
    found = _role(c, id)
    if c.request.method == "POST":
        access.remove_role(c.crm, id, by=c.by)
        return Redirect(to="/roles", said=c.t("已删除。", "Removed."))
    return Page(template="role_remove.html", data={"role": found, "title": named(c, found.role)})


def _typed(c: Context) -> dict[str, Any]:
    typed = typed_fields(c, Role, FIELDS)
    typed["title_en"] = typed["title_en"] or ""
    return typed | {"permissions": c.many("permissions")}


def _role(c: Context, id: int) -> RoleSummary:
    for found in access.list_roles(c.crm, by=c.by):
        if found.role.id == id:
            return found
    raise NotFound(what="角色", id=id)


def _form(
    c: Context, found: RoleSummary | None, typed: Mapping[str, Any] | None = None,
    errors: Mapping[str, Sequence[str]] | None = None, status: int = 200, conflict: bool = False,
) -> Answer:  # fmt: skip
    errors, role = errors or {}, found.role if found else None
    fields = [specs(Role)[name] for name in FIELDS]
    return Page(template="role.html", status=status, data={
        "role": role, "accounts": found.accounts if found else 0, "errors": errors.get("", ()),
        "inputs": inputs(c, fields, role, typed, errors, role if conflict else None),
        "groups": _groups(c, found, typed), "permission_errors": errors.get("permissions", ()),
        "beyond": found is not None and not found.givable, "conflict": conflict,
        "named": lambda x: named(c, x),
    })  # fmt: skip


def _groups(
    c: Context, found: RoleSummary | None, typed: Mapping[str, Any] | None
) -> list[TickGroup]:
    stored = frozenset(found.permissions if found else ())
    chosen = stored if typed is None else frozenset(typed["permissions"])
    return [
        TickGroup(menu=named(c, part.menu), group=named(c, part.group), ticks=tuple(
            Tick(permission=p, stored=p.code in stored, chosen=p.code in chosen,
                 givable=access.may_give(c.by, [p.code]))
            for p in part.permissions
        ))
        for part in access.list_permissions(c.crm, by=c.by) if part.permissions
    ]  # fmt: skip


SCREENS = (show, add, edit, remove)

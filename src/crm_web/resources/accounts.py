"""The list of login accounts."""

from __future__ import annotations

from crm_domain.model import User
from crm_domain.ports import HAS_PASSWORD
from crm_domain.usecases import access
from crm_web.resource import Column, Filter, Resource, column, narrowing

ACCOUNTS = Resource(
    name="users", record=User, words=("用户", "Users"), icon="user", needs="user:manage",
    rows=lambda crm, query, by: access.list_accounts(crm, query, by=by),
    tally=lambda crm, query, names, by: access.tally_accounts(crm, query, names, by=by),
    key="username", own_page="/users/of/{id}", adds="user:manage", export="user:manage",
    columns=(
        column(User, "username", link=True),
        Column(name="name", words=("员工", "Employee"), kind="text", sort=True),
        Column(name="roles", words=("角色", "Roles"), kind="references", target="Role",
               value=lambda row: tuple(r.id for r in row.roles)),
        column(User, "active", sort=False),
        Column(name=HAS_PASSWORD, words=("已设密码", "Has a password"), kind="flag"),
        column(User, "email", shown=False, sort=False),
    ),
    filters=(
        Filter(name="roles", words=("角色", "Role"), kind="references", target="Role"),
        narrowing(User, "active"),
        Filter(name=HAS_PASSWORD, words=("已设密码", "Has a password"), kind="flag",
               choices=(("true", ("是", "yes")), ("false", ("否", "no")))),
    ),
    search=("用户名、姓名", "Username, name"),
)  # fmt: skip

RESOURCES = (ACCOUNTS,)

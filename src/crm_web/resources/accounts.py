"""The list of login accounts: the use case tells all within reach, so it is narrowed here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from crm_domain.model import User
from crm_domain.ports import Crm, Page, Query, Tally
from crm_domain.rules.access import Principal
from crm_domain.usecases import access
from crm_web.context import number
from crm_web.resource import Column, Filter, Resource, column, narrowing


@attrs.frozen(kw_only=True)
class Line:
    """One account as its list shows it."""

    id: int
    username: str
    name: str | None
    employee_id: int | None
    email: str | None
    roles: tuple[int, ...]
    active: bool
    has_password: bool


def list_lines(crm: Crm, query: Query, by: Principal) -> Page[Line]:
    """Give one page of accounts, by username unless it is sorted otherwise."""
    found = _matching(crm, query, by)
    wish = query.sort or "username"
    name = wish.lstrip("-")
    found.sort(key=lambda line: (_key(getattr(line, name)), line.username),
               reverse=wish.startswith("-"))  # fmt: skip
    begin = number(query.after or "") or 0
    end = begin + query.limit
    return Page(items=tuple(found[begin:end]), next=str(end) if end < len(found) else None)


def tally_lines(crm: Crm, query: Query, facets: Sequence[str], by: Principal) -> Tally:
    """Count the accounts that match, and the values of fields, each without its own filter."""
    every = _lines(crm, by)
    found: dict[str, Counter[Any]] = {}
    for name in facets:
        rest = {n: v for n, v in query.where.items() if n != name}
        matching = [x for x in every if _matches(x, attrs.evolve(query, where=rest))]
        found[name] = Counter(v for line in matching for v in _values(line, name))
    total = sum(_matches(line, query) for line in every)
    return Tally(total=total, by=found, exact=True)


def _lines(crm: Crm, by: Principal) -> list[Line]:
    return [
        Line(
            id=a.id, username=a.username, name=a.name, employee_id=a.employee_id, email=a.email,
            roles=tuple(r.id or 0 for r in a.roles), active=a.active, has_password=a.has_password,
        )
        for a in access.list_accounts(crm, by=by)
    ]  # fmt: skip


def _matching(crm: Crm, query: Query, by: Principal) -> list[Line]:
    return [line for line in _lines(crm, by) if _matches(line, query)]


def _matches(line: Line, query: Query) -> bool:
    words = (query.search or "").casefold().split()
    text = f"{line.username}\n{line.name or ''}".casefold()
    return all(w in text for w in words) and all(
        {_code(v) for v in _values(line, name)} & {_code(v) for v in _listed(wish)}
        for name, wish in query.where.items()
    )


def _values(line: Line, name: str) -> Iterable[Any]:
    value = getattr(line, name)
    return (value or (None,)) if isinstance(value, tuple) else (value,)


def _listed(wish: Any) -> Iterable[Any]:
    return wish if isinstance(wish, list | tuple | set | frozenset) else (wish,)


def _code(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _key(value: Any) -> tuple[bool, Any]:
    """Sort what is empty after all else."""
    return (value is None, "" if value is None else value)


ACCOUNTS = Resource(
    name="users", record=User, words=("用户", "Users"), icon="user", needs="user:manage",
    rows=list_lines, tally=tally_lines, key="username", own_page="/users/{id}",
    adds="user:manage", export="user:manage",
    columns=(
        column(User, "username", link=True),
        Column(name="name", words=("员工", "Employee"), kind="text", sort=True),
        column(User, "roles"),
        column(User, "active"),
        Column(name="has_password", words=("已设密码", "Has a password"), kind="flag"),
        column(User, "email", shown=False, sort=False),
    ),
    filters=(
        Filter(name="roles", words=("角色", "Role"), kind="reference", target="Role"),
        narrowing(User, "active"),
        Filter(name="has_password", words=("已设密码", "Has a password"), kind="flag",
               choices=(("true", ("是", "yes")), ("false", ("否", "no")))),
    ),
    search=("用户名、姓名", "Username, name"),
)  # fmt: skip

RESOURCES = (ACCOUNTS,)

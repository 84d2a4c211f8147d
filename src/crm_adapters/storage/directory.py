"""People and their rights, as SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, get_args

import attrs
import sqlalchemy as sa

from crm_adapters.storage.counting import Countable, fields_of, tallied
from crm_adapters.storage.listing import any_holds, any_of, narrowed, paged
from crm_adapters.storage.rows import Mapper, mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import LINKS, TABLES
from crm_domain.errors import Language
from crm_domain.model import Employee, SavedView, Scope, Spec, User, specs
from crm_domain.ports import HAS_PASSWORD, MOST, Page, Query, Reach, Tally

_account, _employee = TABLES["User"], TABLES["Employee"]
_department, _permission, _role = TABLES["Department"], TABLES["Permission"], TABLES["Role"]
_user_roles, _role_permissions = LINKS["User", "roles"], LINKS["Role", "permissions"]
_NAME = attrs.evolve(specs(Employee)["name"], optional=True)
_PASSWORD = Spec(kind="flag", name=HAS_PASSWORD, zh="已设密码", en="Has a password", type=bool,
                 default=False)  # fmt: skip


@lru_cache(maxsize=256)
def within(reach: Reach) -> Any:
    """Select the numbers of the employees whose records are within a reach.

    The same for the same reach, so that a statement that asks twice is built once.
    """
    # What asks may read or write employees itself, and is another row of the same table.
    e = _employee.alias("reached").c
    if reach.scope is Scope.ALL:
        return sa.select(e.id)
    own = e.id == (reach.employee_id or 0)
    if reach.scope is Scope.OWN or reach.department_id is None:
        return sa.select(e.id).where(own)
    if reach.scope is Scope.DEPARTMENT:
        return sa.select(e.id).where(sa.or_(own, e.department_id == reach.department_id))
    theirs = departments_within(reach)
    return sa.select(e.id).where(sa.or_(own, e.department_id.in_(theirs)))


@lru_cache(maxsize=256)
def departments_within(reach: Reach) -> Any:
    """Select the numbers of the departments within a reach."""
    d = _department.alias("start").c
    if reach.scope is Scope.ALL:
        return sa.select(d.id)
    own = d.id == reach.department_id
    if reach.scope is Scope.OWN or reach.department_id is None:
        return sa.select(d.id).where(sa.false())
    if reach.scope is Scope.DEPARTMENT:
        return sa.select(d.id).where(own)
    below = sa.select(d.id).where(own).cte("below", recursive=True, nesting=True)
    child = _department.alias("child").c
    # UNION, not UNION ALL: a department that is its own ancestor by mistake ends the walk.
    below = below.union(sa.select(child.id).where(child.parent_id == below.c.id))
    return sa.select(below.c.id)


def active_employees(permission: str) -> sa.Select[tuple[int]]:
    """Select the numbers of the employees whose enabled account holds a permission."""
    return (
        sa.select(_employee.c.id)
        .join(_account, _account.c.employee_id == _employee.c.id)
        .join(_user_roles, _user_roles.c.left_id == _account.c.id)
        .join(_role_permissions, _role_permissions.c.left_id == _user_roles.c.right_id)
        .join(_permission, _permission.c.id == _role_permissions.c.right_id)
        .where(
            _permission.c.code == permission,
            _account.c.active == sa.literal(True, _account.c.active.type),
        )
        .distinct()
    )


def _views(on_sqlite: bool) -> Any:
    m = mapper(SavedView)
    mine = m.column("user_id") == sa.bindparam("user_id", type_=m.column("user_id").type)
    shared = m.column("shared") == sa.literal(True, m.column("shared").type)
    return (
        m.select().add_columns(_employee.c.name.label("person"), _account.c.username)
        .join(_account, _account.c.id == m.column("user_id"))
        .outerjoin(_employee, _employee.c.id == _account.c.employee_id)
        .where(m.column("list_name") == sa.bindparam("list_name", type_=sa.Text),
               sa.or_(mine, shared))
        .order_by(m.column("title"), m.column("id"))
    )  # fmt: skip


def _has_password() -> Any:
    """Tell whether an account has a password, as a flag is kept; nothing else is told of it."""
    a = _account.c
    yes, no = (sa.literal(flag, a.active.type) for flag in (True, False))
    return sa.case((a.password_hash.is_not(None), yes), else_=no)


def _theirs(reach: Reach) -> list[sa.ColumnElement[bool]]:
    """Limit accounts to those of the employees within a reach; who sees all, sees all accounts."""
    return [] if reach.scope is Scope.ALL else [_account.c.employee_id.in_(within(reach))]


class SqlDirectory:
    """Implements the port ``Directory``."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._reached: dict[tuple[int, Reach], bool] = {}

    def rights(self, role_ids: Sequence[int]) -> tuple[frozenset[str], tuple[Scope, ...]]:
        """Tell the permissions and scopes of some roles."""
        codes = self._session.run(
            sa.select(_permission.c.code)
            .join(_role_permissions, _role_permissions.c.right_id == _permission.c.id)
            .where(_role_permissions.c.left_id.in_(role_ids))
        ).scalars()
        scopes = self._session.run(
            sa.select(_role.c.scope).where(_role.c.id.in_(role_ids))
        ).scalars()
        return frozenset(codes), tuple(scopes)

    def with_permission(self, permission: str, reach: Reach | None = None) -> tuple[Employee, ...]:
        """Find the employees, within a reach, whose enabled account holds a permission."""
        m = mapper(Employee)
        chosen = m.select().where(m.column("id").in_(active_employees(permission)))
        if reach is not None:
            chosen = chosen.where(m.column("id").in_(within(reach)))
        return m.records(self._session, self._session.run(chosen.order_by(m.column("id"))))

    def holds(self, employee_id: int, permission: str) -> bool:
        """Whether an employee has an enabled account that holds a permission."""
        chosen = active_employees(permission).where(_employee.c.id == employee_id)
        return self._session.run(chosen).first() is not None

    def languages(self, employee_ids: Collection[int]) -> Mapping[int, Language]:
        """Read the languages that some employees chose for their accounts, as far as they did."""
        a = _account.c
        chosen = sa.select(a.employee_id, a.language).where(
            self._session.among(a.employee_id, sorted(employee_ids)),
            a.language.in_(get_args(Language)),
        )
        return dict(self._session.run(chosen).all())

    def accounts_with(self, permissions: Sequence[str], today: date) -> frozenset[int]:
        """Find the accounts that hold all of some permissions and may sign in on a day."""
        chosen = (
            sa.select(_account.c.id)
            .join(_user_roles, _user_roles.c.left_id == _account.c.id)
            .join(_role_permissions, _role_permissions.c.left_id == _user_roles.c.right_id)
            .join(_permission, _permission.c.id == _role_permissions.c.right_id)
            .outerjoin(_employee, _employee.c.id == _account.c.employee_id)
            .where(
                _permission.c.code.in_(permissions),
                _account.c.active == sa.literal(True, _account.c.active.type),
                sa.or_(_employee.c.left_on.is_(None), _employee.c.left_on > today),
            )
            .group_by(_account.c.id)
            .having(sa.func.count(_permission.c.id.distinct()) == len(permissions))
        )
        return frozenset(self._session.run(chosen).scalars())

    def views(self, list_name: str, user_id: int) -> tuple[tuple[SavedView, str], ...]:
        """Read the views of a list that are somebody's own or shared, and whose each is."""
        rows = self._session.rows(_views, list_name=list_name, user_id=user_id)
        kept = mapper(SavedView).records(self._session, [row[:-2] for row in rows])
        return tuple((view, r[-2] or r[-1]) for view, r in zip(kept, rows, strict=True))

    def accounts(self, query: Query, reach: Reach) -> Page[User]:
        """Read one page of the accounts within a reach, by username."""
        m, chosen, rest = self._accounts(query, reach)
        return paged(self._session, m, chosen, rest, order="username", chosen=True,
                     beside={"name": (_NAME, _employee.c.name)})  # fmt: skip

    def tally_accounts(
        self, query: Query, facets: Sequence[str], reach: Reach, *, most: int = MOST
    ) -> Tally:
        """Count what `accounts` would give, and the values of some fields of it."""

        def choose(query: Query) -> Countable:
            m, chosen, _ = self._accounts(query, reach)
            plain = fields_of(m)

            def field(name: str) -> tuple[Spec, Any]:
                return (_PASSWORD, _has_password()) if name == HAS_PASSWORD else plain(name)

            return Countable(chosen, m.column("id"), field)

        return tallied(self._session, choose, query, facets, most)

    def _accounts(
        self, query: Query, reach: Reach
    ) -> tuple[Mapper[User], sa.Select[Any], Query]:  # fmt: skip
        beside = _account.outerjoin(_employee, _employee.c.id == _account.c.employee_id)
        m = attrs.evolve(mapper(User), source=beside)
        chosen = m.select().where(*_theirs(reach))
        for word in (query.search or "").split():
            called = [_account.c.username, _employee.c.name]
            chosen = chosen.where(any_holds(self._session, called, word))
        if HAS_PASSWORD in query.where:
            wish = query.where[HAS_PASSWORD]
            chosen = chosen.where(any_of(_has_password(), _PASSWORD, wish))
            rest = {n: w for n, w in query.where.items() if n != HAS_PASSWORD}
            query = attrs.evolve(query, where=rest)
        return m, narrowed(m, chosen, query, searched=True), query

    def role_counts(self, reach: Reach) -> dict[int, int]:
        """Count the accounts within a reach that have each role."""
        chosen = (
            sa.select(_user_roles.c.right_id, sa.func.count())
            .join(_account, _account.c.id == _user_roles.c.left_id)
            .where(*_theirs(reach))
            .group_by(_user_roles.c.right_id)
        )
        return {role: many for role, many in self._session.run(chosen)}  # noqa: C416 - a row is no pair to mypy

    def without_account(self, reach: Reach, limit: int) -> dict[int, str]:
        """Read the employees within a reach who have no account, by name."""
        e = _employee.c
        taken = sa.exists().where(_account.c.employee_id == e.id)
        chosen = sa.select(e.id, e.name).where(sa.not_(taken))
        if reach.scope is not Scope.ALL:
            chosen = chosen.where(e.id.in_(within(reach)))
        rows = self._session.run(chosen.order_by(e.name, e.id).limit(limit))
        return {number: name for number, name in rows}  # noqa: C416

    def covered(self, reach: Reach) -> int:
        """Count the employees whose records are within a reach."""
        chosen = sa.select(sa.func.count()).select_from(within(reach).subquery())
        return int(self._session.run(chosen).scalar_one())

    def in_reach(self, employee_id: int | None, reach: Reach) -> bool:
        """Whether an employee's records are within a reach."""
        if reach.scope is Scope.ALL:
            return True
        key = (employee_id or 0, reach)
        if key not in self._reached:
            chosen = sa.select(_employee.c.id).where(
                _employee.c.id == key[0], _employee.c.id.in_(within(reach))
            )
            self._reached[key] = self._session.run(chosen).first() is not None
        return self._reached[key]

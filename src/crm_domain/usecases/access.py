"""Accounts, roles and rights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crm_domain.errors import FieldError, Invalid, NotFound
from crm_domain.model import Employee, Permission, Role, Scope, User
from crm_domain.model.fields import changed
from crm_domain.parsing import parse_fields
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import PERMISSIONS, ROLES, Declared, Principal, union
from crm_domain.rules.duty import has_left
from crm_domain.usecases._common import audit

PASSWORD = (8, 128)
"""The shortest and the longest password (OWASP ASVS 5.0, 6.2.1 and 6.2.9)."""

FREELY_GIVEN = frozenset({"customer:claim"})
"""May be given without being held: an administrator, who does not sell, makes consultants."""


def synchronise(crm: Crm, permissions: Sequence[Declared] = ()) -> None:
    """Write the declared permissions and the built-in roles into the database.

    What an administrator arranged stays: an existing role keeps its permissions, but a permission
    that is new to the database is given to the built-in roles that have it by declaration.

    Args:
        crm: The CRM.
        permissions: What plugins declare beside the core.
    """
    with crm.unit_of_work() as uow:
        # First, because it keeps others who synchronise at the same time waiting.
        uow.turns.people_changed()
        known = {p.code: p for p in uow.records.all(Permission)}
        new: dict[str, int] = {}
        for declared in (*PERMISSIONS, *permissions):
            if declared.code not in known and declared.code not in new:
                made = uow.records.add(
                    Permission(code=declared.code, title=declared.zh, title_en=declared.en)
                )
                new[declared.code] = made.id or 0
        roles = {r.code: r for r in uow.records.all(Role) if r.code}
        for built_in in ROLES:
            granted = tuple(sorted(new[c] for c in built_in.permissions if c in new))
            role = roles.get(built_in.code)
            if role is None:
                uow.records.add(
                    Role(code=built_in.code, title=built_in.zh, scope=built_in.scope,
                         permissions=granted)
                )  # fmt: skip
            elif granted:
                uow.records.save(changed(role, permissions=(*role.permissions, *granted)))


def create_user(crm: Crm, values: Mapping[str, Any], *, by: Principal) -> User:
    """Make a login account.

    Args:
        crm: The CRM.
        values: ``username``, ``password``, ``roles`` (codes, titles or numbers), and
            ``employee_id`` or ``student_id``.
        by: Who asks; needs ``user:manage``.

    Returns:
        The account, with its number.

    Raises:
        Invalid: With every problem.
        Duplicate: The username is taken, or the employee has an account already.
        NotPermitted: Without the permission.
    """
    by.need("user:manage")
    given = dict(values)
    password, wanted = given.pop("password", None), given.pop("roles", ())
    fields, problems = parse_fields(User, given)
    problems += [] if password is None else _password_problems(password)
    hashed = None if problems or password is None else crm.passwords.hash(password)
    with crm.unit_of_work() as uow:
        now = crm.now()
        roles = _roles(uow, wanted, problems)
        if problems:
            raise Invalid(problems)
        _refuse_wider(uow, roles, by)
        user = uow.records.add(
            User(**fields, roles=tuple(r.id or 0 for r in roles), password_hash=hashed,
                 created_at=now)
        )  # fmt: skip
        uow.turns.people_changed()
        audit(uow, by, now, "create", "User", user.id, None, user)
        return user


def set_active(crm: Crm, username: str, active: bool, *, by: Principal) -> User:
    """Enable or disable an account; it takes effect at the next request and the next turn.

    Raises:
        NotFound: There is no such account.
        NotPermitted: Without ``user:manage``.
    """
    return _change_user(crm, username, {"active": active}, by)


def set_roles(crm: Crm, username: str, roles: Sequence[str | int], *, by: Principal) -> User:
    """Give an account other roles; it takes effect at the next request.

    Raises:
        Invalid: There is no such role.
        NotFound: There is no such account.
        NotPermitted: Without ``user:manage``, or for a role that reaches further than one's own.
    """
    return _change_user(crm, username, {"roles": roles}, by)


def set_password(crm: Crm, username: str, password: str, *, by: Principal) -> User:
    """Give an account a password; the one before does not open it any more.

    Args:
        crm: The CRM.
        username: Whose account.
        password: The password, of 8 to 128 characters.
        by: Who asks; needs ``user:manage``, and all that the account may do.

    Returns:
        The account.

    Raises:
        Invalid: The password is too short or too long.
        NotFound: There is no such account.
        NotPermitted: Without the permission, or for an account that may do more than oneself.
    """
    by.need("user:manage")
    hashed = _hashed(crm, password, "password")
    with crm.unit_of_work() as uow:
        now = crm.now()
        user = _account(uow, username)
        _refuse_stronger(uow, user, by)
        saved = uow.records.save(changed(user, password_hash=hashed))
        audit(uow, by, now, "set_password", "User", user.id)
        return saved


def change_password(crm: Crm, old: str, new: str, *, by: Principal) -> User:
    """Change one's own password.

    Args:
        crm: The CRM.
        old: The present password.
        new: The new one, of 8 to 128 characters.
        by: Who asks; needs an account.

    Returns:
        The account.

    Raises:
        Invalid: The present password is not right, or the new one is too short or too long.
        EditConflict: The account was changed meanwhile.
        NotFound: Whoever asks has no enabled account.
    """
    with crm.unit_of_work(read_only=True) as uow:
        user = None if by.user_id is None else uow.records.get(User, by.user_id)
    if user is None or not user.active:
        raise NotFound(what="用户", id=by.name)
    if not _fits(crm, old, user):
        raise Invalid([FieldError("old", "wrong_password", None, "当前密码不正确",
                                  "the present password is not right")])  # fmt: skip
    hashed = _hashed(crm, new, "new")
    with crm.unit_of_work() as uow:
        now = crm.now()
        saved = uow.records.save(changed(user, password_hash=hashed))
        audit(uow, by, now, "change_password", "User", user.id)
        return saved


def _change_user(crm: Crm, username: str, values: dict[str, Any], by: Principal) -> User:
    by.need("user:manage")
    with crm.unit_of_work() as uow:
        now = crm.now()
        user = _account(uow, username)
        if "roles" in values:
            problems: list[FieldError] = []
            roles = _roles(uow, values["roles"], problems)
            if problems:
                raise Invalid(problems)
            _refuse_wider(uow, roles, by)
            values = {"roles": tuple(r.id or 0 for r in roles)}
        saved = uow.records.save(changed(user, **values))
        uow.turns.people_changed()
        audit(uow, by, now, "update", "User", user.id, user, saved)
        return saved


def set_role(
    crm: Crm, code: str, *, permissions: Sequence[str], scope: Scope | None = None, by: Principal
) -> Role:
    """Say what a role may do, and how far it reaches; it takes effect at the next request.

    Args:
        crm: The CRM.
        code: The role's code or title; a new title makes a new role.
        permissions: All its permissions, by code.
        scope: Its data scope; None leaves it as it is.
        by: Who asks; needs ``role:manage`` and may give only what is held.

    Raises:
        NotFound: There is no such permission.
        NotPermitted: Without the permission.
    """
    by.need("role:manage")
    with crm.unit_of_work() as uow:
        now = crm.now()
        known = {p.code: p.id or 0 for p in uow.records.all(Permission)}
        for permission in permissions:
            if permission not in FREELY_GIVEN:
                by.need(permission)
            if permission not in known:
                raise NotFound(what="权限", id=permission)
        ids = tuple(sorted(known[p] for p in permissions))
        role = uow.records.find(Role, code=code) or uow.records.find(Role, title=code)
        saved = (
            uow.records.add(Role(title=code, permissions=ids, scope=scope or Scope.OWN))
            if role is None
            else uow.records.save(changed(role, permissions=ids, scope=scope or role.scope))
        )
        uow.turns.people_changed()
        audit(uow, by, now, "update", "Role", saved.id, role, saved)
        return saved


def principal_for(crm: Crm, *, username: str) -> Principal:
    """Tell who acts under a username, with the rights of this moment.

    Ask again for every request: a changed role or a disabled account then takes effect at once.

    Raises:
        NotFound: There is no such account, it is disabled, or its employee has left.
    """
    with crm.unit_of_work(read_only=True) as uow:
        user = uow.records.find(User, username=username)
        if user is None or not user.active:
            raise NotFound(what="用户", id=username)
        employee = None if user.employee_id is None else uow.records.get(Employee, user.employee_id)
        if employee is not None and has_left(employee, crm.today()):
            raise NotFound(what="用户", id=username)
        codes, scopes = uow.directory.rights(user.roles)
        return Principal(
            name=user.username, person=employee.name if employee else None,
            user_id=user.id, employee_id=user.employee_id,
            department_id=employee.department_id if employee else None,
            permissions=codes, scope=union(scopes), language=user.language,
        )  # fmt: skip


def sign_in(crm: Crm, username: str, password: str) -> Principal:
    """Tell who acts, once the password fits.

    Raises:
        NotFound: The account or the password is not right; which of the two is not said.
    """
    with crm.unit_of_work(read_only=True) as uow:
        user = uow.records.find(User, username=username)
    if not _fits(crm, password, user):
        raise NotFound(what="用户", id=username)
    return principal_for(crm, username=username)


def _account(uow: UnitOfWork, username: str) -> User:
    user = uow.records.find(User, username=username)
    if user is None:
        raise NotFound(what="用户", id=username)
    return user


def _fits(crm: Crm, password: Any, user: User | None) -> bool:
    """Whether a password opens an account; takes as long when there is no account."""
    typed = password if isinstance(password, str) and len(password) <= PASSWORD[1] else ""
    return crm.passwords.verify(typed, user.password_hash if user else None)


def _hashed(crm: Crm, password: Any, path: str) -> str:
    if problems := _password_problems(password, path):
        raise Invalid(problems)
    return crm.passwords.hash(password)


def _password_problems(password: Any, path: str = "password") -> list[FieldError]:
    low, high = PASSWORD
    if isinstance(password, str) and low <= len(password) <= high:
        return []
    return [
        FieldError(path, "bad_password", None, f"密码须为 {low} 至 {high} 个字符",
                   f"a password has {low} to {high} characters")
    ]  # fmt: skip


def _roles(uow: UnitOfWork, wanted: Any, problems: list[FieldError]) -> list[Role]:
    if isinstance(wanted, str):
        wanted = [w for w in wanted.replace("，", ",").split(",") if w]
    roles = uow.records.all(Role)
    words: dict[Any, Role] = {}
    for role in roles:
        words |= {role.code or role.title: role, role.title: role, role.id: role}
    found = []
    for word in wanted:
        wish = words.get(word.strip() if isinstance(word, str) else word)
        if wish is None:
            problems.append(FieldError("roles", "unknown_role", word, f"没有角色“{word}”",
                                       f"there is no role {word}"))  # fmt: skip
        else:
            found.append(wish)
    return found


def _refuse_stronger(uow: UnitOfWork, user: User, by: Principal) -> None:
    """Refuse to change another's account that may do more, so that nobody disarms the mighty."""
    if user.id != by.user_id:
        _refuse_wider(uow, [r for r in uow.records.all(Role) if r.id in user.roles], by)


def _refuse_wider(uow: UnitOfWork, roles: Sequence[Role], by: Principal) -> None:
    """Refuse to give what one does not hold, so that nobody makes himself an administrator."""
    codes, scopes = uow.directory.rights([r.id or 0 for r in roles])
    for code in sorted(codes - FREELY_GIVEN):
        by.need(code)
    if union([*scopes, by.scope]) is not by.scope:
        by.need("role:manage")

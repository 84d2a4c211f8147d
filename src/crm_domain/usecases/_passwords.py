"""Passwords: what is accepted, and how one is checked and replaced."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from typing import Any

from crm_domain.errors import FieldError, Invalid, TooManyAttempts
from crm_domain.model import Employee, School, User
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.duty import has_left
from crm_domain.rules.passwords import LONGEST, SHORTEST, is_common
from crm_domain.rules.throttle import ACCOUNT_TRIES

LONGEST_TOKEN = 200


def fits(crm: Crm, password: Any, user: User | None) -> bool:
    """Whether a password opens an account; takes as long when there is no account."""
    typed = password if isinstance(password, str) and len(password) <= LONGEST else ""
    return crm.passwords.verify(typed, user.password_hash if user else None)


def password_problems(
    password: Any, path: str = "password", words: tuple[str, ...] = ()
) -> list[FieldError]:  # fmt: skip
    """Tell what is wrong with a new password, never repeating it."""
    if not isinstance(password, str) or not SHORTEST <= len(password) <= LONGEST:
        return [
            FieldError(path, "bad_password", None, f"密码须为 {SHORTEST} 至 {LONGEST} 个字符",
                       f"a password has {SHORTEST} to {LONGEST} characters")
        ]  # fmt: skip
    if is_common(password, words):
        return [
            FieldError(path, "common_password", None, "该密码太常见，容易被猜到，请换一个",
                       "this password is too easy to guess, choose another")
        ]  # fmt: skip
    return []


def words_near(
    uow: UnitOfWork, username: str | None, employee_id: int | None
) -> tuple[str, ...]:  # fmt: skip
    """Give what whoever knows a person would try first: names, numbers, the schools."""
    found: list[str | None] = [username]
    employee = None if employee_id is None else uow.records.get(Employee, employee_id)
    if employee is not None:
        found += [employee.name, employee.employee_number, employee.phone]
        found += [(employee.email or "").partition("@")[0]]
    found += [school.title for school in uow.records.all(School)]
    return tuple(word for word in found if word)


def hashed(
    crm: Crm, password: Any, path: str, words: tuple[str, ...]
) -> str:  # fmt: skip
    """Hash a new password.

    Raises:
        Invalid: It is too short, too long or too easy to guess.
    """
    if problems := password_problems(password, path, words):
        raise Invalid(problems)
    return crm.passwords.hash(password)


def replace(
    uow: UnitOfWork, user: User, new: str, now: datetime, *, keep: int | None = None,
    void: bool = True,
) -> User:  # fmt: skip
    """Write a new hash; the other sessions end, and a link that was issued is void."""
    saved = uow.records.save(changed(user, password_hash=new))
    uow.sign_ins.end(now=now, user_id=user.id, keep=keep)
    if void:
        uow.sign_ins.void(user.id or 0)
    return saved


def count_attempt(uow: UnitOfWork, now: datetime, key: str, free: int = ACCOUNT_TRIES) -> None:
    """Count one try under a key, before anything costly is done for it.

    Raises:
        TooManyAttempts: One has to wait; leaving by it takes back what else was counted.
    """
    free_at = uow.sign_ins.attempt(key, now=now, free=free)
    if free_at is not None:
        raise TooManyAttempts(retry_after=max(1, math.ceil((free_at - now).total_seconds())))


def fingerprint(token: str | None) -> str | None:
    """Give what is stored of a token; None for what cannot be one."""
    if not isinstance(token, str) or not 0 < len(token) <= LONGEST_TOKEN:
        return None
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def may_sign_in(crm: Crm, uow: UnitOfWork, user: User, now: datetime) -> bool:
    """Whether an account is enabled and its employee has not left."""
    employee = None if user.employee_id is None else uow.records.get(Employee, user.employee_id)
    return user.active and not (employee is not None and has_left(employee, crm.day(now)))

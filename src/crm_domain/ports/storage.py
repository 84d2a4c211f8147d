"""What the use cases need of a database. All of it happens inside one unit of work."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import attrs

from crm_domain.errors import Language
from crm_domain.model import (
    AuditEntry,
    Employee,
    SavedView,
    Scope,
    User,
)
from crm_domain.ports.customers import Customers
from crm_domain.ports.falling_due import FallingDue
from crm_domain.ports.forms import Forms
from crm_domain.ports.imports import Imports
from crm_domain.ports.outbox import Notices
from crm_domain.ports.ownership import Ownership
from crm_domain.ports.query import MOST, Page, Query, Tally
from crm_domain.ports.reach import Reach
from crm_domain.ports.schedule import Schedule
from crm_domain.ports.sign_ins import SignIns
from crm_domain.ports.turns import PoolRules, Turns
from crm_domain.ports.work import Work

T = TypeVar("T")


class Records(Protocol):
    """Any record, with optimistic locking and no rules but the reach.

    Where a reach is given, it limits what is read and written by what `About.belongs` says; None
    limits nothing. What is shared is read by all, beyond the reach without its contact data, which
    is then neither found nor sorted by.
    """

    def get(self, cls: type[T], id: int, reach: Reach | None = None) -> T | None:
        """Read one record as far as the reach allows, or None."""
        ...

    def find(self, cls: type[T], **fields: Any) -> T | None:
        """Read the one record with these values, or None."""
        ...

    def among(self, cls: type[T], ids: Sequence[int]) -> tuple[T, ...]:
        """Read the records with these numbers, as far as they are there."""
        ...

    def all(self, cls: type[T], **fields: Any) -> tuple[T, ...]:
        """Read all records with these values, by number."""
        ...

    def page(self, cls: type[T], query: Query, reach: Reach | None = None) -> Page[T]:
        """Read one page of what the query and the reach allow."""
        ...

    def tally(self, cls: type[T], query: Query, facets: Sequence[str], reach: Reach | None = None,
              *, most: int = MOST, texts: bool = False) -> Tally:  # fmt: skip
        """Count what `page` would give, and the values of some fields of it.

        Args:
            cls: The kind of record.
            query: What is asked; its limit and its page mark do not matter.
            facets: Fields that are choices, states, flags or references.
            reach: As for `page`.
            most: So many rows are counted at most.
            texts: Whether texts may be counted by value, too.
        """
        ...

    def look_up(
        self, cls: type[Any], paths: Sequence[str], *, ids: Sequence[int] | None = None,
        words: Sequence[str] = (), limit: int = MOST, reach: Reach | None = None,
    ) -> dict[int, tuple[Any, ...]]:  # fmt: skip
        """Read a few values of many records by one statement.

        Args:
            cls: The kind of record.
            paths: Fields; one of a record that is referred to follows the reference and a dot.
            ids: Of these records only.
            words: Only records in whose values each of these is found, in large letters or small.
            limit: So many at most, in the order of their values.
            reach: As for `page`; what is referred to beyond it is not there.

        Returns:
            By number, in that order; None stands for what is not there.
        """
        ...

    def add(self, record: T, reach: Reach | None = None) -> T:
        """Write a new record and give it back with its number.

        Raises:
            Duplicate: A unique field has the value already.
            NotFound: A reference points to nothing, or it would be beyond the reach.
        """
        ...

    def save(self, record: T, reach: Reach | None = None) -> T:
        """Write a record that was read before and give it back with its new version.

        Raises:
            EditConflict: Somebody changed it since.
            Duplicate: A unique field has the value already.
            NotFound: It was, or would be, beyond the reach.
        """
        ...

    def remove(self, cls: type[Any], id: int, reach: Reach | None = None) -> None:
        """Remove a record.

        Raises:
            NotFound: There is none within the reach.
            InUse: Others refer to it.
        """
        ...


HAS_PASSWORD = "has_password"
"""Whether an account has a password: all that lists are told of it."""


class Directory(Protocol):
    """People and their rights."""

    def rights(self, role_ids: Sequence[int]) -> tuple[frozenset[str], tuple[Scope, ...]]:
        """Tell the permissions and scopes of some roles."""
        ...

    def with_permission(self, permission: str, reach: Reach | None = None) -> tuple[Employee, ...]:
        """Find the employees, within a reach, whose enabled account holds a permission."""
        ...

    def views(self, list_name: str, user_id: int) -> tuple[tuple[SavedView, str], ...]:
        """Read the views of a list that are somebody's own or shared, by title.

        Beside each stands what whoever saved it is called.
        """
        ...

    def holds(self, employee_id: int, permission: str) -> bool:
        """Whether an employee has an enabled account that holds a permission."""
        ...

    def languages(self, employee_ids: Collection[int]) -> Mapping[int, Language]:
        """Read the languages that some employees chose for their accounts, as far as they did."""
        ...

    def accounts_with(self, permissions: Sequence[str], today: date) -> frozenset[int]:
        """Find the accounts that hold all of some permissions and may sign in on a day.

        Args:
            permissions: The codes, each once.
            today: The local day; whoever has left by then has no account any more.
        """
        ...

    def accounts(self, query: Query, reach: Reach) -> Page[User]:
        """Read one page of the accounts of the employees within a reach, by username.

        Who sees all sees all accounts. It is searched by the username and by what the employee is
        called, sorted also by ``name``, and filtered also by `HAS_PASSWORD`.
        """
        ...

    def tally_accounts(
        self, query: Query, facets: Sequence[str], reach: Reach, *, most: int = MOST
    ) -> Tally:
        """Count what `accounts` would give, and the values of some fields of it."""
        ...

    def role_counts(self, reach: Reach) -> dict[int, int]:
        """Count the accounts within a reach that have each role, by its number."""
        ...

    def without_account(self, reach: Reach, limit: int) -> dict[int, str]:
        """Read the employees within a reach who have no account, as number and name, by name."""
        ...

    def covered(self, reach: Reach) -> int:
        """Count the employees whose records are within a reach."""
        ...

    def in_reach(self, employee_id: int | None, reach: Reach) -> bool:
        """Whether an employee's records are within a reach."""
        ...


class UnitOfWork(Protocol):
    """One transaction: committed when the block ends, rolled back when it raises."""

    @property
    def records(self) -> Records: ...  # noqa: D102
    @property
    def customers(self) -> Customers: ...  # noqa: D102
    @property
    def ownership(self) -> Ownership: ...  # noqa: D102
    @property
    def falling_due(self) -> FallingDue: ...  # noqa: D102
    @property
    def turns(self) -> Turns: ...  # noqa: D102
    @property
    def notices(self) -> Notices: ...  # noqa: D102
    @property
    def imports(self) -> Imports: ...  # noqa: D102
    @property
    def schedule(self) -> Schedule: ...  # noqa: D102
    @property
    def sign_ins(self) -> SignIns: ...  # noqa: D102
    @property
    def forms(self) -> Forms: ...  # noqa: D102
    @property
    def work(self) -> Work: ...  # noqa: D102
    @property
    def directory(self) -> Directory: ...  # noqa: D102

    def pool_rules(self) -> PoolRules:
        """Read the pool rules and see to it that they do not change before the end."""
        ...

    def pool_rules_changing(self) -> None:
        """Wait until nobody relies on the pool rules, and keep others waiting until the end."""
        ...

    def audit(self, *entries: AuditEntry) -> None:
        """Write down who changed what."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@attrs.frozen(kw_only=True)
class Checked:
    """One invariant, and how often it is broken."""

    code: str
    zh: str
    en: str
    count: int = 0
    examples: tuple[str, ...] = ()
    """Some of what is broken: numbers of records, or names."""


class Storage(Protocol):
    """Opens units of work on one database."""

    @property
    def one_writer(self) -> bool:
        """Whether everybody who writes waits for everybody else who does."""
        ...

    def unit_of_work(self, *, read_only: bool = False, wait: bool = True) -> UnitOfWork:
        """Begin one.

        Args:
            read_only: Whether it writes nothing.
            wait: Whether to wait where one writes at a time and somebody does.

        Raises:
            DatabaseBusy: Somebody else is writing, and nobody waits, or not any longer.
        """
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all units of work of this thread that only read share one transaction until the end.

        They see one state of the database, and none of them costs a transaction of its own. Once
        the thread begins to write, what it reads after is of a new state.
        """
        ...

    def prepare(self, migrate: bool) -> None:
        """See to it that the tables are those this program works on.

        Args:
            migrate: Whether to make or upgrade them; otherwise another revision is refused.

        Raises:
            WrongRevision: With what to do.
        """
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...

    def clock(self) -> datetime:
        """Tell the database's own time."""
        ...

    def check(self) -> tuple[Checked, ...]:
        """Check the invariants, changing nothing; one that counts nothing has passed."""
        ...

    def revision(self) -> str | None:
        """Tell the revision of the tables; None for an empty database."""
        ...

"""Whether a database is what this program takes it for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crm_domain.ports import Crm

if TYPE_CHECKING:
    from crm_adapters.storage.check import Checked


def check_database(crm: Crm) -> tuple[Checked, ...]:
    """Check the invariants of an open CRM, changing nothing.

    Its revision was checked when it was opened.

    Returns:
        Every check with what it found; one that counts nothing has passed.

    Raises:
        BadSetting: The storage is a plugin's, whose tables we do not know.
    """
    from crm_adapters.storage import SqlStorage
    from crm_adapters.storage.check import check_invariants
    from crm_domain.errors import BadSetting

    if not isinstance(crm.storage, SqlStorage):
        raise BadSetting(name="CRM_DATABASE_URL", reason="this storage cannot be checked",
                         reason_zh="该存储方式不能检查")  # fmt: skip
    return check_invariants(crm.storage.reader)


def revision_of(url: str) -> str | None:
    """Tell the revision of a database that need not be usable; None for an empty one."""
    from contextlib import closing

    from crm_adapters.storage import open_storage

    with closing(open_storage(url)) as storage:
        return storage.revision()

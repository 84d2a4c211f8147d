"""What can be asked of a database that need not be usable."""

from __future__ import annotations


def revision_of(url: str) -> str | None:
    """Tell the revision of a database that need not be usable; None for an empty one."""
    from contextlib import closing

    from crm_adapters.storage import open_storage

    with closing(open_storage(url)) as storage:
        return storage.revision()

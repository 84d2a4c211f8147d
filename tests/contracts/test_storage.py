"""SQLite and PostgreSQL keep to the contract of a Storage."""

from crm_domain.testing.storage import StorageContract


class TestSql(StorageContract):
    """The fixture ``crm`` opens each engine in turn."""

"""Keeps everything in SQLite or PostgreSQL, with SQLAlchemy Core."""

from crm_adapters.storage.unit_of_work import SqlStorage, open_storage

__all__ = ["SqlStorage", "open_storage"]

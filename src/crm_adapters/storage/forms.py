"""Forms that were taken in, so that one that is sent twice has one effect."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import sent_form
from crm_domain.ports import Sent


def _begin(on_sqlite: bool) -> Any:
    """Keep a form unless there is one with its token."""
    c = sent_form.c
    row = {n: sa.bindparam(n, type_=c[n].type) for n in ("token_sha256", "content_sha256", "at")}
    new = (sqlite if on_sqlite else postgresql).insert(sent_form).values(**row)
    return new.on_conflict_do_nothing().returning(c.token_sha256)


class SqlForms:
    """Implements the port ``Forms``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, token_sha256: str, content_sha256: str, *, now: datetime) -> Sent | None:
        """Keep a form that is being taken in, unless it was; wait for whoever is at the same."""
        row = {"token_sha256": token_sha256, "content_sha256": content_sha256, "at": now}
        c = sent_form.c
        # The key decides: on PostgreSQL the second of two waits here until the first has ended,
        # and on SQLite one writes at a time.
        if self._session.rows(_begin, **row):
            return None
        found = self._session.run(
            sa.select(c.content_sha256, c.record_id).where(c.token_sha256 == token_sha256)
        ).one()
        return Sent(content_sha256=found.content_sha256, record_id=found.record_id)

    def made(self, token_sha256: str, record_id: int) -> None:
        """Keep which record a form made."""
        c = sent_form.c
        self._session.run(
            sa.update(sent_form).where(c.token_sha256 == token_sha256).values(record_id=record_id)
        )

    def remove_old(self, *, before: datetime) -> int:
        """Remove the forms that were taken in before a moment; count them."""
        return int(self._session.run(sa.delete(sent_form).where(sent_form.c.at < before)).rowcount)

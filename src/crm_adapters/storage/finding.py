"""How a search finds customers: by the index of grams, or row by row.

The index answers for rare words, rows that are walked anyway for frequent ones. Left to themselves
the planners take the wrong way: PostgreSQL walks a million rows for a rare name, and SQLite fetches
all hits of a frequent one.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import attrs
import sqlalchemy as sa

from crm_adapters.storage.search import Word, wanted
from crm_adapters.storage.session import Session

FEW = 5000
"""So many customers are looked up and sorted as quickly as a page of a million is walked to."""
_GRAMS = sa.literal_column("' ' || customer.search || ' '", sa.Text)


@attrs.frozen(slots=False)
class Search:
    """What was typed, as conditions on customers."""

    session: Session
    typed: str
    clear: sa.ColumnElement[bool] | None
    """Which customers are shown with their contacts; None: all. Any other is found by its name or
    a whole contact, so that nobody finds a hidden number out piece by piece."""

    @cached_property
    def words(self) -> list[Word]:
        """The words that must all be found; without any nobody is."""
        return wanted(self.typed)

    @cached_property
    def _whole(self) -> bool:
        """Whether a contact must be named in full by all customers."""
        return self.clear is not None and isinstance(self.clear, sa.False_)

    @cached_property
    def _index(self) -> tuple[str, dict[str, Any]]:
        """The statement that asks the index for numbers, with its parameters."""
        words = [w.readings(whole=self._whole) for w in self.words]
        if not words:
            return "SELECT id FROM customer WHERE 1 = 0", {}
        if self.session.on_sqlite:
            phrase = " AND ".join(
                "(" + " OR ".join("(" + " AND ".join(f'"{g}"' for g in r) + ")" for r in word) + ")"
                for word in words
            )
            text = "SELECT rowid AS id FROM customer_search WHERE customer_search MATCH :phrase"
            return text, {"phrase": phrase}
        given: dict[str, Any] = {}
        told = []
        for word in words:
            for reading in word:
                given[f"grams{len(given)}"] = reading
            names = list(given)[-len(word) :]
            # Only the very expression of the index is found in it.
            told.append(" OR ".join(
                f"string_to_array(customer.search, ' ') @> CAST(:{n} AS text[])" for n in names
            ))  # fmt: skip
        return f"SELECT id FROM customer WHERE ({') AND ('.join(told)})", given

    @cached_property
    def hits(self) -> Any:
        """The numbers that the index knows, as ``id``; those must fulfil `masked`, too."""
        text, given = self._index
        # In order, which also keeps PostgreSQL from taking this apart and walking all rows.
        order = "" if self.session.on_sqlite else " ORDER BY id DESC"
        chosen = sa.text(text + order).bindparams(**given).columns(id=sa.BigInteger)
        return chosen.subquery("hits")

    @cached_property
    def few(self) -> bool:
        """Whether the index knows few; on PostgreSQL its planner is asked, who need not look."""
        text, given = self._index
        if self.session.on_sqlite:
            probe = f"SELECT 1 FROM ({text} LIMIT 1 OFFSET {FEW})"
            return self.session.run(sa.text(probe), given).first() is None
        plan = self.session.run(sa.text(f"EXPLAIN (FORMAT JSON) {text}"), given).scalar_one()
        return bool(plan[0]["Plan"]["Plan Rows"] <= FEW)

    @cached_property
    def masked(self) -> list[sa.ColumnElement[bool]]:
        """What the hits must fulfil beyond the index."""
        if self.clear is None or self._whole or not any(w.part for w in self.words):
            return []
        return [sa.or_(self.clear, _has(self.session, self.words, whole=True))]

    @cached_property
    def by_row(self) -> list[sa.ColumnElement[bool]]:
        """The same search without the index."""
        return [_has(self.session, self.words, whole=self._whole), *self.masked]


def _has(session: Session, words: list[Word], whole: bool) -> sa.ColumnElement[bool]:
    """Give the condition on a row that of each word one reading's grams are all there.

    As a function, of which PostgreSQL expects that it is often true: with LIKE it expects so few
    rows that it reads and sorts all of them, or starts helpers first, rather than walk.
    """
    within = sa.func.instr if session.on_sqlite else sa.func.strpos
    return sa.and_(sa.true() if words else sa.false(), *(
        sa.or_(*(sa.and_(*(within(_GRAMS, f" {g} ") > 0 for g in r))
                 for r in w.readings(whole=whole)))
        for w in words
    ))  # fmt: skip

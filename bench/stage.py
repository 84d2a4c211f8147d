"""What every benchmark is given."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from .databases import Database, Servers
from .load import World, make_world
from .measure import say


@attrs.frozen(kw_only=True)
class Sizes:
    """How much is measured."""

    customers: int
    bulk: int
    """Customers dealt at once."""
    rows: int
    """Rows of the sheet."""
    pairs: int
    seconds: float
    """How long clients register, each time."""
    targets: int
    """Customers that 64 clients race for."""
    tries: int
    """How many of them each client tries to get."""
    calls: int
    """Calls of a list in one block."""
    notices: int = 20_000
    """Notices that are written and delivered."""
    messages: int = 5_000
    """Messages that others send and work off."""
    page_seconds: float = 2.0
    """How long visitors ask for one page, each time."""


FULL = Sizes(customers=1_000_000, bulk=100_000, rows=100_000, pairs=3, seconds=4.0, targets=1000,
             tries=200, calls=50)  # fmt: skip
QUICK = Sizes(customers=50_000, bulk=5_000, rows=5_000, pairs=3, seconds=0.3, targets=10, tries=5,
              calls=10, notices=2_000, messages=500, page_seconds=0.3)  # fmt: skip


@attrs.define
class Stage:
    """The engine that is measured, and databases to measure on."""

    servers: Servers
    engine: str
    sizes: Sizes
    _world: World | None = None

    @property
    def made(self) -> Database | None:
        """The big database, if anything asked for it."""
        return self._world.database if self._world else None

    @property
    def world(self) -> World:
        """The big database, made when it is first asked for. Copy it before you change it."""
        if self._world is None:
            start = time.perf_counter()
            self._world = make_world(self.servers, self.engine, self.sizes.customers)
            say(f"  {self.sizes.customers} customers in {time.perf_counter() - start:.0f} s")
        return self._world

    @contextmanager
    def copy(self, template: Database | None = None) -> Iterator[Database]:
        """Give a copy of the world, or of another database, and remove it afterwards."""
        database = self.servers.copy(template or self.world.database)
        try:
            yield database
        finally:
            self.servers.drop(database)

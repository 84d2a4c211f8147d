"""What several journeys begin with."""

from __future__ import annotations

import attrs
import pytest

from crm_domain import Crm
from crm_domain.ports import Settings
from importing import Wakes
from make import World
from races.tasks import InlineReader


@pytest.fixture
def small(world: World) -> Crm:
    """Give the CRM of the world with batches of three rows and a queue that remembers."""
    settings = Settings(batch_rows=3, channels="console")
    world.crm = attrs.evolve(world.crm, settings=settings, jobs=Wakes(), reader=InlineReader())
    return world.crm

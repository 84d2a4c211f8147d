"""Following up (spec section 2): what one contact says of the next."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from crm_domain import SYSTEM
from crm_domain.usecases import follow_up, intake
from make import World
from steps import on


@pytest.mark.parametrize(
    ("said", "left"),
    [({}, on(3, 15)), ({"next_contact_at": on(5, 9)}, on(5, 9)), ({"next_contact_at": None}, None),
     ({"next_contact_at": ""}, None)],
)  # fmt: skip
def test_an_appointment_ahead_stays_unless_something_is_said_of_it(
    world: World, said: dict[str, Any], left: datetime | None
) -> None:
    """A short call between does not wipe it out; whoever empties it does."""
    # given
    number = world.customer(world.a).id or 0
    agreed = {"note": "约好", "next_contact_at": on(3, 15)}
    follow_up.log_follow_up(world.crm, number, agreed, by=world.a)
    world.clock.set(on(2, 9))
    # when
    follow_up.log_follow_up(world.crm, number, {"note": "短聊", **said}, by=world.a)
    # then
    assert intake.get_customer(world.crm, number, by=SYSTEM).next_contact_at == left


def test_an_appointment_that_was_kept_is_over(world: World) -> None:
    """Whoever speaks to the customer at its time or later has nothing agreed any more."""
    number = world.customer(world.a).id or 0
    agreed = {"note": "约好", "next_contact_at": on(2, 9)}
    follow_up.log_follow_up(world.crm, number, agreed, by=world.a)
    world.clock.set(on(2, 9))
    follow_up.log_follow_up(world.crm, number, {"note": "见面"}, by=world.a)
    assert intake.get_customer(world.crm, number, by=SYSTEM).next_contact_at is None

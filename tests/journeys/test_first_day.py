"""The main job, end to end, on both engines."""

from datetime import timedelta

from crm_domain import SYSTEM
from crm_domain.usecases import assignment, pool
from make import World


def test_a_neglected_customer_ends_with_whoever_claims_it(world: World) -> None:
    """Dealt, neglected, swept, claimed: the history tells the whole way."""
    # given
    customer = world.dealt()
    assert customer.owner_id == world.a.employee_id
    world.clock.advance(timedelta(days=4))
    # when
    swept = pool.sweep_pool(world.crm, by=SYSTEM)
    pool.claim_customer(world.crm, customer.id or 0, by=world.b)
    # then
    assert swept.by_status == {3: 1}
    history = assignment.history(world.crm, customer.id or 0, by=SYSTEM)
    assert [(a.consultant_id, int(a.status)) for a in history] == [
        (world.a.employee_id, 3),
        (world.b.employee_id, 1),
    ]

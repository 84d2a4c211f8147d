"""The web face of a CRM, and people who visit it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anyio.from_thread
import pytest
from starlette.applications import Starlette

from crm_domain import SYSTEM, Crm
from crm_domain.rules.access import ALL_PERMISSIONS, Principal
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import access
from crm_web.asgi import application
from steps import login
from web.house import House
from web.visitor import PASSWORD, Visitor

Visit = Callable[..., Visitor]


@pytest.fixture
def app(crm: Crm) -> Starlette:
    """Give the web face of the fresh database, once for each engine."""
    return application(crm)


@pytest.fixture(scope="session")
def portal() -> Iterator[object]:
    """Run one event loop in which all visitors' requests are answered."""
    with anyio.from_thread.start_blocking_portal() as opened:
        yield opened


@pytest.fixture
def house(crm: Crm, clock: FixedClock) -> House:
    """Build a school in which every customer carries canaries."""
    return House(crm, clock)


@pytest.fixture
def everything(house: House) -> Principal:
    """Give a consultant with every permission there is, who sees all."""
    codes = sorted(ALL_PERMISSIONS)
    role = access.add_role(
        house.crm, {"title": "全部", "permissions": codes, "scope": "all"}, by=SYSTEM
    )
    person = house.world.person("全能")
    name = login(house.crm, person)
    access.set_roles(house.crm, name, ["consultant", role.id or 0], by=SYSTEM)
    return access.principal_for(house.crm, username=name)


@pytest.fixture
def visit(app: Starlette, crm: Crm, portal: object) -> Visit:
    """Open a browser for somebody: it is signed in if a principal is given."""

    known: set[str] = set()

    def open_one(who: Principal | None = None, **more: object) -> Visitor:
        visitor = Visitor(app, portal=portal, **more)
        if who is not None:
            name = login(crm, who)
            if name not in known:
                # Only once: a password that is set signs everybody out.
                access.set_password(crm, name, PASSWORD, by=SYSTEM)
                known.add(name)
            assert visitor.sign_in(name).status_code == 303
        return visitor

    return open_one

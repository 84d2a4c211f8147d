"""The visitor itself: what it sends is what a browser sends."""

from __future__ import annotations

from make import World
from web.conftest import Visit


def test_the_token_of_a_visitor_is_the_one_in_the_page(visit: Visit, world: World) -> None:
    """The header that htmx sends and the field of every form carry the session's token."""
    visitor = visit(world.a)
    page = visitor.get("/me").text
    assert visitor.token
    assert f'data-csrf="{visitor.token}"' in page
    assert f'name="csrf" value="{visitor.token}"' in page


def test_a_visitor_signs_in_and_out_by_the_pages(visit: Visit, world: World) -> None:
    """What is seen afterwards is the form to sign in."""
    visitor = visit(world.a)
    assert "李雷" in visitor.get("/").text
    assert visitor.post("/sign-out").headers["location"] == "/sign-in"
    assert visitor.get("/").headers["location"] == "/sign-in"

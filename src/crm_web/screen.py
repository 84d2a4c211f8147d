"""A screen: one address, who may open it, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from crm_web.answers import Answer

ANYBODY = ""
"""In place of a permission: also whoever has not signed in."""
SIGNED_IN = "*"
"""In place of a permission: whoever has signed in."""


@attrs.frozen(kw_only=True)
class Screen:
    """One address of the web face. The use cases behind it check the permission themselves, too."""

    path: str
    """As Starlette reads it: ``/customers/{id:int}``."""
    call: Callable[..., Answer]
    """Called with a `Context` and the path's parameters by name."""
    needs: str
    """A permission, or `ANYBODY` or `SIGNED_IN`."""
    methods: tuple[str, ...] = ("GET",)
    icon: str = ""
    """What its entry of the menu shows."""
    lasting: bool = False
    """Whether it may read for so long that no transaction is kept open meanwhile."""
    largest: int = 2 * 2**20
    """Bytes that it takes in; whoever has not signed in sends less (`endpoint.OF_STRANGERS`)."""


@attrs.frozen(kw_only=True)
class Templates:
    """The templates of a plugin's own pages."""

    folder: Path
    """Where they are; a name that another template has already is refused."""


def screen(
    path: str, *, needs: str, methods: tuple[str, ...] = ("GET",), icon: str = ""
) -> Callable[[Callable[..., Any]], Screen]:
    """Make a screen of a function.

    Args:
        path: The address, with its parameters in braces.
        needs: The permission that it needs, or `ANYBODY` or `SIGNED_IN`.
        methods: What it answers to.
        icon: What its entry of the menu shows.
    """
    return lambda call: Screen(path=path, call=call, needs=needs, methods=methods, icon=icon)

"""A thin face over the use cases: pages, lists and forms for people with a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crm_web.app import make_app

__all__ = ["make_app"]


def __getattr__(name: str) -> Any:
    # Not at the top: a plugin that only declares screens needs no Starlette.
    if name == "make_app":
        from crm_web.app import make_app

        return make_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The outside of the CRM, behind the ports: storage, settings, plugins, channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crm_adapters.bootstrap import open_crm

__all__ = ["open_crm"]


def __getattr__(name: str) -> Any:
    # Every module in here passes this one, and most of them need no database.
    if name == "open_crm":
        from crm_adapters.bootstrap import open_crm

        return open_crm
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Pages that are no plain list: what people do all day has a page of its own."""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODULES = (
    "sign_in", "me", "home", "customer", "rotation", "pool_rules", "hand_over", "inbox", "users",
    "roles", "menus", "jobs", "plugins", "suggest",
)  # fmt: skip


def screens() -> list[Any]:
    """Give the screens of all pages."""
    modules = [import_module(f"crm_web.pages.{name}") for name in MODULES]
    return [screen for module in modules for screen in module.SCREENS]

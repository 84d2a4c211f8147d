"""The lists that come with the program, one declaration each."""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODULES = ("customers", "sales", "accounts", "office", "records")


def resources() -> list[Any]:
    """Give all lists."""
    modules = [import_module(f"crm_web.resources.{name}") for name in MODULES]
    return [resource for module in modules for resource in module.RESOURCES]

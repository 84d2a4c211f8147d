"""Spreadsheets: a reader that trusts nothing, and a writer without formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crm_adapters.sheets.limits import Limits
    from crm_adapters.sheets.reading import SafeSheetReader
    from crm_adapters.sheets.writing import SheetWriterAdapter

__all__ = ["Limits", "SafeSheetReader", "SheetWriterAdapter"]

_HOMES = {"Limits": "limits", "SafeSheetReader": "reading", "SheetWriterAdapter": "writing"}


def __getattr__(name: str) -> Any:
    # Late, because the reading child passes through this package at every file, and importing
    # attrs alone would more than double the time that it takes to start.
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

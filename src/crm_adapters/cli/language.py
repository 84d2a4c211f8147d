"""The language of the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from crm_domain.errors import Language

F = TypeVar("F", bound=Callable[..., Any])


def language(environ: Mapping[str, str] | None = None) -> Language:
    """Tell the language: ``CRM_LANGUAGE``, else the locale; Chinese where neither says anything.

    Args:
        environ: The environment; None is the program's own.
    """
    environ = os.environ if environ is None else environ
    for name in ("CRM_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        wish = environ.get(name, "").strip().lower()
        if wish.partition(".")[0] in ("c", "posix"):
            return "zh"
        if wish:
            return "zh" if wish.startswith("zh") else "en"
    return "zh"


def say(zh: str, en: str) -> str:
    """Give the one of two sentences that is in the user's language."""
    return zh if language() == "zh" else en


def in_chinese(text: str) -> Callable[[F], F]:
    """Give a command its Chinese help; the English one is its docstring."""

    def mark(function: F) -> F:
        function.__dict__["zh"] = text
        return function

    return mark

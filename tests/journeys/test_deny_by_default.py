"""Deny by default (spec section 10): derived from the use cases, so none is forgotten."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from crm_domain import Crm, usecases
from crm_domain.errors import CrmError, NotPermitted
from crm_domain.model import Department, Scope
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, figures, records

NOBODY = Principal(name="nobody", scope=Scope.ALL)
ARGUMENTS: dict[str, Any] = {"cls": Department, "record": Department(code=1, title="x"),
                             "needs": "customer:export"}  # fmt: skip
"""What must be something before the permission is known; all else may be nothing at all."""
FOR_ALL = {
    "access.change_password": "changes one's own password only, and asks for the present one",
    "accounts.set_language": "changes one's own language only",
    "menus.trail": "finds only what the menu of whoever asks has",
    "sessions.end_other_sessions": "ends one's own sessions; another's need user:manage",
    "sessions.end_session": "ends one's own sessions; another's need user:manage",
    "sessions.list_sessions": "lists one's own sessions; another's need user:manage",
    "views.edit_view": "changes one's own views only",
    "views.list_views": "lists one's own views, and those that were shared",
    "views.read_preference": "tells how one's own lists look",
    "views.remove_view": "removes one's own views only",
    "views.save_view": "keeps a view of one's own",
    "views.set_preference": "says how one's own lists look",
}
"""Use cases that need no permission, with the reason; without an account they are refused."""
GIVES_NOTHING: dict[str, tuple[str, Callable[[Crm], object]]] = {
    "figures.office_figures": (
        "counts what one may see",
        lambda crm: any(attrs.astuple(figures.office_figures(crm, by=NOBODY)))),
    "menus.navigation": (
        "shows what one may see", lambda crm: access.navigation(crm, by=NOBODY).menus),
    "records.titles": (
        "leaves out what one may not view",
        lambda crm: records.titles(crm, Department, [1], by=NOBODY)),
}  # fmt: skip
"""Use cases that answer everybody, with the reason, and how whoever holds nothing gets nothing."""
NO_PRINCIPAL = {
    "access.sign_in": "tells who acts",
    "access.principal_for": "tells who acts, to the program that signed somebody in",
    "assignment.my_tabs": "reads the calendar, and no record",
    "resets.read_reset": "the link says whose password may be chosen",
    "resets.redeem_reset": "the link says whose password may be chosen",
    "sessions.act_as": "the token says who acts, and needs user:manage",
    "sessions.renew": "the token says who acts",
    "sessions.resume": "tells who acts",
    "sessions.sign_in": "tells who acts",
    "sessions.sign_out": "the token says who acts",
    "sessions.stop_acting": "the token says who acts",
    "synchronise.synchronise": "writes what is declared in code, when a CRM is opened",
}
"""Functions that are told no principal, with the reason."""


def functions() -> dict[str, Callable[..., Any]]:
    """Find the public functions of the use cases whose first argument is a CRM."""
    found = {}
    for module in pkgutil.iter_modules(usecases.__path__):
        if module.name.startswith("_"):
            continue
        loaded = importlib.import_module(f"{usecases.__name__}.{module.name}")
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            arguments = inspect.signature(function).parameters
            # What is given a unit of work is a part of a use case.
            whole = next(iter(arguments), "") == "crm" and "uow" not in arguments
            home = function.__module__.rpartition(".")[2]
            public = not home.startswith("_") or name in getattr(loaded, "__all__", ())
            if whole and public and name[0] != "_":
                found[f"{home.lstrip('_')}.{name}"] = function
    return found


ALL = functions()
ACTING = {n: f for n, f in ALL.items() if "by" in inspect.signature(f).parameters}


def test_all_use_cases_say_who_acts() -> None:
    """Or stand in the list, with the reason."""
    assert len(ACTING) > 45
    assert set(ALL) - set(ACTING) == set(NO_PRINCIPAL)
    assert {*FOR_ALL, *GIVES_NOTHING} <= set(ACTING)


@pytest.mark.parametrize("name", sorted({*ACTING} - {*FOR_ALL, *GIVES_NOTHING}))
def test_whoever_holds_nothing_may_nothing(crm: Crm, name: str) -> None:
    """The permission is asked for before anything that was given is looked at."""
    function = ACTING[name]
    given = {
        p.name: ARGUMENTS.get(p.name)
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.name not in ("crm", "by")
    }
    with pytest.raises(NotPermitted):
        function(crm, **given, by=NOBODY)


@pytest.mark.parametrize("name", sorted(FOR_ALL))
def test_what_is_for_all_is_refused_to_nobody_all_the_same(crm: Crm, name: str) -> None:
    """Without an account of one's own there is nothing to act on."""
    function = ACTING[name]
    given = [None for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    with pytest.raises(CrmError):
        function(crm, *given[2:], by=NOBODY)


@pytest.mark.parametrize("name", sorted(GIVES_NOTHING))
def test_who_is_answered_without_a_permission_is_told_nothing(crm: Crm, name: str) -> None:
    """Neither a page, nor a name, nor a row."""
    _, ask = GIVES_NOTHING[name]
    assert not ask(crm)

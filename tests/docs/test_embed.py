"""The page on embedding tells the truth, and names every use case."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from test_tutorial import run_page

import crm_domain
from crm_domain import usecases

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "embed.md"

# Names that others build on: they may get more arguments, but never go away.
SURFACE = (
    "records.save_record", "access.create_user", "access.principal_for",
    "assignment.set_rotation", "assignment.reset_rotation", "assignment.upcoming",
    "assignment.current", "assignment.history", "assignment.my_customers",
    "intake.register_customer", "follow_up.log_follow_up", "pool.public_customers",
    "pool.claim_customer", "pool.release_customer", "pool.sweep_pool", "imports.import_file",
    "notices.deliver_due",
)  # fmt: skip


def test_the_page_runs_and_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever copies the blocks one after another sees what stands below each."""
    monkeypatch.chdir(tmp_path)
    assert run_page(PAGE) >= 8


def use_cases() -> dict[Callable[..., object], str]:
    """The functions that take a CRM and say who acts, with the module that each stands in."""
    found = {}
    for module in pkgutil.iter_modules(usecases.__path__):
        if module.name.startswith("_"):
            continue
        loaded = importlib.import_module(f"{usecases.__name__}.{module.name}")
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            arguments = inspect.signature(function).parameters
            acting = arguments.get("by")
            if (
                function.__module__ == loaded.__name__
                and not name.startswith("_")
                and next(iter(arguments), "") == "crm"
                and acting is not None
                and acting.kind is acting.KEYWORD_ONLY
            ):
                found[function] = f"{module.name}.{name}"
    return found


def named() -> set[str]:
    """What the table of use cases names."""
    table = PAGE.read_text("utf-8").partition("| module | use cases |")[2].partition("\n\n")[0]
    return set(re.findall(r"`(\w+\.\w+)`", table))


def loaded_name(name: str) -> Callable[..., object]:
    """Load what the table names; a module may give what stands in another beside it."""
    module, _, function = name.partition(".")
    loaded = importlib.import_module(f"{usecases.__name__}.{module}")
    return getattr(loaded, function)  # type: ignore[no-any-return]


def test_every_use_case_is_in_the_table() -> None:
    """A use case that nobody can find does not exist for an embedder."""
    reached = {loaded_name(name) for name in named()}
    assert sorted(name for function, name in use_cases().items() if function not in reached) == []


def test_the_table_names_nothing_that_is_not_there() -> None:
    """Every name of the table can be imported."""
    for name in named() | set(SURFACE):
        assert callable(loaded_name(name)), name


def test_every_public_name_of_the_domain_is_on_the_page() -> None:
    """What ``crm_domain`` exports is what the page says one may build on."""
    page = PAGE.read_text("utf-8")
    assert [n for n in crm_domain.__all__ if f"`{n}`" not in page] == []


def test_the_page_names_the_whole_surface() -> None:
    """The names that others build on are all shown."""
    assert set(SURFACE) <= named()

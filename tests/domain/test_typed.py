"""Type checkers of embedders and plugins read our annotations (PEP 561)."""

from importlib.resources import files

import pytest


@pytest.mark.parametrize("package", ["crm_domain", "crm_adapters"])
def test_the_package_says_that_it_is_typed(package: str) -> None:
    """By an empty file, which the wheel takes along with the modules."""
    assert files(package).joinpath("py.typed").read_text() == ""

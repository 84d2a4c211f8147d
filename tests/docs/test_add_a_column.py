"""The page about adding a column tells the truth."""

import re
from pathlib import Path
from types import SimpleNamespace

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-column-or-a-table.md"


def test_the_migration_of_the_page_runs_as_it_stands():
    """Word for word, without a name that is nowhere defined."""
    [code] = re.findall("^```\n([^`]*def upgrade[^`]*)```", PAGE.read_text("utf-8"), re.MULTILINE)
    names: dict = {}
    exec(code, names)
    done = []
    bind = SimpleNamespace(dialect=SimpleNamespace(name="sqlite"))
    assert hasattr(names["op"], "execute")
    names["op"] = SimpleNamespace(execute=done.append, get_bind=lambda: bind)
    names["upgrade"]()
    assert done == ["ALTER TABLE customer ADD COLUMN birthday TEXT"]

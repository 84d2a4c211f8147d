"""The tutorial runs as it stands, and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(python|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def run_page(page: Path) -> int:
    """Run the Python blocks of a page in order, each in the names that the ones before left.

    A text block says what the Python block before it printed.

    Returns:
        How many text blocks were compared.
    """
    text = page.read_text("utf-8")
    names: dict[str, object] = {"__name__": page.stem}
    printed, compared = "", 0
    for block in FENCE.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        if block[1] == "text":
            assert printed == block[2], f"{page.name}:{line}"
            printed, compared = "", compared + 1
            continue
        assert not printed, f"{page.name}: what is printed before line {line} is not shown"
        # Empty lines before the block make line numbers in tracebacks those of the page.
        code = compile("\n" * line + block[2], str(page), "exec")
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream):
            exec(code, names)
        printed = stream.getvalue()
    assert not printed, f"{page.name}: what the last block prints is not shown"
    return compared


def test_the_tutorial_prints_what_it_says() -> None:
    """Whoever copies the blocks one after another sees what stands below each."""
    assert run_page(ROOT / "docs" / "tutorial.md") > 10


def test_the_example_of_the_readme_runs_in_both_languages(
    tmp_path: Path, monkeypatch
) -> None:  # fmt: skip
    """The first lines that anybody copies work, and are the same in both READMEs."""
    code = []
    for name in ("README.md", "README.zh.md"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        run_page(ROOT / name)
        text = (ROOT / name).read_text("utf-8")
        code.append([b[2] for b in FENCE.finditer(text)])
    assert code[0] == code[1]
    assert code[0]

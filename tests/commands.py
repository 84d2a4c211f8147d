"""The command line as a test runs it: as a process, or in this one."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

from crm_adapters.cli import main

CRM = Path(sys.executable).with_name("crm")


def environment(folder, **more):
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("CRM_", "LC_", "LANG"))}
    return kept | {"CRM_DATABASE_URL": f"sqlite:///{folder / 'crm.db'}", **more}


def crm(folder, *arguments, status=0, **more):
    """Run ``crm`` as a process and give its standard output and error."""
    done = subprocess.run(
        [CRM, *map(str, arguments)], cwd=folder, env=environment(folder, **more),
        capture_output=True, text=True, encoding="utf-8", timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


class Here:
    """Runs commands in this process, in a folder with a database of its own."""

    def __init__(self, capsys, monkeypatch, folder):
        self.capsys, self.monkeypatch, self.folder = capsys, monkeypatch, folder

    def __call__(self, *arguments, status=0):
        found = main([str(a) for a in arguments])
        out, err = self.capsys.readouterr()
        assert found == status, (found, out, err)
        return out, err

    def json(self, *arguments, status=0):
        out, _ = self(*arguments, "--json", status=status)
        return json.loads(out)

    def speak(self, tongue):
        self.monkeypatch.setenv("CRM_LANGUAGE", tongue)

    def typed(self, text):
        self.monkeypatch.setattr(sys, "stdin", StringIO(text))


def sheet(path, rows):
    """Write a .csv of customers."""
    lines = ["姓名,电话,来源", *(",".join(r) for r in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path

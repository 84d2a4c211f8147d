"""Starts the worker processes of the race tests, and kills them.

``python -m races.launcher`` is spawned, never forked, from pytest: one interpreter without threads
or connections that has imported everything. It forks a worker for each job before that worker opens
anything, so that a killed worker can be replaced within milliseconds and the databases, not the
imports, get the processor's time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, Self


class Launcher:
    """The parent's end."""

    def __init__(self) -> None:
        tests = Path(__file__).resolve().parent.parent
        environment = os.environ | {"PYTHONPATH": f"{tests}{os.pathsep}{tests.parent / 'src'}"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "races.launcher"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip
        self._running: set[int] = set()

    def start(self, job: str, **arguments: Any) -> int:
        """Start a worker and give its process id."""
        pid = int(self._ask({"job": job, "arguments": arguments}))
        self._running.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        """Wait for a worker: 0 when it ended by itself, -9 when it was killed."""
        status = int(self._ask({"wait": pid}))
        self._running.discard(pid)
        return status

    def run(self, job: str, **arguments: Any) -> int:
        """Start a worker and wait for it."""
        return self.wait(self.start(job, **arguments))

    def kill(self, pid: int) -> int:
        """Kill a worker that this launcher started, without warning."""
        assert pid in self._running
        os.kill(pid, signal.SIGKILL)
        return self.wait(pid)

    def _ask(self, question: dict[str, Any]) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        answer = stdout.readline()
        assert answer, "the launcher died"
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in list(self._running):
            self.kill(pid)
        self._process.communicate(timeout=10)


def main() -> None:
    """Serve: fork a worker for each job, reap it when asked to.

    One working day on a private database, which is closed again, loads what is loaded lazily.
    """
    from races import tasks

    tasks.warm_up()
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            _, status = os.waitpid(question["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork() or _work(tasks.JOBS[question["job"]], question["arguments"])
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _work(job: Any, arguments: dict[str, Any]) -> int:
    """Do one job in the forked process, which ends with it."""
    os.close(0)
    os.dup2(2, 1)
    try:
        job(**arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()

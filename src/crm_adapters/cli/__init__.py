"""The command line, ``crm``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from crm_adapters.cli.exits import INTERRUPTED, PIPE_CLOSED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What stands behind ``crm``; None is what the program was started with.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no Chinese shall not stop the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        from crm_adapters.cli.app import run

        status = run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        from crm_adapters.cli.language import say

        print(say("已中断。", "Interrupted."), file=sys.stderr)
        return INTERRUPTED
    except SystemExit as e:
        # Rich, which writes tables and help, ends the program with 1, which would mean "no".
        if not isinstance(e.__context__, BrokenPipeError):
            raise
        return PIPE_CLOSED
    except BrokenPipeError:
        # Whoever read has enough; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return status

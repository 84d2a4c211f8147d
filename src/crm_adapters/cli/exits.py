"""What ``crm`` exits with; one rule for all commands."""

from __future__ import annotations

from collections.abc import Mapping

DONE = 0
NO = 1
"""The command ran, and the answer is no: a check found something, nobody said yes."""
WRONG = 2
"""What was given cannot be used: the command line, a value, a file, a setting."""
REFUSED = 3
"""A rule refused it: no permission, not the owner, claimed already, in use."""
NOT_READY = 4
"""The database or the machine could not do it now; nothing was changed."""
FAULT = 70
"""A fault of the program (EX_SOFTWARE of ``sysexits.h``)."""
INTERRUPTED = 130
"""128 + SIGINT, as shells count."""
PIPE_CLOSED = 141
"""128 + SIGPIPE."""

BY_CODE: Mapping[str, int] = {
    "declined": NO, "sweep_stopped": NO, "inconsistent": NO,
    "usage": WRONG, "needs_confirmation": WRONG, "invalid": WRONG, "not_found": WRONG,
    "ambiguous": WRONG, "bad_plan": WRONG, "bad_setting": WRONG, "unusable_file": WRONG,
    "file_exists": WRONG, "bad_backup": WRONG, "unreadable_sheet": WRONG, "no_header": WRONG,
    "extra_missing": WRONG,
    "wrong_revision": NOT_READY, "database_busy": NOT_READY, "database": NOT_READY,
    "job_running": NOT_READY, "not_empty": NOT_READY,
    "backup_failed": NOT_READY, "delivery_failed": NOT_READY, "os_error": NOT_READY,
    "internal": FAULT,
}  # fmt: skip
"""By the code of the refusal; any other, those of plugins too, is a rule's."""

OWN: Mapping[str, str] = {
    "ambiguous": "Several employees have this name; give the number.",
    "database": "The database cannot be used.",
    "declined": "Nobody said yes, so nothing was imported.",
    "file_exists": "The file exists; --force replaces it.",
    "internal": "A fault of the program.",
    "needs_confirmation": "Nobody can be asked; give --yes or --dry-run.",
    "os_error": "Reading or writing failed: the disk is full, for example.",
    "unusable_file": "The file does not exist, is a folder, or may not be opened.",
    "usage": "The command line makes no sense.",
}
"""The codes that only the command line has, in English for the reference."""


def exit_code(code: str) -> int:
    """Tell what a refusal exits with."""
    return BY_CODE.get(code, REFUSED)

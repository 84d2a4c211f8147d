"""What became of the rows of a sheet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs

from crm_domain.model import Employee, ImportProblem, ImportRun, ImportStatus
from crm_domain.ports import Crm
from crm_domain.usecases._import_rows import COLUMN, Good
from crm_domain.usecases._import_sorting import IN_DATABASE, IN_FILE

WARNINGS_KEPT = 1000
WARNINGS_SHOWN = 50
_ROWS = re.compile("（([0-9]+) 行）$")


@attrs.frozen(kw_only=True)
class ImportReport:
    """What became of the rows of a sheet: each is accepted, a duplicate or rejected."""

    id: int
    record: str
    """What the rows are: ``Customer``, ``Employee`` or ``Student``."""
    file_name: str
    status: ImportStatus
    data_rows: int
    blank_rows: int
    accepted: int
    """Taken in; in a check: that would be."""
    duplicate_in_file: int
    duplicate_in_database: int
    rejected: Mapping[str, int]
    """By reason code."""
    dealt: Mapping[str, int]
    """By consultant's name; in a check: who would receive how many as things stand."""
    pooled: int
    """Accepted without a consultant."""
    warnings: Sequence[str]
    problems: Sequence[ImportProblem] = ()

    @property
    def done_rows(self) -> int:
        """How many rows are accounted for."""
        return (
            self.accepted + self.duplicate_in_file + self.duplicate_in_database
            + sum(self.rejected.values())
        )  # fmt: skip

    @property
    def waiting_rows(self) -> int:
        """How many rows nobody has looked at yet: none of a preview or at the end."""
        return self.data_rows - self.done_rows


def make_report(
    run: ImportRun, problems: Sequence[ImportProblem], dealt: Mapping[str, int], pooled: int,
) -> ImportReport:  # fmt: skip
    codes = Counter(p.code for p in problems)
    in_file, in_database = codes.pop(IN_FILE, 0), codes.pop(IN_DATABASE, 0)
    return ImportReport(
        id=run.id or 0, record=run.record, file_name=run.file_name, status=run.status,
        data_rows=run.data_rows, blank_rows=run.blank_rows, accepted=run.accepted,
        duplicate_in_file=in_file, duplicate_in_database=in_database, rejected=dict(codes),
        dealt=dealt, pooled=pooled, warnings=run.warnings[:WARNINGS_SHOWN],
        problems=tuple(problems),
    )  # fmt: skip


def by_name(crm: Crm, counts: Mapping[int, int]) -> dict[str, int]:
    """Give what was counted by employee under their names; two of one name have their number."""
    with crm.unit_of_work(read_only=True) as uow:
        people = {e.id or 0: e.name for e in uow.records.among(Employee, sorted(counts))}
    names = Counter(people.values())
    return {
        (name if names[name] == 1 else f"{name}#{number}"): counts[number]
        for number, name in sorted(people.items())
    }


def warned(before: Sequence[str], rows: Iterable[Good]) -> tuple[str, ...]:
    """Add what some rows are taken in without to the warnings before them.

    Columns come first, then what concerns most rows. The number of rows is kept in the text, so an
    import that goes on after a crash counts on.
    """
    counts: Counter[str] = Counter()
    for text in before:
        found = _ROWS.search(text)
        counts[_ROWS.sub("", text)] += int(found[1]) if found else 1
    counts.update(text for good in rows for text in good.warnings)
    ordered = sorted(counts.items(), key=lambda c: (not c[0].startswith(COLUMN), -c[1]))
    return tuple(f"{text}（{n} 行）" if n > 1 else text for text, n in ordered[:WARNINGS_KEPT])

"""The file of a backup: a zip of parts, and a manifest that says what must be in them.

Any program that reads zip files opens it: a backup must not depend on the program that made it.
Inside is an SQLite database ready for use, or for each table of PostgreSQL what ``COPY`` writes.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import attrs
import cattrs

from crm_domain.errors import BadBackup

FORMAT = 1
MANIFEST = "manifest.json"
BLOCK = 1 << 20
FAST = 1
"""The level of compression: higher ones save a tenth of the space and take several times as
long."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError,
           cattrs.BaseValidationError)  # fmt: skip


@attrs.frozen(kw_only=True)
class Part:
    """One table, or a whole database file."""

    sha256: str
    columns: tuple[str, ...] = ()
    """In the order of the part; empty for a database file."""


@attrs.frozen(kw_only=True)
class Manifest:
    """What a backup holds."""

    format: int = FORMAT
    engine: str
    """``sqlite`` or ``postgresql``."""
    revision: str
    program: str
    """The version of the program that made it."""
    made_at: str
    """When, in ISO 8601 with its offset."""
    rows: Mapping[str, int]
    """By table."""
    sequences: Mapping[str, int] = attrs.field(factory=dict)
    """The last number that each sequence gave."""
    parts: Mapping[str, Part] = attrs.field(factory=dict)
    """By the name in the archive."""


class ArchiveWriter:
    """Writes a backup; a context manager."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=FAST)
        self._parts: dict[str, Part] = {}

    @contextmanager
    def part(self, name: str, columns: tuple[str, ...] = ()) -> Iterator[Callable[[bytes], None]]:
        """Give what writes one part, block by block."""
        total = hashlib.sha256()
        with self._zip.open(name, "w", force_zip64=True) as out:

            def write(block: bytes) -> None:
                total.update(block)
                out.write(block)

            yield write
        self._parts[name] = Part(sha256=total.hexdigest(), columns=columns)

    def finish(self, manifest: Manifest) -> Manifest:
        """Write the manifest, without which nobody takes the file for a backup.

        Returns:
            The manifest with the parts that were written.
        """
        whole = attrs.evolve(manifest, parts=self._parts)
        text = json.dumps(cattrs.unstructure(whole), ensure_ascii=False, indent=1)
        self._zip.writestr(MANIFEST, text)
        return whole

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()


class ArchiveReader:
    """Reads a backup and trusts nothing in it; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            BadBackup: It is no backup, cut off, damaged, or of a later program.
            OSError: It cannot be opened.
        """
        self._path = path
        with self._undamaged():
            self._zip = zipfile.ZipFile(path)
            try:
                self.manifest = self._manifest()
            except BaseException:
                self._zip.close()
                raise

    def _manifest(self) -> Manifest:
        told = json.loads(self._zip.read(MANIFEST))
        if told["format"] != FORMAT:
            raise self.bad(f"它的格式为 {told['format']}，请用更新的程序。",
                           f"its format is {told['format']}; use a newer program.")  # fmt: skip
        found = cattrs.structure(told, Manifest)
        if sorted(self._zip.namelist()) != sorted([MANIFEST, *found.parts]):
            raise self.bad("内容与清单不符。", "its parts are not those of its manifest.")
        return found

    def read(self, name: str) -> Iterator[bytes]:
        """Read a part block by block; the last block comes before its sum is known to be right.

        Raises:
            BadBackup: What was read is not what was written.
        """
        total = hashlib.sha256()
        with self._undamaged(), self._zip.open(name) as part:
            while block := part.read(BLOCK):
                total.update(block)
                yield block
        if total.hexdigest() != self.manifest.parts[name].sha256:
            raise self.bad(f"{name} 的校验和不符。", f"the checksum of {name} does not agree.")

    def bad(self, zh: str, en: str) -> BadBackup:
        """Give the refusal for a reason."""
        return BadBackup(file=self._path, reason_zh=zh, reason_en=en)

    @contextmanager
    def _undamaged(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as e:
            raise self.bad(
                "文件不完整、已损坏，或不是备份。",
                "the file is cut off or damaged, or it is no backup.",
            ) from e

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

"""The files of the pages: named after their content, compressed once, cached for good."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from pathlib import Path

import attrs
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

OWN = Path(__file__).parent / "static"
VENDOR = OWN / "vendor"
"""Where ``crm assets install`` puts what others made; not in the repository."""
NEEDED = ("tabler.min.css", "tabler.min.js", "htmx.min.js", "icons.svg")
IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
_URL = re.compile(rb"sourceMappingURL=\S+")


@attrs.frozen
class Static:
    """One file, ready to be sent."""

    content: bytes
    packed: bytes
    type: str


class Files:
    """All files, read when the program starts: some hundred kilobytes."""

    def __init__(self, folders: tuple[Path, ...] = (OWN, VENDOR)) -> None:
        """Read the files of some folders; of two with one name the first counts."""
        self._by_name: dict[str, str] = {}
        self._files: dict[str, Static] = {}
        for folder in folders:
            for path in sorted(folder.glob("*")) if folder.is_dir() else ():
                if path.is_file() and path.name not in self._by_name:
                    self._take(path)

    def _take(self, path: Path) -> None:
        content = _URL.sub(b"", path.read_bytes())
        digest = hashlib.sha256(content).hexdigest()[:12]
        stem, dot, ending = path.name.rpartition(".")
        hashed = f"{stem}.{digest}{dot}{ending}"
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self._by_name[path.name] = hashed
        self._files[hashed] = Static(content, gzip.compress(content, 9, mtime=0), kind)

    @property
    def missing(self) -> tuple[str, ...]:
        """The files that pages need and that are not there."""
        return tuple(name for name in NEEDED if name not in self._by_name)

    def address(self, name: str) -> str:
        """Give the address of a file."""
        return f"/static/{self._by_name.get(name, name)}"

    @property
    def names(self) -> Mapping[str, str]:
        """The hashed names by the plain ones."""
        return dict(self._by_name)

    async def serve(self, request: Request) -> Response:
        """Answer with a file."""
        found = self._files.get(request.path_params["name"])
        if found is None:
            return PlainTextResponse("not found\n", status_code=404)
        headers = {**IMMUTABLE, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(found.packed, media_type=found.type, headers=headers)
        return Response(found.content, media_type=found.type, headers=headers)

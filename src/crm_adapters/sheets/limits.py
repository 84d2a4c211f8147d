"""How large a file may be."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Limits:
    """What one file may cost. Whatever asks for more is refused."""

    file_bytes: int = 20_000_000
    unpacked_bytes: int = 300_000_000
    """All parts of the workbook together, after unpacking."""
    parts: int = 5_000
    """Files inside the workbook."""
    ratio: int = 250
    """Unpacked to packed size of one part of more than 10 MB; real sheets come to 10 to 50."""
    columns: int = 200
    rows: int = 200_000
    """The number of the last row with content."""
    cells: int = 5_000_000
    """Rows times columns of the used areas, all sheets together."""
    cell_characters: int = 32_767
    """What Excel itself allows in one cell."""
    text_bytes: int = 128_000_000
    """The content of all cells together, as JSON."""
    seconds: float = 60.0
    memory_bytes: int = 1_000_000_000
    """Address space of the process that reads; where the platform can limit it."""

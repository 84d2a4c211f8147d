"""How far somebody sees."""

from __future__ import annotations

import attrs

from crm_domain.model import Scope


@attrs.frozen(kw_only=True)
class Reach:
    """Whose records a list may show: the data scope of whoever asks."""

    scope: Scope
    employee_id: int | None = None
    department_id: int | None = None

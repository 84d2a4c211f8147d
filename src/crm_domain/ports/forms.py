"""What keeps a form that is sent twice from having its effect twice."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import attrs


@attrs.frozen(kw_only=True)
class Sent:
    """A form that was taken in."""

    content_sha256: str
    """The fingerprint of what it said."""
    record_id: int
    """The record that it made."""


class Forms(Protocol):
    """The forms that were taken in, by the fingerprint of their tokens.

    A form is kept in the transaction of its effect: both are there, or neither.
    """

    def begin(self, token_sha256: str, content_sha256: str, *, now: datetime) -> Sent | None:
        """Keep a form that is being taken in, unless it was; wait for whoever is at the same.

        Call it before anything is locked: whoever waits here holds nothing that others need.

        Returns:
            None when it is new, and `made` has to follow; or what was taken in before.
        """
        ...

    def made(self, token_sha256: str, record_id: int) -> None:
        """Keep which record a form made."""
        ...

    def remove_old(self, *, before: datetime) -> int:
        """Remove the forms that were taken in before a moment; count them."""
        ...

"""Messages in the program itself (站内消息): the row of the notice is the message."""

from __future__ import annotations

from crm_domain.model import Employee, Notice
from crm_domain.rules.notifying import INAPP


class InAppNotifier:
    """Has nothing to send: what is written in the outbox stands in the recipient's inbox."""

    name = INAPP

    def address(self, employee: Employee) -> str | None:
        """Tell the name: everybody is reached here."""
        return employee.name

    def send(self, notice: Notice, employee: Employee) -> str | None:
        """Do nothing; the message is there already."""
        return None

    def close(self) -> None:
        """Do nothing; there is nothing to let go of."""

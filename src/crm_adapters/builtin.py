"""What comes with the program, as a plugin like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crm_adapters.notifiers.console import ConsoleNotifier
from crm_adapters.notifiers.email import EmailNotifier
from crm_adapters.notifiers.inapp import InAppNotifier
from crm_domain.hookspecs import hookimpl
from crm_domain.ports import Notifier, Settings
from crm_domain.rules.rotation import STRATEGIES, Strategy


@hookimpl
def crm_notifiers(settings: Settings) -> Sequence[Notifier]:
    """Give messages in the program, the console, and e-mail where a mail server is set."""
    always: list[Notifier] = [InAppNotifier(), ConsoleNotifier()]
    if not settings.smtp_url:
        return always
    return [*always, EmailNotifier(settings.smtp_url, settings.smtp_from)]


@hookimpl
def crm_rotation_strategies() -> Mapping[str, Strategy]:
    """Give the strategies of the core."""
    return STRATEGIES

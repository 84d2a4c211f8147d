"""One attempt at one message, in the language of whoever gets it; nothing is written."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from datetime import timedelta

from crm_domain.errors import DeliveryFailed, Language
from crm_domain.model import Employee, Notice
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.notifying import failed, sent
from crm_domain.rules.wording import in_language

log = logging.getLogger(__name__)


def languages(crm: Crm, uow: UnitOfWork, employee_ids: Sequence[int]) -> dict[int, Language]:
    """Tell in which language each employee is told: their account's, else the program's."""
    chosen = uow.directory.languages(employee_ids)
    return {n: chosen.get(n, crm.language) for n in employee_ids}


def attempt(
    crm: Crm, notice: Notice, employee: Employee | None, language: Language
) -> tuple[Notice, bool | None]:
    """Try to send a notice, and tell whether its channel is broken.

    Whom a channel cannot reach says that it works. A message that the channel's own code cannot
    make says nothing about it: ten of these must not keep all others waiting.

    Args:
        crm: The CRM.
        notice: The notice, with this attempt counted.
        employee: Its recipient; None when there is no such person.
        language: In which the recipient is told.

    Returns:
        The notice as it is then: sent, failed or dead; and whether the channel is broken, None
        where this attempt does not tell.
    """
    notifier = crm.notifiers.get(notice.channel)
    try:
        if notifier is None:
            raise DeliveryFailed(f"no channel {notice.channel}", permanent=True)
        if employee is None or notifier.address(employee) is None:
            raise DeliveryFailed(f"no address on {notice.channel}", permanent=True)
        provider_id = notifier.send(in_language(notice, language), employee)
    except DeliveryFailed as e:
        return failure(crm, notice, e), not getattr(e, "permanent", False)
    except Exception as e:  # a plugin's mistake must not stop the others
        log.exception("the channel %s failed with notice %s", notice.channel, notice.id)
        mistake = DeliveryFailed(f"{type(e).__name__} in {notice.channel}")
        return failure(crm, notice, mistake), None
    return sent(notice, provider_id, crm.now()), False


def failure(crm: Crm, notice: Notice, error: DeliveryFailed) -> Notice:
    """Give a notice as it is when an attempt has failed: to be tried again, or dead."""
    return failed(notice, error, crm.now(), most=crm.settings.max_attempts,
                  first_wait=first_wait(crm), jitter=_jitter())  # fmt: skip


def _jitter() -> float:
    return random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


def first_wait(crm: Crm) -> timedelta:
    """Tell how long a first failure waits, and a channel that is left alone rests."""
    return timedelta(seconds=crm.settings.retry_seconds)

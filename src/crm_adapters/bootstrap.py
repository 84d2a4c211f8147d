"""Settings become a Crm: the one place where everything is put together."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime

from crm_adapters.cron import CronExpressions
from crm_adapters.jobs import open_queue
from crm_adapters.passwords import Argon2Hasher
from crm_adapters.plugins import Plugins
from crm_adapters.settings import check, check_names, database_url, read_settings
from crm_adapters.sheets import SafeSheetReader, SheetWriterAdapter
from crm_domain.ports import Clock, Crm, Settings
from crm_domain.usecases.access import synchronise


def open_crm(
    url: str | None = None,
    *,
    clock: Clock | None = None,
    settings: Settings | None = None,
    migrate: bool = False,
) -> Crm:
    """Open a CRM; close it when you are done, or use it in a ``with`` block.

    Args:
        url: ``sqlite:///crm.db``, ``postgresql://…``, or ``sqlite://`` for a private one that is
            gone afterwards; None is what ``CRM_DATABASE_URL`` says.
        clock: Tells the present moment, aware; None is the computer's clock.
        settings: What the school decides; None is what the environment says.
        migrate: Whether to make or upgrade the tables first.

    Raises:
        BadSetting: A setting, the address or a strict plugin cannot be used.
        WrongRevision: The tables are not those of this program, and ``migrate`` was not asked for.
    """
    # Not at the top: SQLAlchemy takes longer to import than all the rest.
    from crm_adapters.storage import open_storage

    settings = read_settings() if settings is None else settings
    check(settings)
    url = database_url() if url is None else url
    plugins = Plugins(settings)
    with ExitStack() as opened:
        notifiers = plugins.gather_notifiers(settings)
        for notifier in notifiers.values():
            opened.callback(notifier.close)
        strategies = plugins.strategies()
        check_names(settings, notifiers, strategies)
        jobs = open_queue(settings.redis_url)
        opened.callback(jobs.close)
        storage = (plugins.storage(url) or open_storage)(url)
        opened.callback(storage.close)
        storage.prepare(migrate)
        crm = Crm(
            storage=storage,
            clock=clock or _now,
            settings=settings,
            notifiers=notifiers,
            jobs=jobs,
            reader=SafeSheetReader(),
            writer=SheetWriterAdapter(),
            passwords=Argon2Hasher(),
            strategies=strategies,
            cron=CronExpressions(),
            plugins=plugins.loaded,
        )
        if migrate:
            synchronise(crm, permissions=plugins.permissions())
        opened.pop_all()
    return crm


def _now() -> datetime:
    return datetime.now(UTC)

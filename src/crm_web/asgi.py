"""Where a web process is put together: settings, CRM, plugins, application.

``uvicorn --factory crm_web.asgi:create`` serves it; ``crm serve`` does that and more.
"""

from __future__ import annotations

import gc
from contextlib import ExitStack

import attrs
from starlette.applications import Starlette

from crm_adapters import open_crm
from crm_adapters.logs import log_to_stderr
from crm_adapters.plugins import Plugins
from crm_domain.errors import BadSetting
from crm_domain.ports import Crm
from crm_web.app import make_app

OWN = "crm-web"
"""The plugin of the program's own pages."""


def application(crm: Crm) -> Starlette:
    """Make the application of an open CRM with all that plugins give.

    Raises:
        BadSetting: The pages of the program itself cannot be loaded, or were left out.
    """
    plugins = Plugins(crm.settings)
    screens = plugins.screens()
    own = next((p for p in plugins.loaded if p.name == OWN), None)
    if own is None or own.error is not None:
        told = own.error if own else "not installed"
        raise BadSetting(name="CRM_PLUGINS", reason=f"{OWN}: {told}")
    # What the web asked of the plugins is told with what was asked before.
    known = {p.name: p for p in (*crm.plugins, *plugins.loaded)}
    return make_app(attrs.evolve(crm, plugins=tuple(known.values())), screens)


def create() -> Starlette:
    """Open a CRM as the environment says and make its application; it is closed at the end.

    Where no Redis is set, workers and schedule run in this process, too.
    """
    log_to_stderr(as_json=True)
    with ExitStack() as opened:
        crm = opened.enter_context(open_crm())
        if not crm.settings.redis_url:
            from crm_adapters.jobs import embedded

            crm = opened.enter_context(embedded(crm))
        app = application(crm)
        app.state.closing = opened.pop_all()
    settle_memory()
    return app


def settle_memory() -> None:
    """Keep the collector from what stays until the end, and from looking after every page.

    A page makes some ten thousand objects that die with it. What is loaded at the start is a
    hundred times as much, and would be looked through again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)

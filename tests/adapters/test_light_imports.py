"""Opening a CRM stays light: what it does not need is not loaded."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

HEAVY = {"starlette", "dramatiq", "redis", "prometheus_client", "openpyxl", "highcharts_core"}


def loaded_by(program: str) -> set[str]:
    """Tell the top-level modules that a program of its own has loaded at its end."""
    asked = dedent(program) + "\nimport sys; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_opening_a_crm_on_sqlite_loads_nothing_heavy() -> None:
    """A program that embeds the CRM pays for what it uses."""
    loaded = loaded_by(
        """
        import crm_adapters
        from crm_adapters import open_crm
        with open_crm("sqlite://", migrate=True):
            pass
        """
    )
    assert "sqlalchemy" in loaded
    assert loaded & HEAVY == set()


def test_registering_a_customer_loads_nothing_heavy() -> None:
    """Nor do the use cases, when they run."""
    loaded = loaded_by(
        """
        from crm_adapters import open_crm
        from crm_domain import SYSTEM
        from crm_domain.usecases import access, assignment, follow_up, imports, intake
        from crm_domain.usecases import notices, pool, records, schedule
        with open_crm("sqlite://", migrate=True) as crm:
            intake.register_customer(crm, {"name": "王芳", "phone": "13800138000"}, by=SYSTEM)
            notices.deliver_due(crm, by=SYSTEM)
            schedule.tick(crm, by=SYSTEM)
        """
    )
    assert "phonenumbers" in loaded
    assert loaded & HEAVY == set()


def test_importing_the_packages_loads_no_database() -> None:
    """Nothing is built at import."""
    loaded = loaded_by("import crm_domain, crm_domain.usecases.pool, crm_adapters")
    assert "sqlalchemy" not in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("missing", ["redis", "dramatiq"])
def test_redis_without_its_libraries_is_refused_by_its_setting(missing: str) -> None:
    """Whoever set the address is told what to install, before anything starts."""
    asked = dedent(
        f"""
        import sys
        sys.modules["{missing}"] = None
        from crm_adapters import open_crm
        from crm_domain import Settings
        from crm_domain.errors import BadSetting
        try:
            open_crm("sqlite://", migrate=True, settings=Settings(redis_url="redis://h"))
        except BadSetting as refused:
            assert "school-crm[redis]" in str(refused) and "CRM_REDIS_URL" in str(refused)
            print("refused")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "refused\n", done.stderr

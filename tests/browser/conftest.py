"""A real Chromium before a real server, with a small school in the database."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from crm_adapters import open_crm
from crm_domain import SYSTEM, Crm
from crm_domain.rules.access import Principal
from crm_domain.usecases import access
from crm_web.asgi import application
from make import World
from steps import login
from web.visitor import PASSWORD

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PICTURES = Path(__file__).parents[2] / "build" / "pictures"
"""What journeys saw, to be looked at; ``pictures.py`` takes those of the documents."""
PATIENCE = 30_000
"""Milliseconds."""
WIDE = {"width": 1100, "height": 760}
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start the browser; where there is none, say so loudly, and in CI fail."""
    # A machine that is busy is slow; what never comes fails all the same.
    expect.set_options(timeout=PATIENCE)
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        told = "NO CHROMIUM ON PATH: the browser tests did not run; see tests/browser/install.sh"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(told)
        pytest.skip(told)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=found, args=list(ARGS))
        yield browser
        browser.close()


class School:
    """A small school that is served, and its people's names to sign in."""

    def __init__(self, crm: Crm, address: str) -> None:
        self.crm, self.address = crm, address
        self.world = World(crm, crm.clock)  # type: ignore[arg-type]
        self.world.customer(self.world.a, name="王小明", company="甲公司")
        for n in range(6):
            self.world.customer(self.world.a, name=f"李客户{n}", source="baidu")
        for n in range(4):
            self.world.customer(self.world.b, name=f"韩客户{n}")
        for n in range(5):
            self.world.customer(name=f"公海客户{n}", source="seo" if n else "baidu")

    def username(self, who: Principal) -> str:
        name = login(self.crm, who)
        access.set_password(self.crm, name, PASSWORD, by=SYSTEM)
        return name


@pytest.fixture
def school(sqlite_template: Path, tmp_path: Path) -> Iterator[School]:
    """Serve a school by the real server, on a port that is free."""
    path = tmp_path / "crm.db"
    shutil.copy(sqlite_template, path)
    with socket.socket() as free, open_crm(f"sqlite:///{path}") as crm:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        school = School(crm, address)
        config = uvicorn.Config(application(crm), log_level="warning", access_log=False)
        server = uvicorn.Server(config)
        free.listen()
        thread = threading.Thread(target=server.run, args=([free],), daemon=True)
        thread.start()
        until = time.monotonic() + 30
        while not server.started and time.monotonic() < until:
            time.sleep(0.02)
        assert server.started
        yield school
        server.should_exit = True
        thread.join(20)


class Desk:
    """One person's browser: a window, and all that went wrong in it."""

    def __init__(self, context: BrowserContext, school: School) -> None:
        self.context, self.school = context, school
        self.wrong: list[str] = []
        self.expected: tuple[str, ...] = ()
        self.page = self.window()

    def window(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda e: self.wrong.append(f"{page.url}: {e}"))
        page.on("console", lambda m: self._heard(page, m))
        page.on("requestfailed", lambda r: self._failed(page, r))
        return page

    def _heard(self, page: Page, message: Any) -> None:
        # A question that a newer one overtakes is given up, which htmx writes down as an error.
        overtaken = message.text.startswith(("htmx:sendAbort", "htmx:afterRequest"))
        if message.type in ("error", "warning") and not overtaken:
            self.wrong.append(f"{page.url}: {message.text}")

    def _failed(self, page: Page, request: Any) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):
            self.wrong.append(f"{page.url}: {request.url} {request.failure}")

    def go(self, path: str) -> Page:
        self.page.goto(self.school.address + path)
        return self.page

    def sign_in(self, username: str, path: str = "/") -> Page:
        self.go(f"/sign-in?next={path}")
        self.page.fill("#username", username)
        self.page.fill("#password", PASSWORD)
        self.page.press("#password", "Enter")
        self.page.wait_for_url(self.school.address + path)
        return self.page

    def unexpected(self) -> list[str]:
        """Tell what went wrong that the journey was not about."""
        return [w for w in self.wrong if not any(e in w for e in self.expected)]


Sit = Callable[..., Desk]


@pytest.fixture
def sit(chromium: Browser, school: School) -> Iterator[Sit]:
    """Open a browser for somebody; at the end nothing may have gone wrong in any of them."""
    desks: list[Desk] = []

    def sit_down(who: Principal | None = None, path: str = "/", **more: Any) -> Desk:
        options = {"viewport": WIDE, "locale": "zh-CN", "timezone_id": "Asia/Shanghai", **more}
        desk = Desk(chromium.new_context(**options), school)
        desks.append(desk)
        if who is not None:
            desk.sign_in(school.username(who), path)
        return desk

    yield sit_down
    wrong = [w for desk in desks for w in desk.unexpected()]
    for desk in desks:
        desk.context.close()
    assert not wrong, "\n".join(wrong)


def picture(page: Page, name: str) -> None:
    """Take a picture to be looked at, when pictures are wanted."""
    if os.environ.get("CRM_PICTURES") == "1":
        PICTURES.mkdir(parents=True, exist_ok=True)
        # Left alone, it would hide the caret by a style that our policy forbids.
        page.screenshot(path=PICTURES / f"{name}.png", caret="initial")

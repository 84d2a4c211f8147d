"""Takes the pictures of the documents anew, of the demo school, with the browser of the system.

``python -m pytest tests/browser/pictures.py`` writes ``docs/pictures``. Look at them before you
commit them. By its name it is no test, so that `make test` passes it over.
"""

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from crm_adapters.demo.life import PASSWORD

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
SCREEN, WIDTH = 1366, 1100
"""Pixels of a laptop, and of a picture."""
MOST = 120_000
"""Bytes of a picture."""
CRM = Path(sys.executable).with_name("crm")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The demo school, served."""
    folder = tmp_path_factory.mktemp("school")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    settings = {
        **os.environ, "CRM_LANGUAGE": "zh", "CRM_DATABASE_URL": "sqlite:///demo/demo.db",
        "CRM_BASE_URL": "", "CRM_CHANNELS": "inapp,console",
    }  # fmt: skip
    subprocess.run([CRM, "demo"], cwd=folder, env=settings, check=True, capture_output=True)
    served = subprocess.Popen(
        [CRM, "serve", "--port", str(port)], cwd=folder, env=settings,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            try:
                urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
                break
            except (URLError, OSError):
                assert served.poll() is None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        served.terminate()
        served.wait(30)


@pytest.fixture
def page(chromium, address, request):
    """A page of the demo's account that the test names."""
    context = chromium.new_context(
        base_url=address, locale="zh-CN", timezone_id="Asia/Shanghai", reduced_motion="reduce",
        viewport={"width": SCREEN, "height": 768}, device_scale_factor=WIDTH / SCREEN,
    )  # fmt: skip
    one = context.new_page()
    one.goto("/sign-in")
    one.fill("[name=username]", request.param)
    one.fill("[name=password]", PASSWORD)
    one.click("button[type=submit]")
    one.wait_for_url(re.compile(r"/$"))
    yield one
    context.close()


def of(username):
    return pytest.mark.parametrize("page", [username], indirect=True, ids=[username])


def take(page, name, height=768):
    """Take a picture of what is there, when all of it is."""
    page.set_viewport_size({"width": SCREEN, "height": height})
    page.wait_for_load_state("networkidle")
    page.evaluate("scrollTo(0, 0)")
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path, caret="initial")
    assert path.stat().st_size <= MOST, f"{name}: {path.stat().st_size} bytes"


@of("sales1")
def test_the_home_page_of_a_consultant(page):
    take(page, "home-consultant", 800)


@of("sales1")
def test_my_customers(page):
    page.goto("/my/customers")
    take(page, "my-customers", 620)


@of("sales1")
def test_a_customer(page):
    page.goto("/my/customers?status=1")
    page.click("tbody a.row-link")
    page.wait_for_url(re.compile(r"/customers/\d+"))
    page.fill("[name=note]", "已加微信，发了课程大纲；周六上午来校试听")
    page.select_option("[name=channel]", label="电话")
    take(page, "customer", 860)


@of("sales1")
def test_the_pool(page):
    page.goto("/pool?size=20")
    take(page, "pool", 640)


@of("sales1")
def test_entering_somebody_who_is_there(page):
    page.goto("/my/customers?status=1")
    phone = page.locator("tbody a[href^='tel:']").first.inner_text()
    page.goto("/customers/new")
    page.fill("[name=name]", "王小明")
    page.fill("[name=phone]", "")
    page.locator("[name=phone]").press_sequentially(phone)
    page.wait_for_selector("#watched .alert")
    take(page, "new-customer", 760)


@of("zhaomin")
def test_the_home_page_of_a_manager(page):
    month = page.locator("#since").input_value()[:8]
    page.goto(f"/?since={month}01")
    take(page, "home-manager", 1000)


@of("zhaomin")
def test_filters_and_ticked_rows(page):
    page.goto("/customers?status=not_enrolled&intention=within_1_month&size=20")
    page.wait_for_load_state("networkidle")
    for box in page.locator("tbody [data-tick]").all()[:3]:
        box.check()
    take(page, "customers", 760)


@of("zhaomin")
def test_the_rotation(page):
    page.goto("/rotation")
    take(page, "rotation", 760)


@of("zhaomin")
def test_a_trial_of_the_pool_rules(page):
    page.goto("/pool-rules")
    page.fill("[name='1.closing_days']", "10")
    page.click("button[value=try]")
    page.wait_for_selector(".alert-info")
    take(page, "pool-rules", 860)


@of("admin")
def test_an_account_with_a_link(page):
    page.goto("/users/of/sales1")
    page.click("form:has([name=do][value=link]) button")
    page.wait_for_load_state("networkidle")
    take(page, "account", 900)


@of("admin")
def test_a_role(page):
    page.goto("/roles/1")
    take(page, "role", 860)


@of("admin")
def test_the_audit_log(page):
    page.goto("/audit?size=20")
    take(page, "audit", 700)

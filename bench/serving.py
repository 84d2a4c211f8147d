"""The servers of `bench.pages`: ours, and the least that could show the same rows.

``uvicorn --factory bench.serving:ours`` is `crm_web.asgi.create` with a clock that stands still, as
the rows are of one day, and without the workers, which have processes of their own where there is
Redis.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from crm_adapters import open_crm
from crm_adapters.logs import log_to_stderr
from crm_domain.testing.clock import FixedClock
from crm_web.asgi import application, settle_memory

from .data import NOW, TODAY
from .databases import Database
from .lists import LIMIT, searched
from .load import _EPOCH

COLUMNS = (
    "c.id, c.name, c.phone, c.wechat, e.name, o.status, o.intention, c.source, o.due_on,"
    " o.last_contacted_at, o.next_contact_at"
)
FROM = (
    "FROM customer c JOIN ownership o ON o.customer_id = c.id"
    " LEFT JOIN employee e ON e.id = o.owner_id WHERE c.archived_at IS NULL"
)
NEWEST = f"ORDER BY c.id DESC LIMIT {LIMIT + 1}"
MINE = (
    "FROM ownership o JOIN customer c ON c.id = o.customer_id LEFT JOIN employee e"
    " ON e.id = o.owner_id WHERE c.archived_at IS NULL AND o.owner_id = {me}"
    f" AND o.due_on > '{TODAY}' ORDER BY o.next_contact_at NULLS LAST, c.id DESC LIMIT {LIMIT + 1}"
)
PAGE = """<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>客户</title></head>
<body><table><thead><tr>{% for h in heads %}<th>{{ h }}</th>{% endfor %}</tr></thead><tbody>
{% for r in rows %}<tr><td><input type="checkbox" name="ids" value="{{ r[0] }}"></td>\
<td><a href="/customers/{{ r[0] }}">{{ r[1] }}</a></td><td>{{ r[2] or "" }}</td>\
<td>{{ r[3] or "" }}</td><td>{{ r[4] or "" }}</td><td>{{ r[5] }}</td><td>{{ r[6] or "" }}</td>\
<td>{{ r[7] }}</td><td>{{ r[8] }}</td><td>{{ r[9] or "" }}</td><td>{{ r[10] or "" }}</td></tr>
{% endfor %}</tbody></table>{% if more %}<a href="?after={{ rows[-1][0] }}">下一页</a>{% endif %}
</body></html>"""
HEADS = ("", "姓名", "手机", "微信", "所属顾问", "状态", "意向", "来源", "公海日期", "最后跟进",
         "下次联系")  # fmt: skip


def ours() -> Starlette:
    """Make our application as the environment says."""
    log_to_stderr(as_json=True)
    app = application(open_crm(clock=FixedClock(NOW)))
    settle_memory()
    return app


def statements(database: Database, start: int, me: int) -> dict[str, str]:
    """Write each page's statement by hand.

    Args:
        database: Where it is for.
        start: The number of the first customer on the deep page.
        me: The consultant of "my customers".
    """
    deep = f"AND c.id <= {start} AND o.customer_id <= {start}"
    found = {
        "first": f"SELECT {COLUMNS} {FROM} {NEWEST}",
        "deep": f"SELECT {COLUMNS} {FROM} {deep} {NEWEST}",
        "pool": f"SELECT {COLUMNS} {FROM} AND o.due_on <= '{TODAY}' {NEWEST}",
        "one": f"SELECT {COLUMNS} {FROM} AND c.source = 'baidu' {NEWEST}",
        "two": f"SELECT {COLUMNS} {FROM} AND c.source IN ('baidu', 'seo')"
        f" AND c.education = 'college' {NEWEST}",
    }
    if database.on_sqlite:
        # Left to itself the planner begins with the ownership and sorts.
        found = {n: s.replace(" JOIN ", " CROSS JOIN ", 1) for n, s in found.items()}
    return found | {"mine": f"SELECT {COLUMNS} {MINE.format(me=me)}"}


def bare() -> Starlette:
    """Make the least: a statement written by hand and a table, nobody signed in, no frame."""
    told = json.loads(os.environ["BENCH_BARE"])
    database = Database(told["engine"], told["address"])
    written = statements(database, told["start"], told["me"])
    template = jinja2.Environment(autoescape=True).from_string(PAGE)
    own = threading.local()

    def connection() -> Any:
        if not hasattr(own, "connection"):
            own.connection = database.raw()
        return own.connection

    def show(find: Callable[[Request], Any], request: Request) -> HTMLResponse:
        rows = find(request)
        if database.on_sqlite:
            rows = [_read(r) for r in rows]
        return HTMLResponse(
            template.render(rows=rows[:LIMIT], more=len(rows) > LIMIT, heads=HEADS)
        )  # fmt: skip

    def page(name: str, request: Request) -> Any:
        return connection().execute(written[name]).fetchall()

    def search(request: Request) -> Any:
        return searched(connection(), database, request.query_params["q"], COLUMNS, FROM)

    routes = [Route(f"/{name}", partial(show, partial(page, name))) for name in written]
    return Starlette(routes=[*routes, Route("/search", partial(show, search))])


def _read(row: Any) -> tuple[Any, ...]:
    """Read what SQLite keeps as text and as microseconds."""
    *plain, due, last, then = row
    moments = (None if m is None else _moment(m) for m in (last, then))
    return (*plain, date.fromisoformat(due), *moments)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)

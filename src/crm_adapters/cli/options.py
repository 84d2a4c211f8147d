"""Options that several commands share, and what the words on a command line mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from crm_adapters.cli.failures import Refused
from crm_adapters.cli.fields import field_of, filterable, listed, settable
from crm_adapters.cli.language import say
from crm_adapters.cli.output import hint
from crm_adapters.settings import database_url
from crm_domain.errors import BadSetting, WrongRevision
from crm_domain.model import Employee
from crm_domain.ports import Crm, Page, Query
from crm_domain.rules.access import SYSTEM, Principal

# The options are functions, because annotations are read late: in the language of the user.


def as_json() -> Parameter:
    """Answer in JSON."""
    return Parameter(
        name="--json", negative="",
        help=say("以一个 JSON 对象作答", "answer with one JSON object"),
    )  # fmt: skip


def customer_number() -> Parameter:
    """Name a customer."""
    return Parameter(help=say("客户编号", "the customer's number"))


def acting_as() -> Parameter:
    """Act as a person."""
    return Parameter(
        name="--as",
        help=say("以该用户的身份和权限执行", "act as this user, with the user's rights"),
    )


def how_many() -> Parameter:
    """Limit a list."""
    return Parameter(name="--limit", help=say("最多几行", "how many rows at most"))


def page_mark() -> Parameter:
    """Go on with a list."""
    return Parameter(
        name="--after",
        help=say("从上一页给出的标记继续", "go on from the mark that the page before gave"),
    )


def searched() -> Parameter:
    """Search."""
    return Parameter(
        name="--search",
        help=say("按姓名、拼音、首字母、手机、QQ 或微信查找",
                 "part of a name, its pinyin or initials, phone, QQ or WeChat"),
    )  # fmt: skip


def filtered() -> Parameter:
    """Filter."""
    return Parameter(
        name="--where", negative="",
        help=say("筛选，如 来源=百度推广；可多次给出，同一字段任一即可，值为空即未填；"
                 "顾问可写姓名。字段：",
                 "a filter such as source=baidu; may be repeated: any value of one field fits, "
                 "an empty value finds the empty; consultants by number or name. Fields: ")
        + listed(list(filterable())),
    )  # fmt: skip


def also_set() -> Parameter:
    """Give another field."""
    return Parameter(
        name="--set", negative="",
        help=say("其他字段，如 学历=大专；可多次给出。字段：",
                 "another field, such as education=college; may be repeated. Fields: ")
        + listed([n for n in settable() if n not in _OPTIONS]),
    )  # fmt: skip


_OPTIONS = ("name", "phone", "qq", "wechat", "source", "memo")
"""The fields that have options of their own."""


def given_to() -> Parameter:
    """Name a consultant."""
    return Parameter(
        name="--consultant",
        help=say("交给这位顾问（编号或姓名），不占顺位",
                 "give to this consultant (number or name) and use no turn"),
    )  # fmt: skip


def dealt_to() -> Parameter:
    """Say where new customers go."""
    return Parameter(
        name="--to",
        help=say("按轮转分配，或放入公海", "deal by the rotation, or leave in the pool"),
    )


def previewed() -> Parameter:
    """Only try."""
    return Parameter(
        name="--dry-run", negative="",
        help=say("只试算，不改动任何数据", "only tell what would happen; change nothing"),
    )  # fmt: skip


def overwritten() -> Parameter:
    """Replace a file."""
    return Parameter(
        name="--force", negative="", help=say("覆盖已有文件", "replace a file that exists")
    )


@contextmanager
def opened() -> Iterator[Crm]:
    """Open the CRM that the environment names; a database that is not there is not made.

    Raises:
        BadSetting: The address is that of a private database.
        WrongRevision: There is no database yet, or it is of another revision.
    """
    from crm_adapters import open_crm

    url = lasting_url()
    path = sqlite_path(url)
    if path is not None and path.parent.is_dir() and not path.exists():
        from crm_adapters.storage.unit_of_work import HEAD

        raise WrongRevision(found="-", needed=HEAD, hint="Run `crm init`.",
                            hint_zh="请先运行 crm init。")  # fmt: skip
    with open_crm(url) as crm:
        yield crm


def ask_redis(crm: Crm) -> bool:
    """Tell whether Redis is set, before something is started that would need it.

    One that does not answer is told and waited for; one that answers and refuses never would do.

    Raises:
        BadSetting: It has no such database, or refuses the password.
    """
    url = crm.settings.redis_url
    if not url:
        return False
    from crm_adapters.jobs.broker import redis_answers

    if not redis_answers(url):
        hint("Redis 没有应答（CRM_REDIS_URL）；在它应答之前，后台进程每两秒自行查看一次数据库。",
             "Redis does not answer (CRM_REDIS_URL); until it does, workers look into the database "
             "themselves, every two seconds.")  # fmt: skip
    return True


def sqlite_path(url: str) -> Path | None:
    """Tell the file of an SQLite address; None for any other, and for a temporary database."""
    if not url.startswith("sqlite"):
        return None
    name = url.partition(":///")[2].partition("?")[0]
    return Path(name) if name and name != ":memory:" else None


def lasting_url() -> str:
    """Give the database address, unless it is one that is gone when a command ends.

    Raises:
        BadSetting: It is that of a private database.
    """
    url = database_url()
    if url.startswith("sqlite") and sqlite_path(url) is None:
        raise BadSetting(
            name="CRM_DATABASE_URL",
            reason="a private database is gone when the command ends; name a file, "
            "such as sqlite:///crm.db",
            reason_zh="临时数据库在命令结束时即消失；请指定文件，如 sqlite:///crm.db",
        )  # fmt: skip
    return url


def within(option: str, value: int | None, low: int, high: int) -> None:
    """Refuse a number that cannot be.

    Raises:
        Refused: It is out of range.
    """
    if value is not None and not low <= value <= high:
        raise Refused(f"{option} 须在 {low} 到 {high} 之间。", f"{option} must be {low} to {high}.",
                      code="usage")  # fmt: skip


def actor(crm: Crm, username: str | None) -> Principal:
    """Tell who acts: the operator, or the named user with the rights of this moment."""
    from crm_domain.usecases import access

    return SYSTEM if username is None else access.principal_for(crm, username=username)


def everything(read: Callable[[Query], Page[Any]], query: Query | None = None) -> Iterator[Any]:
    """Read a list to its end, page by page."""
    import attrs

    query = query or Query(limit=10_000)
    while True:
        page = read(query)
        yield from page.items
        if page.next is None:
            return
        query = attrs.evolve(query, after=page.next)


def names_of_employees(crm: Crm) -> dict[int, str]:
    """Read the names of all employees."""
    from crm_domain.usecases import records

    found = everything(lambda q: records.list_records(crm, Employee, q, by=SYSTEM))
    return {e.id: e.name for e in found}


def employee_number(crm: Crm, word: str) -> int:
    """Find an employee by number or by a name that only one has.

    Raises:
        Refused: Nobody, or more than one, has the name.
    """
    from crm_domain.usecases import records

    if word.isascii() and word.isdigit():
        return int(word)
    found = [
        e.id or 0
        for e in records.list_records(crm, Employee, Query(where={"name": word}), by=SYSTEM)
        if e.left_on is None or e.left_on > crm.today()
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Refused(f"没有名为“{word}”的在职员工。", f"no employee is named {word}.",
                      code="not_found")  # fmt: skip
    who = _with_accounts(crm, sorted(found))
    raise Refused(f"有多位员工名为“{word}”，请改用编号：{'、'.join(who)}。",
                  f"several employees are named {word}; use the number: {', '.join(who)}.",
                  code="ambiguous")  # fmt: skip


def _with_accounts(crm: Crm, numbers: Sequence[int]) -> list[str]:
    """Say numbers of employees with their login names, by which people tell them apart."""
    from crm_domain.usecases import access

    asked = Query(where={"employee_id": list(numbers)}, limit=len(numbers))
    named = {a.employee_id: a.username for a in access.list_accounts(crm, asked, by=SYSTEM)}
    return [f"{n} ({named[n]})" if n in named else str(n) for n in numbers]


def settled(words: Sequence[str], option: str) -> dict[str, Any]:
    """Read words such as ``source=baidu``; a field given more than once has a list of values.

    Fields may be named by their labels, too.

    Raises:
        Refused: A word has no ``=``.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            raise Refused(f"{option} 应写作 字段=值，而不是“{word}”。",
                          f"{option} takes field=value, not {word!r}.",
                          code="usage")  # fmt: skip
        found.setdefault(field_of(name.strip()), []).append(value or None)
    return {n: v[0] if len(v) == 1 else v for n, v in found.items()}


def with_numbers(crm: Crm, query: Query) -> Query:
    """Put numbers where a filter names employees.

    Raises:
        Refused: Nobody, or more than one, has the name.
    """
    import attrs

    where = dict(query.where)
    for name, spec in filterable().items():
        if spec.target == "Employee" and name in where:
            values = where[name] if isinstance(where[name], list) else [where[name]]
            where[name] = [v if v is None else employee_number(crm, v) for v in values]
    return attrs.evolve(query, where=where)


def folder_of(path: Path) -> None:
    """Refuse a file that cannot be written because its folder is not there.

    Raises:
        Refused: With the folder as it was typed.
    """
    if not path.parent.is_dir():
        raise Refused(f"文件夹 {path.parent} 不存在。", f"the folder {path.parent} does not exist.",
                      code="unusable_file")  # fmt: skip


def spare_the_database(path: Path) -> None:
    """Refuse to write over the database itself, by whatever name or link.

    Raises:
        Refused: The file is the SQLite database, or belongs to it.
    """
    url = database_url()
    database = sqlite_path(url) if url.startswith("sqlite") else None
    for ending in ("", "-wal", "-shm", "-journal") if database else ():
        one = Path(f"{database}{ending}")
        if one.exists() and path.exists() and one.samefile(path):
            raise Refused(f"文件 {path} 是数据库本身，不能覆盖。",
                          f"the file {path} is the database itself and is not replaced.",
                          code="unusable_file")  # fmt: skip


def save_file(content: bytes, path: Path, *, force: bool) -> Path:
    """Write a file as a whole or not at all.

    Raises:
        Refused: It exists and must not be replaced, it is the database, or its folder does not
            exist.
    """
    folder_of(path)
    spare_the_database(path)
    if path.exists() and not force:
        raise Refused(f"文件 {path} 已存在；加 --force 覆盖，或换一个名字。",
                      f"the file {path} exists; add --force to replace it, or give another name.",
                      code="file_exists")  # fmt: skip
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path

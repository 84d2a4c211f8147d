"""``crm user``: accounts."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated, Any

from cyclopts import Parameter

from crm_adapters.cli.failures import Refused
from crm_adapters.cli.language import in_chinese, language, say
from crm_adapters.cli.options import as_json, employee_number, opened
from crm_adapters.cli.output import hint, line, plain, table, write_json
from crm_domain.model import Employee, User
from crm_domain.ports import Crm, Query
from crm_domain.rules.access import ROLES, SYSTEM

PAGE = 2000
"""Accounts that are read at a time."""
ROLE_CODES = ", ".join(role.code for role in ROLES)


def login_name() -> Parameter:
    """Name an account."""
    return Parameter(help=say("登录名", "the login name"))


def from_stdin() -> Parameter:
    """Read a password where nobody is asked."""
    return Parameter(
        negative="", help=say("从标准输入读取密码", "read the password from standard input")
    )


@in_chinese("添加登录账号；给出 --name 时同时建立员工。")
def add(
    username: Annotated[str, login_name()],
    /, *,
    name: Annotated[
        str | None, Parameter(help=say("新建这个姓名的员工", "make an employee of this name"))
    ] = None,
    employee: Annotated[
        str | None,
        Parameter(help=say("已有员工的编号或姓名", "an employee who is there, by number or name")),
    ] = None,
    role: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help=say(f"角色，可多次给出：{ROLE_CODES}", f"a role, may be repeated: {ROLE_CODES}"),
        ),
    ] = (),
    password_stdin: Annotated[bool, from_stdin()] = False,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Add a login account, and with --name an employee as well."""
    from crm_domain.usecases import access, records

    if name and employee:
        raise Refused("--name 与 --employee 只能给一个。", "give --name or --employee, not both.",
                      code="usage")  # fmt: skip
    password = _read_line() if password_stdin else None
    with opened() as crm:
        made = None
        number = employee_number(crm, employee) if employee else None
        if name:
            made = records.save_record(crm, Employee(name=name), by=SYSTEM)
            number = made.id
        try:
            user = access.create_user(
                crm, {"username": username, "password": password, "employee_id": number,
                      "roles": list(role)}, by=SYSTEM,
            )  # fmt: skip
        except BaseException:
            if made is not None:
                records.remove_record(crm, Employee, made.id or 0, by=SYSTEM)
            raise
        said = _plain(crm, user)
        namesakes = _namesakes(crm, name) if name else 0
    if namesakes > 1:
        hint(f"注意：现有 {namesakes} 位员工名为“{name}”；以后须用编号指明。"
             "已有的员工请用 --employee。",
             f"Note: {namesakes} employees are named {name} now and must be given by number; "
             "--employee takes one who is there.")  # fmt: skip
    if json:
        write_json(said)
        return
    about = "" if number is None else say(f"，员工编号 {number}", f", employee {number}")
    line(f"已添加账号 {username}{about}。", f"Added the account {username}{about}.")
    if not role:
        hint("该账号还没有角色，什么也不能做；用 --role 指定。",
             "The account has no role and may do nothing; give one with --role.")  # fmt: skip
    if password is None:
        hint(f"该账号没有密码，不能登录；需要时：crm user password {username}",
             "The account has no password and cannot sign in; if it shall: "
             f"crm user password {username}")  # fmt: skip


def _namesakes(crm: Crm, name: str) -> int:
    from crm_domain.usecases import records

    found = records.list_records(crm, Employee, Query(where={"name": name}), by=SYSTEM)
    return sum(e.left_on is None or e.left_on > crm.today() for e in found)


def _plain(crm: Crm, user: User) -> dict[str, Any]:
    """Give an account as JSON, the roles by the names that ``crm user roles`` takes."""
    from crm_domain.usecases import access

    known = access.get_account(crm, user.username, by=SYSTEM)
    found: dict[str, Any] = plain(user)
    return found | {"roles": [r.code or r.title for r in known.roles]}


@in_chinese("列出登录账号及其角色。")
def list_all(*, json: Annotated[bool, as_json()] = False) -> None:
    """List the login accounts and their roles."""
    from crm_domain.usecases import access

    found: list[access.Account] = []
    with opened() as crm:
        query: Query | None = Query(limit=PAGE, sort="id")
        while query is not None:
            page = access.list_accounts(crm, query, by=SYSTEM)
            found += page.items
            query = Query(limit=PAGE, sort="id", after=page.next) if page.next else None
    if json:
        write_json({"items": [
            plain(a) | {"employee": a.name, "roles": [r.code or r.title for r in a.roles]}
            for a in found
        ]})  # fmt: skip
        return
    table(
        [say("登录名", "Username"), say("员工", "Employee"), say("员工编号", "Employee no."),
         say("角色", "Roles"),
         say("启用", "Active"), say("有密码", "Has a password")],
        [(a.username, a.name, a.employee_id,
          ", ".join(r.title if language() == "zh" else r.code or r.title for r in a.roles),
          a.active, a.has_password) for a in found],
        least=(5,),
    )  # fmt: skip


@in_chinese("设置账号的密码：在终端上询问两次，不回显。")
def set_password(
    username: Annotated[str, login_name()],
    /, *,
    password_stdin: Annotated[bool, from_stdin()] = False,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Set the password of an account: asked for twice on the terminal, without showing it."""
    from crm_domain.usecases import access

    with opened() as crm:
        # A mistyped name is told before anybody is asked.
        access.get_account(crm, username, by=SYSTEM)
        password = _read_line() if password_stdin else _ask_twice()
        said = _plain(crm, access.set_password(crm, username, password, by=SYSTEM))
    if json:
        write_json(said)
    else:
        line(f"已设置账号 {username} 的密码。", f"Set the password of the account {username}.")


def _read_line() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _ask_twice() -> str:
    if not sys.stdin.isatty():
        raise Refused("这里无法询问密码；请加 --password-stdin。",
                      "nobody can be asked here; add --password-stdin.",
                      code="usage")  # fmt: skip
    first = getpass.getpass(say("新密码：", "New password: "))
    if getpass.getpass(say("再输一次：", "Once more: ")) != first:
        raise Refused("两次输入的密码不同。", "the two passwords differ.", code="usage")
    return first


@in_chinese("停用账号；此后不能登录，也不再分到客户。")
def disable(
    username: Annotated[str, login_name()],
    /, *,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Disable an account: it can neither sign in nor be dealt customers."""
    _set_active(username, False, json)


@in_chinese("重新启用账号。")
def enable(
    username: Annotated[str, login_name()],
    /, *,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Enable an account again."""
    _set_active(username, True, json)


def _set_active(username: str, active: bool, json: bool) -> None:
    from crm_domain.usecases import access

    with opened() as crm:
        said = _plain(crm, access.set_active(crm, username, active, by=SYSTEM))
    if json:
        write_json(said)
    elif active:
        line(f"已启用账号 {username}。", f"Enabled the account {username}.")
    else:
        line(f"已停用账号 {username}。", f"Disabled the account {username}.")


@in_chinese("更换账号的全部角色。")
def set_roles(
    username: Annotated[str, login_name()],
    first: Annotated[
        str,
        Parameter(name="ROLE", help=say(f"角色：{ROLE_CODES}", f"a role: {ROLE_CODES}")),
    ],
    /,
    *others: Annotated[str, Parameter(name="MORE", help=say("更多角色", "more roles"))],
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Replace the roles of an account."""
    from crm_domain.usecases import access

    with opened() as crm:
        said = _plain(crm, access.set_roles(crm, username, (first, *others), by=SYSTEM))
    if json:
        write_json(said)
    else:
        listed = ", ".join((first, *others))
        line(f"账号 {username} 现在的角色：{listed}",
             f"The roles of the account {username} now: {listed}")  # fmt: skip


@in_chinese("列出账号正在使用的登录；--end 使其全部退出。")
def sessions(
    username: Annotated[str, login_name()],
    /, *,
    end: Annotated[
        bool, Parameter(negative="", help=say("全部退出", "end all of them"))
    ] = False,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """List the running sessions of an account, or end all of them."""
    from crm_domain.usecases import sessions as use_cases

    with opened() as crm:
        found = use_cases.list_sessions(crm, username, by=SYSTEM)
        ended = use_cases.end_other_sessions(crm, username=username, by=SYSTEM) if end else 0
    if json:
        write_json({"items": [plain(s) for s in found], "ended": ended})
        return
    table(
        [say("编号", "No."), say("网络地址", "Address"), say("设备", "Device"),
         say("登录时间", "Signed in"), say("最近活动", "Last seen"), say("到期时间", "Expires")],
        [(s.id, s.address, s.device, s.created_at, s.seen_at, s.expires_at) for s in found],
    )  # fmt: skip
    if end:
        line(f"已退出 {ended} 个登录。", f"Ended {ended} sessions.")


@in_chinese("签发一次性链接，供本人设置密码；此前的链接作废。")
def reset_link(
    username: Annotated[str, login_name()],
    /, *,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Issue the one-time link by which somebody chooses a password; an earlier one is void."""
    from crm_domain.usecases import access

    with opened() as crm:
        token = access.issue_reset(crm, username, by=SYSTEM)
        hours, base = crm.settings.reset_hours, crm.settings.base_url.rstrip("/")
    path = f"/reset/{token}"
    if json:
        write_json({"username": username, "token": token, "path": path, "hours": hours,
                    "url": base + path if base else None})  # fmt: skip
        return
    line(base + path, base + path)
    if not base:
        hint("请在系统网址（CRM_BASE_URL）后加上此路径。",
             "Put the address of the program (CRM_BASE_URL) before it.")  # fmt: skip
    hint(f"请交给 {username} 本人；{hours} 小时内可用一次。",
         f"Give it to {username} alone; it can be used once within {hours} hours.")  # fmt: skip

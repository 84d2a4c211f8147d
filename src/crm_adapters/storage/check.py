"""The invariants as read-only questions, for whoever doubts that the database kept them.

Each query answers the numbers of what is broken. The constraints should make all of them answer
nothing; a restored, hand-edited or damaged database may have lost some.
"""

from __future__ import annotations

import sqlalchemy as sa

from crm_adapters.storage.engine import translated, without_hurry
from crm_adapters.storage.guards import missing_guards
from crm_adapters.storage.tables import NOTICE_LAWS, metadata
from crm_domain.ports import Checked

EXAMPLES = 10


def _circles(table: str) -> str:
    """Ask for the rows of a table that hang from each other; nothing hangs fifty deep."""
    return (
        f"WITH RECURSIVE up (id, parent_id, steps) AS (SELECT id, parent_id, 0 FROM {table}"
        f" UNION ALL SELECT up.id, t.parent_id, up.steps + 1 FROM up JOIN {table} t"
        " ON t.id = up.parent_id WHERE up.steps < 50) SELECT id FROM up WHERE steps = 50"
    )


_QUERIES = (
    ("two_open", "同一客户有多个进行中的分配", "customers with more than one open assignment",
     "SELECT customer_id FROM assignment WHERE status = 1 GROUP BY customer_id"
     " HAVING count(*) > 1"),
    ("owner", "课程顾问与进行中的分配不一致", "customers whose owner is not the open assignment's",
     "SELECT o.customer_id FROM ownership o LEFT JOIN assignment a"
     " ON a.customer_id = o.customer_id AND a.status = 1"
     " WHERE (o.owner_id IS NULL) <> (a.id IS NULL)"
     " OR o.owner_id <> a.consultant_id OR (a.id IS NOT NULL AND o.assignment_id <> a.id)"),
    ("latest", "最近分配与其顾问不一致", "customers whose last consultant is not the assignment's",
     "SELECT o.customer_id FROM ownership o LEFT JOIN assignment a ON a.id = o.assignment_id"
     " WHERE o.assignment_id IS NOT NULL AND (a.id IS NULL OR a.customer_id <> o.customer_id"
     " OR o.last_consultant_id IS NULL OR o.last_consultant_id <> a.consultant_id)"),
    ("ownerless", "客户没有归属记录", "customers without their row of ownership",
     "SELECT c.id FROM customer c LEFT JOIN ownership o ON o.customer_id = c.id"
     " WHERE o.customer_id IS NULL"),
    # Enrolled ones whose sheet came from elsewhere have no assignment; those that were won and left
    # again are not enrolled any more. So it holds in this direction only.
    ("enrolled", "已报名客户的最近分配并非成单",
     "enrolled customers whose latest assignment is not won",
     "SELECT o.customer_id FROM ownership o LEFT JOIN assignment a ON a.id = o.assignment_id"
     " WHERE o.status = 'enrolled' AND (o.owner_id IS NOT NULL OR a.status <> 2)"),
    ("due", "无主客户的到期日不对", "customers of nobody with a wrong day of becoming public",
     "SELECT o.customer_id FROM ownership o JOIN customer c ON c.id = o.customer_id"
     " WHERE o.owner_id IS NULL AND (o.due_on NOT IN ('0001-01-01', '9999-12-31')"
     " OR (o.due_on = '9999-12-31') <> (o.status = 'enrolled'"
     " OR CAST(o.locked AS INTEGER) = 1 OR c.archived_at IS NOT NULL))"),
    ("left_over", "无主客户仍有原顾问的日期", "customers of nobody with the dates of an owner",
     "SELECT customer_id FROM ownership WHERE owner_id IS NULL AND (received_at IS NOT NULL"
     " OR last_contacted_at IS NOT NULL OR next_contact_at IS NOT NULL"
     " OR dated_anew_at IS NOT NULL OR warn_on IS NOT NULL)"),
    ("due_reason", "有主客户缺少到期原因", "owned customers that fall due for no reason",
     "SELECT customer_id FROM ownership WHERE owner_id IS NOT NULL AND due_on <> '9999-12-31'"
     " AND (due_status IS NULL OR due_days IS NULL)"),
    ("never", "已报名或锁定的客户会到期", "enrolled or locked customers that fall due",
     "SELECT customer_id FROM ownership"
     " WHERE (status = 'enrolled' OR CAST(locked AS INTEGER) = 1) AND due_on <> '9999-12-31'"),
    ("ended", "分配的状态与结束时间不符", "assignments whose status and end do not agree",
     "SELECT id FROM assignment WHERE (status = 1) <> (ended_at IS NULL)"
     " OR ended_at < started_at"),
    ("periods", "同一客户的分配时间重叠", "assignments that overlap another of their customer",
     "SELECT b.id FROM assignment a JOIN assignment b ON b.customer_id = a.customer_id"
     " AND b.id > a.id WHERE a.ended_at IS NULL OR a.ended_at > b.started_at"
     " OR a.started_at > b.started_at"),
    ("follow_up", "跟进不在其分配的期间内", "follow-ups outside the assignment they belong to",
     "SELECT f.id FROM follow_up f LEFT JOIN assignment a ON a.id = f.assignment_id"
     " WHERE a.id IS NULL OR a.customer_id <> f.customer_id OR a.consultant_id <> f.consultant_id"
     " OR f.at < a.started_at OR f.at > a.ended_at"),
    ("contacted", "最后跟进早于跟进记录", "customers contacted later than their ownership knows",
     "SELECT DISTINCT o.customer_id FROM follow_up f"
     " JOIN ownership o ON o.assignment_id = f.assignment_id"
     " WHERE o.owner_id IS NOT NULL AND o.last_contacted_at < f.at"),
    ("turn", "同一顺位用了两次", "turns that were used twice",
     "SELECT max(id) FROM assignment WHERE cycle IS NOT NULL GROUP BY cycle, position"
     " HAVING count(*) > 1"),
    *(
        (f"contact_{name}", f"{label}重复", f"{label_en} of more than one customer",
         f"SELECT max(id) FROM customer WHERE {name} IS NOT NULL AND archived_at IS NULL"
         f" GROUP BY {name} HAVING count(*) > 1")
        for name, label, label_en in (("phone", "手机", "phone numbers"), ("qq", "QQ", "QQ"),
                                      ("wechat", "微信", "WeChat ids"))
    ),
    ("no_contact", "客户没有任何联系方式", "customers that nobody can reach",
     "SELECT id FROM customer WHERE archived_at IS NULL AND phone IS NULL AND qq IS NULL"
     " AND wechat IS NULL"),
    ("key", "通知的幂等键重复", "notices that were written twice",
     "SELECT max(id) FROM notice GROUP BY idempotency_key HAVING count(*) > 1"),
    *(
        (f"notice_{name}", zh, en, f"SELECT id FROM notice WHERE NOT ({NOTICE_LAWS[name]})")
        for name, zh, en in (
            ("sent", "通知的状态与发送时间不符", "notices whose status and sending do not agree"),
            ("leased", "已了结的通知仍被占用", "notices that are over and still leased"),
            ("due", "待发送的通知没有时间，不会被发送", "notices that wait for no moment"),
            ("attempts", "通知的尝试次数多于租用次数", "notices tried more often than leased"),
            ("reason", "发送失败的通知没有原因", "dead notices without a reason"),
            ("expired", "没有期限的通知却已过期", "notices that expired and have no end"),
            ("read", "已读的不是站内消息", "notices read that are no messages in the program"),
        )
    ),
    ("quiet", "免打扰时段不完整", "quiet hours without a beginning or an end",
     "SELECT id FROM notice_preference WHERE (quiet_from IS NULL) <> (quiet_until IS NULL)"
     " OR quiet_from = quiet_until"),
    ("import", "导入的客户数与记录不符", "imports that did not keep all they took in",
     "SELECT r.id FROM import_run r WHERE r.status <> 'reverted'"
     " AND r.record <> 'Employee' AND r.accepted <>"
     " (SELECT count(*) FROM customer c WHERE c.import_id = r.id)"),
    ("session", "登录的起止时间不符", "sign-ins whose times do not agree",
     "SELECT id FROM sign_in WHERE ended_at < created_at OR seen_at < created_at"
     " OR expires_at <= created_at"),
    ("session_token", "登录令牌重复", "sign-ins that share a token",
     "SELECT max(id) FROM sign_in GROUP BY token_sha256 HAVING count(*) > 1"),
    ("link", "同一用户有多个重置链接", "accounts with more than one reset link",
     "SELECT user_id FROM reset_link GROUP BY user_id HAVING count(*) > 1"),
    ("menu_entry", "菜单权限没有网址", "permissions in the menu that lead nowhere",
     "SELECT id FROM permission WHERE CAST(in_menu AS INTEGER) = 1 AND url IS NULL"),
    ("highlight", "归属权限构成循环", "permissions that highlight each other in a circle",
     _circles("permission")),
    ("departments", "部门构成循环", "departments that hang from each other in a circle",
     _circles("department")),
    ("view", "同一用户的视图重名", "saved views of one name",
     "SELECT max(id) FROM saved_view GROUP BY user_id, list_name, title HAVING count(*) > 1"),
    ("partition", "导入的各行未恰好计入一次", "imports whose rows do not count once each",
     "SELECT r.id FROM import_run r WHERE r.refused <>"
     " (SELECT count(*) FROM import_problem p WHERE p.import_id = r.id)"
     " OR r.accepted + r.refused > r.data_rows"
     " OR (r.status = 'done' AND r.accepted + r.refused <> r.data_rows)"
     " OR EXISTS (SELECT 1 FROM import_problem p WHERE p.import_id = r.id"
     " GROUP BY p.\"row\" HAVING count(*) > 1)"
     " OR EXISTS (SELECT 1 FROM import_problem p JOIN customer c"
     " ON c.import_id = p.import_id AND c.import_row = p.\"row\" WHERE p.import_id = r.id)"),
    ("import_state", "导入的状态与其余字段不符", "imports whose state is not possible",
     "SELECT id FROM import_run WHERE (status IN ('done', 'reverted')) <> (finished_at IS NOT NULL)"
     " OR (status = 'failed' AND error IS NULL)"
     " OR (error IS NOT NULL AND status NOT IN ('paused', 'failed'))"
     " OR (leased_until IS NOT NULL AND status <> 'running')"),
    ("cursor", "轮转位置丢失", "the rotation has lost its place",
     "SELECT 1 WHERE (SELECT count(*) FROM turn_cursor) <> 1"),
    ("cursor_behind", "轮转位置落后于已用的顺位", "turns that were used and come again",
     "SELECT a.id FROM assignment a JOIN turn_cursor t ON a.cycle > t.cycle"
     " OR (a.cycle = t.cycle AND a.position >= t.position)"),
)  # fmt: skip


def check_invariants(reader: sa.Engine) -> tuple[Checked, ...]:
    """Ask every question in one read-only transaction.

    Args:
        reader: An engine as `reader_of` gives it.

    Returns:
        All checks in order; those that passed count nothing.
    """
    with translated(), reader.connect() as connection:
        without_hurry(connection)
        if reader.dialect.name == "sqlite":
            # A connection remembers where the search index was when it last looked, and then takes
            # an index that was merged since for a damaged one.
            connection.invalidate()
        found = [_guards(connection)]
        if reader.dialect.name == "sqlite":
            found += [_damage(connection), _foreign_keys(connection)]
        else:
            found.append(_sequences(connection))
        for code, zh, en, query in _QUERIES:
            number = connection.exec_driver_sql(f"SELECT count(*) FROM ({query}) AS broken")
            count = number.scalar_one()
            some = connection.exec_driver_sql(f"{query} LIMIT {EXAMPLES}") if count else ()
            found.append(Checked(code=code, zh=zh, en=en, count=count,
                                 examples=tuple(str(row[0]) for row in some)))  # fmt: skip
    return tuple(found)


def _guards(connection: sa.Connection) -> Checked:
    """Look for all that keeps the invariants."""
    missing = missing_guards(connection)
    return Checked(code="guards", zh="缺少保证一致性的键、约束、索引或触发器",
                   en="keys, checks, indexes or triggers that guard the data are missing",
                   count=len(missing), examples=tuple(missing[:EXAMPLES]))  # fmt: skip


def _damage(connection: sa.Connection) -> Checked:
    said = connection.exec_driver_sql(f"PRAGMA integrity_check({EXAMPLES})").scalars().all()
    wrong = [] if list(said) == ["ok"] else [str(s) for s in said]
    return Checked(code="damage", zh="数据库文件损坏", en="the database file is damaged",
                   count=len(wrong), examples=tuple(wrong))  # fmt: skip


def _foreign_keys(connection: sa.Connection) -> Checked:
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return Checked(code="references", zh="引用的记录不存在", en="references to what is not there",
                   count=len(rows),
                   examples=tuple(f"{r[0]} {r[1]}" for r in rows[:EXAMPLES]))  # fmt: skip


def _sequences(connection: sa.Connection) -> Checked:
    """Look for tables whose next number was used: nothing could be added to them.

    SQLite looks at the numbers themselves.
    """
    behind = []
    for table in metadata.sorted_tables:
        if table.autoincrement_column is None or table.autoincrement_column.identity is None:
            continue
        # Numbers that were given meanwhile only put a sequence further ahead.
        last = connection.exec_driver_sql(
            f"SELECT (SELECT max(id) FROM {table.name}) > coalesce(pg_sequence_last_value("
            f"pg_get_serial_sequence('{table.name}', 'id')::regclass), 0)"
        ).scalar()
        behind += [table.name] if last else []
    return Checked(code="sequences", zh="编号序列落后于已有的编号",
                   en="tables whose next number is in use", count=len(behind),
                   examples=tuple(behind[:EXAMPLES]))  # fmt: skip

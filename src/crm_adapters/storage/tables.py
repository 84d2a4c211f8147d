"""The tables, derived from the records, with what the database itself must refuse.

Beside the derived tables there are the narrow ``ownership`` (the hot fields of a customer), link
tables, the rotation's plans and cursor, and the files of imports.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from crm_adapters.storage import types
from crm_domain.model import RECORDS, Customer, Spec, about, specs
from crm_domain.parsing import CONTACTS
from crm_domain.rules.notifying import INAPP

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _type(spec: Spec) -> Any:
    match spec.kind:
        case "text":
            return sa.String(spec.length).with_variant(sa.Text(), "sqlite")
        case "choice":
            return types.Coded(spec.type)
        case "state":
            return types.Coded(spec.type, numeric=True)
        case "flag":
            return types.Flag()
        case "money":
            return types.Money()
        case "moment":
            return types.Moment()
        case "day":
            return types.Day()
        case "clock":
            return types.Clock()
        case "json":
            return types.Json(spec.type)
        case "number" | "version":
            return sa.Integer()
        case _:
            return BIG


def _column(spec: Spec) -> sa.Column[Any]:
    if spec.kind == "key":
        return sa.Column(spec.name, BIG, sa.Identity(), primary_key=True)
    return sa.Column(spec.name, _type(spec), nullable=spec.optional)


def _closed_list(spec: Spec) -> sa.CheckConstraint | None:
    """Refuse codes that are not in the list."""
    if spec.kind not in ("choice", "state"):
        return None
    codes = ", ".join(f"'{m.value}'" if spec.kind == "choice" else str(m.value) for m in spec.type)
    return sa.CheckConstraint(f"{spec.name} IN ({codes})", name=spec.name)


def _parts(fields: list[Spec]) -> list[Any]:
    parts: list[Any] = [_column(s) for s in fields]
    parts += [c for s in fields if (c := _closed_list(s)) is not None]
    for s in fields:
        # Those of the ownership to assignment and owner are deferred, below.
        if s.kind == "reference" and not (s.hot and s.name in ("assignment_id", "owner_id")):
            target = f"{about(RECORDS[s.target]).table}.id"
            # Only what points in a circle must be added after both tables exist.
            circle = s.name in ("manager_id", "student_id", "import_id")
            parts.append(sa.ForeignKeyConstraint([s.name], [target], use_alter=circle))
        if s.unique and not (s.name in CONTACTS or s.hot):
            parts.append(sa.UniqueConstraint(s.name))
    return parts


def _make(cls: type[Any]) -> sa.Table:
    described = about(cls)
    fields = [s for s in specs(cls).values() if s.kind != "references" and not s.hot]
    parts = _parts(fields)
    parts += [sa.UniqueConstraint(*names) for names in described.unique]
    table = sa.Table(
        described.table, metadata, *parts, sqlite_strict=True,
        sqlite_autoincrement=described.plain,
    )  # fmt: skip
    for s in specs(cls).values():
        if s.kind == "references":
            _link(cls, s)
    return table


def _link(cls: type[Any], spec: Spec) -> None:
    left, right = about(cls).table, about(RECORDS[spec.target]).table
    LINKS[cls.__name__, spec.name] = sa.Table(
        f"{left}_{spec.name}", metadata,
        sa.Column("left_id", BIG, sa.ForeignKey(f"{left}.id", ondelete="CASCADE"),
                  primary_key=True),
        sa.Column("right_id", BIG, sa.ForeignKey(f"{right}.id"), primary_key=True, index=True),
        sqlite_strict=True,
    )  # fmt: skip


LINKS: dict[tuple[str, str], sa.Table] = {}
"""The link tables by record and field."""
TABLES: dict[str, sa.Table] = {}
"""The tables by record."""
for _name, _cls in RECORDS.items():
    TABLES[_name] = _make(_cls)

customer = TABLES["Customer"]
assignment = TABLES["Assignment"]
notice = TABLES["Notice"]
notice_preference = TABLES["NoticePreference"]
import_run = TABLES["ImportRun"]
import_problem = TABLES["ImportProblem"]
follow_up = TABLES["FollowUp"]

# -- customers: search, pinyin, contacts -------------------------------------------------------

customer.append_column(sa.Column("pinyin", sa.Text, nullable=False))
"""Sorts Chinese names as a dictionary does."""
customer.append_column(sa.Column("search", sa.Text, nullable=False))
"""What the customer can be found by, as space-separated grams (``search.py``)."""
for _contact in CONTACTS:
    _live = sa.text(f"{_contact} IS NOT NULL AND archived_at IS NULL")
    sa.Index(f"uq_customer_{_contact}", customer.c[_contact], unique=True,
             sqlite_where=_live, postgresql_where=_live)  # fmt: skip
sa.Index("ix_customer_pinyin", customer.c.pinyin, customer.c.id)
# What lists are narrowed by; without, the few of a rare value are found by going through all.
for _narrows in ("source", "education", "school_id"):
    sa.Index(f"ix_customer_{_narrows}", customer.c[_narrows], customer.c.id)
_imported = sa.text("import_id IS NOT NULL")
sa.Index("uq_customer_import_id_import_row", customer.c.import_id, customer.c.import_row,
         unique=True, sqlite_where=_imported, postgresql_where=_imported)  # fmt: skip
customer.append_constraint(
    sa.CheckConstraint(
        "archived_at IS NOT NULL OR phone IS NOT NULL OR qq IS NOT NULL OR wechat IS NOT NULL",
        name="contact",
    )
)

# -- ownership: one narrow row for each customer -----------------------------------------------

_hot = [s for s in specs(Customer).values() if s.hot]
ownership = sa.Table(
    "ownership", metadata,
    sa.Column("customer_id", BIG, sa.ForeignKey("customer.id"), primary_key=True),
    *_parts(_hot),
    sa.UniqueConstraint("customer_id", "owner_id"),
    sa.CheckConstraint(
        "owner_id IS NULL OR (assignment_id IS NOT NULL AND received_at IS NOT NULL"
        " AND last_contacted_at IS NOT NULL AND last_consultant_id = owner_id)", name="owner"),
    sa.CheckConstraint(
        "owner_id IS NOT NULL OR due_on IN ('0001-01-01', '9999-12-31')", name="pool"),
    sa.CheckConstraint(
        "(status <> 'enrolled' AND NOT (CAST(locked AS INTEGER) = 1)) OR due_on = '9999-12-31'",
        name="never"),
    sa.CheckConstraint("due_status IN (3, 4)", name="due_status"),
    # Or the sweep, which ends assignments by these, would fail for all because of one.
    sa.CheckConstraint(
        "owner_id IS NULL OR due_on = '9999-12-31'"
        " OR (due_status IS NOT NULL AND due_days IS NOT NULL)", name="due"),
    sqlite_strict=True,
)  # fmt: skip
sa.Index("ix_ownership_due_on", ownership.c.due_on, ownership.c.customer_id)
sa.Index("ix_ownership_owner_id", ownership.c.owner_id, ownership.c.due_on)
sa.Index("ix_ownership_last_consultant_id", ownership.c.last_consultant_id,
         ownership.c.customer_id)  # fmt: skip
sa.Index("ix_ownership_warn_on", ownership.c.warn_on)
_meant = sa.text("intention IS NOT NULL")
sa.Index("ix_ownership_intention", ownership.c.intention, ownership.c.customer_id,
         sqlite_where=_meant, postgresql_where=_meant)  # fmt: skip
sa.Index("ix_ownership_locked", ownership.c.customer_id,
         sqlite_where=sa.text("locked = 1"), postgresql_where=sa.text("locked"))  # fmt: skip

# -- assignments: one open at most, whose consultant is the owner -----------------------------

assignment.append_column(
    sa.Column("held_by", BIG, sa.Computed("CASE WHEN status = 1 THEN consultant_id END",
                                          persisted=True))
)  # fmt: skip
_held = sa.text("status = 1")
sa.Index("uq_assignment_held", assignment.c.customer_id, unique=True,
         sqlite_where=_held, postgresql_where=_held)  # fmt: skip
_turn = sa.text("cycle IS NOT NULL")
sa.Index("uq_assignment_turn", assignment.c.cycle, assignment.c.position, unique=True,
         sqlite_where=_turn, postgresql_where=_turn)  # fmt: skip
sa.Index("ix_assignment_customer_id", assignment.c.customer_id)
sa.Index("ix_assignment_consultant_id", assignment.c.consultant_id, assignment.c.started_at)
_ended = sa.text("ended_at IS NOT NULL")
sa.Index("ix_assignment_ended", assignment.c.consultant_id, assignment.c.ended_at,
         sqlite_where=_ended, postgresql_where=_ended)  # fmt: skip
assignment.append_constraint(sa.UniqueConstraint("id", "customer_id", "held_by"))
assignment.append_constraint(sa.CheckConstraint("ended_at >= started_at", name="ended_at"))
assignment.append_constraint(sa.CheckConstraint("(status = 1) = (ended_at IS NULL)", name="ended"))
assignment.append_constraint(
    sa.CheckConstraint(
        "(cycle IS NULL) = (position IS NULL) AND (method <> 'rotation' OR cycle IS NOT NULL)"
        " AND (method IN ('rotation', 'import') OR cycle IS NULL)", name="turn")
)  # fmt: skip
ownership.append_constraint(
    sa.ForeignKeyConstraint(
        ["assignment_id", "customer_id", "owner_id"],
        ["assignment.id", "assignment.customer_id", "assignment.held_by"],
        name="fk_ownership_held", deferrable=True, initially="DEFERRED", use_alter=True,
    )
)  # fmt: skip
# Of nobody's customer the key above says nothing, and its latest assignment is there all the same.
ownership.append_constraint(
    sa.ForeignKeyConstraint(
        ["assignment_id"], ["assignment.id"], deferrable=True, initially="DEFERRED", use_alter=True
    )
)  # fmt: skip
ownership.append_constraint(sa.ForeignKeyConstraint(["owner_id"], ["employee.id"]))
assignment.append_constraint(
    sa.ForeignKeyConstraint(
        ["customer_id", "held_by"], ["ownership.customer_id", "ownership.owner_id"],
        name="fk_assignment_owner", deferrable=True, initially="DEFERRED",
    )
)  # fmt: skip

# -- the rotation -----------------------------------------------------------------------------

rotation_plan = sa.Table(
    "rotation_plan", metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("entries", types.Json(Any), nullable=False),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("created_at", types.Moment, nullable=False),
    sqlite_strict=True,
)  # fmt: skip
turn_cursor = sa.Table(
    "turn_cursor", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("plan_version", sa.Integer, sa.ForeignKey("rotation_plan.version"), nullable=False),
    sa.Column("next_version", sa.Integer, sa.ForeignKey("rotation_plan.version"), nullable=False),
    sa.Column("people", sa.Integer, nullable=False),
    sa.Column("rules", sa.Integer, nullable=False),
    # Customers with a higher number wait to be dated by rules that changed on that day.
    sa.Column("dating_after", BIG),
    sa.Column("dating_on", types.Day),
    sa.CheckConstraint("(dating_after IS NULL) = (dating_on IS NULL)", name="dating"),
    sa.CheckConstraint("id = 1", name="one_row"),
    sa.CheckConstraint("position >= 0", name="position"),
    sqlite_strict=True,
)  # fmt: skip
TABLES["RotationEntry"].append_constraint(sa.CheckConstraint("quota >= 0", name="quota"))
TABLES["PoolRule"].append_constraint(
    sa.CheckConstraint("contact_days >= 0 AND closing_days >= 0 AND warning_days >= 0", name="days")
)
TABLES["Cohort"].append_constraint(sa.CheckConstraint("capacity >= 0", name="capacity"))

TABLES["Payment"].append_constraint(sa.CheckConstraint("amount > 0", name="amount"))
import_run.append_constraint(
    sa.CheckConstraint(
        "mode IN ('rotation', 'pool', 'consultant', 'none')"
        " AND (mode = 'consultant') = (consultant_id IS NOT NULL)"
        " AND (mode = 'none') = (record <> 'Customer')", name="mode")
)  # fmt: skip
for _name, _law in {
    "rows": "accepted >= 0 AND refused >= 0 AND accepted + refused <= data_rows",
    "checked": "status <> 'checked' OR (accepted + refused = 0 AND started_at IS NULL)",
    "done": "status <> 'done' OR (accepted + refused = data_rows AND next_row > last_row)",
    "finished": "(status IN ('done', 'reverted')) = (finished_at IS NOT NULL)",
    "started": "started_by_id IS NULL OR started_at IS NOT NULL",
    "failed": "status <> 'failed' OR error IS NOT NULL",
    "error": "error IS NULL OR status IN ('paused', 'failed')",
    "leased": "leased_until IS NULL OR status = 'running'",
    "attempts": "attempts >= 0 AND attempts <= fence",
}.items():
    import_run.append_constraint(sa.CheckConstraint(_law, name=_name))

# -- notices: the outbox, and the messages in the program itself -------------------------------

_waiting = "status IN ('pending', 'failed')"
for _name, _where, _columns in (
    ("waiting", _waiting, (notice.c.channel, notice.c.next_attempt_at, notice.c.id)),
    ("dead", "status = 'dead'", (notice.c.id,)),
    ("inbox", f"channel = '{INAPP}'", (notice.c.recipient_id, notice.c.id)),
    ("unread", f"channel = '{INAPP}' AND read_at IS NULL", (notice.c.recipient_id, notice.c.id)),
):
    sa.Index(f"ix_notice_{_name}", *_columns, sqlite_where=sa.text(_where),
             postgresql_where=sa.text(_where))  # fmt: skip
sa.Index("ix_notice_about", notice.c.about)
NOTICE_LAWS = {
    "sent": "(status = 'sent') = (sent_at IS NOT NULL)",
    "leased": f"leased_until IS NULL OR {_waiting}",
    "due": f"next_attempt_at IS NOT NULL OR NOT {_waiting}",
    "attempts": "attempts >= 0 AND attempts <= fence",
    "reason": "status <> 'dead' OR error IS NOT NULL",
    "expired": "status <> 'expired' OR expires_at IS NOT NULL",
    "read": f"read_at IS NULL OR channel = '{INAPP}'",
}
"""What holds of every notice, by name; `crm db check` asks the same, in case one was lost."""
for _name, _law in NOTICE_LAWS.items():
    notice.append_constraint(sa.CheckConstraint(_law, name=_name))
notice_preference.append_constraint(
    sa.CheckConstraint(
        "(quiet_from IS NULL) = (quiet_until IS NULL) AND (quiet_from IS NULL"
        " OR quiet_from <> quiet_until)", name="quiet")
)  # fmt: skip

# -- the rest ---------------------------------------------------------------------------------

import_file = sa.Table(
    "import_file", metadata,
    sa.Column("import_id", BIG, sa.ForeignKey("import_run.id"), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sqlite_strict=True,
)  # fmt: skip
job_wish = sa.Table(
    "job_wish", metadata,
    sa.Column("name", sa.String(60).with_variant(sa.Text(), "sqlite"), primary_key=True),
    sa.Column("asked_at", types.Moment(), nullable=False),
    # Of the run that was the latest then: only a later one fulfils it.
    sa.Column("fence", sa.Integer, nullable=False),
    sqlite_strict=True,
)  # fmt: skip
sa.Index("ix_follow_up_customer_id", follow_up.c.customer_id)
sa.Index("ix_import_problem_import_id", import_problem.c.import_id, import_problem.c.row)
sa.Index("ix_import_run_sha256", import_run.c.sha256)

# -- signing in -------------------------------------------------------------------------------

sign_in, reset_link = TABLES["SignIn"], TABLES["ResetLink"]
sa.Index("ix_sign_in_user_id", sign_in.c.user_id, sign_in.c.seen_at)
sa.Index("ix_sign_in_seen_at", sign_in.c.seen_at)
for _kept in (sign_in, reset_link):
    _kept.append_constraint(
        sa.CheckConstraint("length(token_sha256) = 64", name="token_sha256")
    )  # fmt: skip
    _kept.append_constraint(sa.CheckConstraint("expires_at > created_at", name="expires_at"))
sign_in.append_constraint(sa.CheckConstraint("seen_at >= created_at", name="seen_at"))
sign_in.append_constraint(sa.CheckConstraint("ended_at >= created_at", name="ended_at"))
# It ends with the session of whoever acts, which may be removed before it.
sign_in.c.own_id.type = BIG
sign_in.append_constraint(
    sa.CheckConstraint(
        "(acting_id IS NULL) = (own_id IS NULL) AND (acting_id IS NULL OR acting_id <> user_id)",
        name="acting_id")
)  # fmt: skip
attempt = sa.Table(
    "sign_in_attempt", metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("last_at", types.Moment, nullable=False),
    sa.Column("free_at", types.Moment, nullable=False),
    sa.CheckConstraint("tries >= 0", name="tries"),
    sqlite_strict=True,
)  # fmt: skip
"""How often somebody tried in vain, by account or by address, and when the next try is free."""
sa.Index("ix_sign_in_attempt_last_at", attempt.c.last_at)

sent_form = sa.Table(
    "sent_form", metadata,
    sa.Column("token_sha256", sa.Text, primary_key=True),
    sa.Column("content_sha256", sa.Text, nullable=False),
    # Nothing only until the transaction that takes it in has made the record.
    sa.Column("record_id", BIG),
    sa.Column("at", types.Moment, nullable=False),
    sa.CheckConstraint("length(token_sha256) = 64", name="token_sha256"),
    sqlite_strict=True,
)  # fmt: skip
"""Which record a form made, so that the same one sent again makes no other."""
sa.Index("ix_sent_form_at", sent_form.c.at)

# -- menus and lists --------------------------------------------------------------------------

_permission = TABLES["Permission"]
_permission.append_constraint(sa.CheckConstraint("parent_id <> id", name="parent_id"))
_permission.append_constraint(
    sa.CheckConstraint("NOT (CAST(in_menu AS INTEGER) = 1) OR url IS NOT NULL", name="in_menu")
)
TABLES["ListPreference"].append_constraint(
    sa.CheckConstraint("page_size BETWEEN 5 AND 500", name="page_size")
)
sa.Index("ix_follow_up_consultant_id", follow_up.c.consultant_id, follow_up.c.at)
payment = TABLES["Payment"]
sa.Index("ix_payment_customer_id", payment.c.customer_id)
sa.Index("ix_payment_consultant_id", payment.c.consultant_id, payment.c.confirmed_at)
audit_entry = TABLES["AuditEntry"]
# It holds the numbers of all tables, and these are as wide.
audit_entry.c.record_id.type = BIG
sa.Index("ix_audit_entry_record", audit_entry.c.record, audit_entry.c.record_id)
sa.Index("ix_audit_entry_at", audit_entry.c.at, audit_entry.c.id)
sa.Index("ix_audit_entry_by_id", audit_entry.c.by_id, audit_entry.c.at, audit_entry.c.id)
_running = sa.text("status = 'running'")
sa.Index("ix_import_run_running", import_run.c.started_at,
         sqlite_where=_running, postgresql_where=_running)  # fmt: skip
revision = sa.Table(
    "alembic_version", metadata,
    sa.Column("version_num", sa.String(32).with_variant(sa.Text(), "sqlite"), primary_key=True),
)  # fmt: skip

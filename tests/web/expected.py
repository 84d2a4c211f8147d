"""What every screen is expected to answer, said once more and by hand: the other half of a check.

A new screen needs a row here, or the suite fails. A list and all that belongs to it is one line of
`listed`. What depends on whose a customer is stands in `OWNED`.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from web.house import KINDS

ANYBODY, SIGNED_IN = "", "*"


@attrs.frozen
class Row:
    """One screen."""

    needs: str
    """The permission, or `ANYBODY` or `SIGNED_IN`."""
    get: int | None = 200
    """What a page answers to whoever may open it; None where there is none."""
    post: int | None = None
    """What an empty form answers to whoever may send it; None where none is taken."""
    at: Mapping[str, str] = attrs.field(factory=dict)
    """The parameters of its path; what is missing is looked up in the house."""
    staff: bool = False
    """Whether it is for employees: an account without one is refused (403)."""

    @property
    def methods(self) -> set[str]:
        """What it answers to."""
        return ({"GET"} if self.get else set()) | ({"POST"} if self.post else set())


def listed(
    name: str, view: str, *, edit: str = "", export: str = "", remove: bool = False,
    field: str = "", actions: Mapping[str, str] | None = None, counted: bool = True,
) -> dict[str, Row]:  # fmt: skip
    """Give the rows of a list.

    Args:
        name: Its address, without the slash.
        view: The permission to read it.
        edit: The permission to add, change and remove; "" where nobody does.
        export: The permission to export; "" where nobody does.
        remove: Whether records are removed here.
        field: One of the fields that can be changed in the list.
        actions: The permission of each action.
        counted: Whether it counts what matches.
    """
    rows = {
        f"/{name}": Row(view), f"/{name}.json": Row(view),
        f"/{name}/columns": Row(view, post=303),
    }  # fmt: skip
    if counted:
        rows[f"/{name}/facets"] = Row(view)
    if export:
        rows |= {f"/{name}.{ending}": Row(export) for ending in ("csv", "xlsx")}
    if edit:
        rows[f"/{name}/new"] = Row(edit, post=422)
        rows[f"/{name}/{{id:int}}/edit"] = Row(edit, post=422)
        rows |= single(name, edit, field)
    if remove:
        rows[f"/{name}/{{id:int}}/remove"] = Row(edit, post=303)
    for action, needs in (actions or {}).items():
        # Without a row an action shows that nothing is chosen.
        rows[f"/{name}/actions/{action}"] = Row(needs, post=200)
    return rows


def single(name: str, edit: str, field: str) -> dict[str, Row]:
    """Give the row of a field that is changed in the list; without a version nothing is."""
    return {f"/{name}/{{id:int}}/field/{{name}}": Row(edit, post=422, at={"name": field})}


def plain(name: str, record: str, field: str = "title") -> dict[str, Row]:
    """Give the rows of the list of a plain record."""
    view, edit = f"{record}:view", f"{record}:edit"
    return listed(name, view, edit=edit, export=view, remove=True, field=field)


EXPECTED: dict[str, Row] = {
    "/sign-in": Row(ANYBODY, post=422),
    "/reset/{token}": Row(ANYBODY, get=404, post=404, at={"token": "nonsense"}),
    "/sign-out": Row(SIGNED_IN, get=None, post=303),
    "/": Row(SIGNED_IN),
    "/suggest/{source}.json": Row(SIGNED_IN, get=404, at={"source": "nothing"}),
    "/me": Row(SIGNED_IN),
    "/me/language": Row(SIGNED_IN, get=None, post=303),
    "/me/password": Row(SIGNED_IN, get=None, post=422),
    "/me/sessions": Row(SIGNED_IN),
    "/me/sessions/end": Row(SIGNED_IN, get=None, post=303),
    "/views/new": Row(SIGNED_IN, post=422),
    "/views/manage": Row(SIGNED_IN, get=422, post=422),
    "/inbox": Row(SIGNED_IN, staff=True),
    "/inbox/read": Row(SIGNED_IN, get=None, post=303, staff=True),
    "/inbox/{id:int}": Row(SIGNED_IN, get=None, post=303, staff=True),
    "/me/notifications": Row(SIGNED_IN, post=303, staff=True),
    "/me/notifications/test": Row(SIGNED_IN, get=None, post=303),
    **listed("users", "user:manage", export="user:manage"),
    "/users/new": Row("user:manage", post=422),
    "/users/of/{username:path}": Row("user:manage", get=404, post=404, at={"username": "nobody"}),
    # Whoever acts as nobody has nothing to go back from.
    "/acting/end": Row(SIGNED_IN, get=None, post=409),
    "/roles": Row("role:manage"),
    "/roles/new": Row("role:manage", post=422),
    "/roles/{id:int}": Row("role:manage", post=422),
    "/roles/{id:int}/remove": Row("role:manage", post=303),
    **plain("menus", "menu"), **plain("permission_groups", "permission_group"),
    "/menus/move": Row("menu:edit", get=None, post=404),
    "/menus/permissions/{code}": Row("role:manage", post=422, at={"code": "customer:view"}),
    **listed("audit", "audit:view", export="audit:view"),
    **listed("notices", "notice:view", export="notice:view", counted=False, actions={
        "resend": "notice:deliver",
    }),
    "/jobs": Row("job:run"),
    "/jobs/{name}/run": Row("job:run", get=None, post=404, at={"name": "nothing"}),
    "/plugins": Row("role:manage"),
    "/rotation": Row("rotation:view"),
    "/rotation/plan": Row("rotation:edit", get=None, post=422),
    # It asks whether one is sure.
    "/rotation/reset": Row("rotation:edit", get=None, post=200),
    "/pool-rules": Row("pool:rules", post=422),
    "/hand-over": Row("customer:transfer", post=422),
    "/customers/{id:int}": Row("customer:view"),
    "/customers/{id:int}/follow-up": Row("customer:follow_up", get=None, post=422),
    "/customers/similar": Row("customer:add"),
    **listed("customers", "customer:view", export="customer:export", actions={
        "follow-up": "customer:follow_up", "transfer": "customer:transfer",
        "release": "customer:release", "lock": "customer:lock", "unlock": "customer:lock",
        "transfer/undo": "customer:transfer", "lock/undo": "customer:lock",
    }),
    "/customers/new": Row("customer:add", post=422),
    "/customers/{id:int}/edit": Row("customer:edit", post=422),
    **single("customers", "customer:edit", "phone"),
    **listed("pool", "pool:view", actions={
        "claim": "customer:claim", "assign": "customer:assign",
    }),
    **listed("my/customers", "customer:mine", actions={
        "follow-up": "customer:follow_up", "release": "customer:release",
    }),
    **listed("assignments", "customer:view", export="customer:export"),
    **listed("follow-ups", "customer:view", export="customer:export"),
    **listed("payments", "payment:view", export="payment:export", actions={
        "reject": "payment:confirm",
    }),
    "/payments/new": Row("payment:add", post=422),
    **plain("departments", "department"), **plain("employees", "employee", "name"),
    **plain("schools", "school"), **plain("courses", "course"),
    **plain("cohorts", "cohort", "memo"), **plain("lessons", "lesson", "room"),
    **listed("students", "student:view", export="student:view"),
    "/students/{id:int}/edit": Row("student:edit", post=422),
    **single("students", "student:edit", "company"),
    **listed("enrolments", "enrolment:view", export="enrolment:view"),
    **listed("study_records", "study_record:view", export="study_record:view"),
    "/study_records/{id:int}/edit": Row("study_record:edit", post=422),
    **single("study_records", "study_record:edit", "note"),
}  # fmt: skip


# -- by whose a customer is -------------------------------------------------------------------

DONE, SHOWN, MASKED, TOLD, NONE, CONFLICT = "done", "shown", "masked", "told", "none", "conflict"
HIDDEN, KEPT, BESIDE = "hidden", "kept", "beside"
"""Done and sent on (303), or kept in the cell (200); shown in full; shown masked; refused in a
table of outcomes (200); 404 as if there were none; refused with 409; what is hidden is not
overwritten (422); beside the field as if there were none (422)."""


def _by_kind(text: str) -> dict[str, str]:
    """Read answers in the order of `KINDS`."""
    found = dict(zip(KINDS, text.split(), strict=True))
    assert found["archived"] == found["missing"], "what was put away is not there"
    return found


OWNED: dict[tuple[str, str, str], dict[str, str]] = {
    # role, method, path:                        own colleague other pool expired enrolled away none
    ("consultant", "GET", "/customers/{id:int}"):
        _by_kind("shown none none masked none shown none none"),
    ("sales_manager", "GET", "/customers/{id:int}"):
        _by_kind("shown shown none masked masked shown none none"),
    ("finance", "GET", "/customers/{id:int}"):
        _by_kind("shown shown shown masked masked shown none none"),
    ("administrator", "GET", "/customers/{id:int}"):
        _by_kind("shown shown shown shown shown shown none none"),
    # What one could never save is not opened.
    ("consultant", "GET", "/customers/{id:int}/edit"):
        _by_kind("shown none none none none shown none none"),
    ("sales_manager", "GET", "/customers/{id:int}/edit"):
        _by_kind("shown shown none masked masked shown none none"),
    ("administrator", "GET", "/customers/{id:int}/edit"):
        _by_kind("shown shown shown shown shown shown none none"),
    ("consultant", "POST", "/customers/{id:int}/edit"):
        _by_kind("done none none none none done none none"),
    ("sales_manager", "POST", "/customers/{id:int}/edit"):
        _by_kind("done done none hidden hidden done none none"),
    ("administrator", "POST", "/customers/{id:int}/edit"):
        _by_kind("done done done done done done none none"),
    ("consultant", "GET", "/customers/{id:int}/field/{name}"):
        _by_kind("shown none none none none shown none none"),
    ("sales_manager", "GET", "/customers/{id:int}/field/{name}"):
        _by_kind("shown shown none masked masked shown none none"),
    ("administrator", "GET", "/customers/{id:int}/field/{name}"):
        _by_kind("shown shown shown shown shown shown none none"),
    ("consultant", "POST", "/customers/{id:int}/field/{name}"):
        _by_kind("kept none none none none kept none none"),
    ("sales_manager", "POST", "/customers/{id:int}/field/{name}"):
        _by_kind("kept kept none hidden hidden kept none none"),
    ("administrator", "POST", "/customers/{id:int}/field/{name}"):
        _by_kind("kept kept kept kept kept kept none none"),
    ("consultant", "POST", "/customers/{id:int}/follow-up"):
        _by_kind("done conflict conflict conflict conflict conflict conflict conflict"),
    ("sales_manager", "POST", "/customers/{id:int}/follow-up"):
        _by_kind("conflict conflict conflict conflict conflict conflict conflict conflict"),
    ("administrator", "POST", "/customers/{id:int}/follow-up"):
        _by_kind("conflict conflict conflict conflict conflict conflict conflict conflict"),
    ("consultant", "POST", "/customers/actions/follow-up"):
        _by_kind("done conflict conflict conflict conflict conflict conflict conflict"),
    ("sales_manager", "POST", "/customers/actions/follow-up"):
        _by_kind("conflict conflict conflict conflict conflict conflict conflict conflict"),
    ("administrator", "POST", "/customers/actions/follow-up"):
        _by_kind("conflict conflict conflict conflict conflict conflict conflict conflict"),
    ("consultant", "POST", "/my/customers/actions/follow-up"):
        _by_kind("done conflict conflict conflict conflict conflict conflict conflict"),
    ("sales_manager", "POST", "/my/customers/actions/follow-up"):
        _by_kind("conflict conflict conflict conflict conflict conflict conflict conflict"),
    ("administrator", "POST", "/my/customers/actions/follow-up"):
        _by_kind("conflict conflict conflict conflict conflict conflict conflict conflict"),
    ("consultant", "POST", "/customers/actions/release"):
        _by_kind("done told told told told told told told"),
    ("sales_manager", "POST", "/customers/actions/release"):
        _by_kind("done done told told told told told told"),
    ("administrator", "POST", "/customers/actions/release"):
        _by_kind("done done done told told told told told"),
    ("consultant", "POST", "/my/customers/actions/release"):
        _by_kind("done told told told told told told told"),
    ("sales_manager", "POST", "/my/customers/actions/release"):
        _by_kind("done done told told told told told told"),
    ("administrator", "POST", "/my/customers/actions/release"):
        _by_kind("done done done told told told told told"),
    ("sales_manager", "POST", "/customers/actions/transfer"):
        _by_kind("done done told told told told told told"),
    ("administrator", "POST", "/customers/actions/transfer"):
        _by_kind("done done done told told told told told"),
    ("sales_manager", "POST", "/customers/actions/lock"):
        _by_kind("done done told done done done told told"),
    ("administrator", "POST", "/customers/actions/lock"):
        _by_kind("done done done done done done told told"),
    ("sales_manager", "POST", "/customers/actions/unlock"):
        _by_kind("done done told done done done told told"),
    ("administrator", "POST", "/customers/actions/unlock"):
        _by_kind("done done done done done done told told"),
    # Nobody has just moved or locked any of them.
    ("sales_manager", "POST", "/customers/actions/transfer/undo"):
        _by_kind("told told told told told told told told"),
    ("administrator", "POST", "/customers/actions/transfer/undo"):
        _by_kind("told told told told told told told told"),
    ("sales_manager", "POST", "/customers/actions/lock/undo"):
        _by_kind("told told told told told told told told"),
    ("administrator", "POST", "/customers/actions/lock/undo"):
        _by_kind("told told told told told told told told"),
    # What never was in the pool is not there: decision 0022.
    ("consultant", "POST", "/pool/actions/claim"):
        _by_kind("conflict none none done conflict conflict none none"),
    ("sales_manager", "POST", "/pool/actions/assign"):
        _by_kind("told told told done done told told told"),
    ("administrator", "POST", "/pool/actions/assign"):
        _by_kind("told told told done done told told told"),
    ("consultant", "POST", "/payments/new"):
        _by_kind("done beside beside beside beside done beside beside"),
    ("sales_manager", "POST", "/payments/new"):
        _by_kind("done done beside beside beside done beside beside"),
    ("finance", "POST", "/payments/new"):
        _by_kind("done done done beside beside done beside beside"),
    ("administrator", "POST", "/payments/new"):
        _by_kind("done done done beside beside done beside beside"),
    # A payment is rejected whatever became of the customer since.
    ("finance", "POST", "/payments/actions/reject"):
        _by_kind("done done done done done done told told"),
    ("administrator", "POST", "/payments/actions/reject"):
        _by_kind("done done done done done done told told"),
}  # fmt: skip
"""What becomes of a request for one customer, by who asks."""

"""Forms with a token: the same one sent twice has one effect, however the answer got lost."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from crm_domain.errors import AlreadySent, FieldError, Invalid
from crm_domain.model import about
from crm_domain.ports import UnitOfWork
from crm_domain.rules.access import Principal

KEPT = timedelta(days=7)
"""How long a form is known that was taken in; nobody sends one again after so long."""
LONGEST = 200


@attrs.frozen(kw_only=True)
class Form:
    """What is sent, as it is known again."""

    makes: type[Any]
    token_sha256: str
    content_sha256: str


def form_of(
    once: str | None, makes: type[Any], content: Mapping[str, Any], by: Principal
) -> Form | None:
    """Tell by what a form is known again; None for what is sent without a token.

    The token counts for whoever sends it, and for this kind of record. So nobody learns by the
    token of another what that other made.

    Raises:
        Invalid: The token is no text, or too long.
    """
    if once is None or once == "":
        return None
    if not isinstance(once, str) or len(once) > LONGEST:
        raise Invalid(
            [
                FieldError(
                    "once",
                    "bad_text",
                    None,
                    "表单标识不可用，请重新打开表单",
                    "the token of the form is not usable; open the form again",
                )
            ]
        )
    # The token, which is stored nowhere, keeps what was typed from being guessed.
    said = repr(sorted(content.items()))
    return Form(
        makes=makes, token_sha256=_fingerprint(makes.__name__, by.user_id, once),
        content_sha256=_fingerprint(once, said),
    )  # fmt: skip


def made_before(uow: UnitOfWork, form: Form | None, now: datetime) -> int | None:
    """Give the number of the record that a form made; None when it is taken in now.

    Call it before anything is locked: it waits for whoever is at the same form.

    Raises:
        AlreadySent: It said something else then.
    """
    if form is None:
        return None
    sent = uow.forms.begin(form.token_sha256, form.content_sha256, now=now)
    if sent is None:
        return None
    if sent.content_sha256 != form.content_sha256:
        raise AlreadySent(what=about(form.makes).zh, id=sent.record_id)
    return sent.record_id


def keep_made(uow: UnitOfWork, form: Form | None, number: int | None) -> None:
    """Keep which record a form made."""
    if form is not None and number is not None:
        uow.forms.made(form.token_sha256, number)


def _fingerprint(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()

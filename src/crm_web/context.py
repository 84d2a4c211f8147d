"""What a screen knows of its request: who asks, in which language, and what was typed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from crm_domain.errors import FieldError, Invalid, Language, NotFound
from crm_domain.ports import Crm
from crm_domain.rules.access import Principal
from crm_domain.usecases.sessions import Session

if TYPE_CHECKING:
    from crm_web.screen import Screen
    from crm_web.site import Site

DIALOG = "dialog-body"
"""The place of a page into which dialogs are put."""
AGAIN = "again-body"
"""The place for signing in again, above a dialog that may be open."""
CSRF = "csrf"
"""The form field that carries the session's token against forged requests."""
ONCE = "once"
"""The form field that carries the token by which a form that is sent twice is known again."""
LANGUAGES: tuple[Language, ...] = ("zh", "en")


@attrs.frozen(kw_only=True)
class Context:
    """One request, as screens see it."""

    crm: Crm
    site: Site
    request: Request
    session: Session | None
    form: FormData
    screen: Screen | None = None
    """What answers; None where no screen does."""

    @cached_property
    def by(self) -> Principal:
        """Whoever asks, with the language of the page, in which records are to be called.

        Only screens for people who have signed in may use it.
        """
        if self.session is None:
            raise LookupError("nobody has signed in, and this screen needs somebody")
        return attrs.evolve(self.session.principal, language=self.language)

    def may(self, permission: str | None) -> bool:
        """Whether whoever asks holds a permission; None is nobody's."""
        return permission is not None and self.by.may(permission)

    @cached_property
    def language(self) -> Language:
        """The language of the answer: the person's choice, the browser's, the program's."""
        wishes = [
            self.session.principal.language if self.session else None,
            self.request.cookies.get("language"),
            *_accepted(self.request.headers.get("accept-language", "")),
            self.crm.language,
        ]
        return next((known for w in wishes for known in LANGUAGES if w == known), "zh")

    def t(self, zh: str, en: str) -> str:
        """Say something in the language of the answer."""
        return zh if self.language == "zh" else en

    @property
    def whole_path(self) -> str:
        """The address of the page, with what is asked of it."""
        url = self.request.url
        return url.path + (f"?{url.query}" if url.query else "")

    @property
    def address(self) -> str:
        """Where the request came from, as far as the server in front says so truthfully."""
        return self.request.client.host if self.request.client else ""

    @property
    def fragment(self) -> bool:
        """Whether htmx asks for what the dialog shall show, not for a page."""
        return self.by_htmx and self.request.headers.get("hx-target") in (DIALOG, AGAIN)

    @property
    def by_htmx(self) -> bool:
        """Whether htmx asks, for a part or a whole."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def within(self) -> bool:
        """Whether the answer goes into a page that stays, as ``crm.js`` says of every request."""
        return self.by_htmx and "x-part" in self.request.headers

    def typed(self, *without: str) -> dict[str, str]:
        """Give what was typed, by field; an empty field is "".

        Args:
            without: Fields that are read by themselves.
        """
        left_out = {CSRF, *without}
        return {
            name: value
            for name, value in self.form.multi_items()
            if isinstance(value, str) and name not in left_out
        }

    def many(self, name: str) -> list[str]:
        """Give all values of one field."""
        return [v for v in self.form.getlist(name) if isinstance(v, str)]

    def one(self, name: str, default: str = "") -> str:
        """Give the value of one field, without blanks around."""
        value = self.form.get(name, default)
        return value.strip() if isinstance(value, str) else default

    def upload(self, name: str) -> UploadFile | None:
        """Give an uploaded file, or None."""
        value = self.form.get(name)
        return value if isinstance(value, UploadFile) and value.filename else None


def _accepted(header: str) -> list[str]:
    """Give the languages a browser asks for, as it orders them: ``zh-CN,en;q=0.8`` is zh, en."""
    wishes = [(part.strip().partition(";q=")) for part in header.split(",")[:10]]
    weighed = [(_weight(q), -i, name[:2].lower()) for i, (name, _, q) in enumerate(wishes)]
    return [name for _, _, name in sorted(weighed, reverse=True)]


def _weight(q: str) -> float:
    try:
        return float(q) if q else 1.0
    except ValueError:
        return 0.0


def local(next_: Any, default: str = "/") -> str:
    """Give an address of this site to go on to; the default for any that leads elsewhere."""
    if not isinstance(next_, str) or not next_.startswith("/") or next_[1:2] in ("/", "\\"):
        return default
    if any(ord(c) < 33 or c == "\\" or ord(c) == 127 for c in next_):
        return default
    return next_


LONGEST_NUMBER = 18
"""Digits; so many fit whatever a database keeps."""


def number(text: str) -> int | None:
    """Read the number of a record as a form or an address has it; None for anything else."""
    known = text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER
    return int(text) if known else None


def read_version(c: Context) -> int:
    """Read the version that a form was shown with.

    Raises:
        Invalid: The form says none: it would overwrite what others wrote meanwhile.
    """
    found = number(c.one("version"))
    if found is None:
        zh, en = "表单不完整，请刷新页面后重试", "the form is not complete; load the page again"
        raise Invalid([FieldError("", "missing", None, zh, en)])
    return found


def numbers(texts: Iterable[str]) -> list[int]:
    """Read the numbers of records, each once, in their order; what is none is left out."""
    found = (number(text) for text in texts)
    return list(dict.fromkeys(n for n in found if n is not None))


def said_of(problems: Any, language: Language) -> Mapping[str, list[str]]:
    """Sort problems by the field they stand beside."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(problem.path, []).append(problem.message(language))
    return found


def chosen(c: Context, name: str) -> list[int]:
    """Read the records that were picked in one field, each once, in their order.

    Raises:
        Invalid: Something was typed and nothing was chosen for it.
    """
    texts = [text for one in c.many(name) if (text := one.strip())]
    problems = [
        FieldError(name, "not_chosen", text, f"请从列表中选择“{text[:40]}”",
                   f"choose “{text[:40]}” from the list")
        for text in texts if not number(text)
    ]  # fmt: skip
    if problems:
        raise Invalid(problems)
    return numbers(texts)


@contextmanager
def beside(name: str, typed: object) -> Iterator[None]:
    """Tell of a record that is not there, or not to be seen, beside the field that names it.

    Args:
        name: The field.
        typed: The number in it.

    Raises:
        Invalid: In place of the `NotFound` of this number.
    """
    try:
        yield
    except NotFound as e:
        if str(e.facts.get("id")) != str(typed):
            raise
        problem = FieldError(name, e.code, typed, e.message("zh"), e.message("en"))
        raise Invalid([problem]) from e

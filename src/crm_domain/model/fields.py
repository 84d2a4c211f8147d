"""How a record is described, each field once.

A field says its type (by the annotation), its label in both languages, its length, whether it is
unique and whether it is guarded. Tables, forms, sheet headings and schemas are derived from this;
nothing else repeats it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Self, TypeVar, dataclass_transform

import attrs

from crm_domain.errors import TERMS, Language

Kind = Literal[
    "key", "text", "choice", "state", "flag", "number", "money", "moment", "day", "clock",
    "reference", "references", "version", "json",
]  # fmt: skip


class Choice(str, Enum):  # noqa: UP042 - members carry labels beside their code
    """A closed list: the member's value is the code that is stored; staff read the labels."""

    zh: str
    en: str
    aliases: tuple[str, ...]

    def __new__(cls, code: str, zh: str, en: str, *aliases: str) -> Self:
        """Make a member from its code, its two labels and what else people write for it."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.zh, member.en, member.aliases = zh, en, aliases
        return member

    def label(self, language: Language = "zh") -> str:
        """Say the choice to a person."""
        return self.zh if language == "zh" else self.en

    def __str__(self) -> str:
        return str(self.value)


@attrs.frozen(kw_only=True)
class Spec:
    """What is known about one field beyond its Python type."""

    kind: Kind
    zh: str
    en: str
    name: str = ""
    type: Any = None
    """The Python type without ``None``; for references the tuple's item type."""
    optional: bool = False
    length: int | None = None
    unique: bool = False
    guarded: bool = False
    target: str = ""
    """The name of the record that a reference points to."""
    hot: bool = False
    """Kept in the narrow table beside the record (see the decision on ownership)."""
    secret: bool = False
    """Never shown, logged, exported or audited."""
    contact: bool = False
    """A way to reach a person: masked for whoever may not see it."""
    default: Any = attrs.NOTHING

    def label(self, language: Language = "zh") -> str:
        """Say the field to a person."""
        return self.zh if language == "zh" else self.en


def _field(kind: Kind, zh: str, en: str, default: Any, **more: Any) -> Any:
    spec = Spec(kind=kind, zh=zh, en=en, default=default, **more)
    TERMS.setdefault(zh, en.lower() if en[1:].islower() else en)
    # Records end up in logs and tracebacks.
    told = not (spec.secret or spec.contact)
    if isinstance(default, tuple | Decimal | str | int | Enum | date) or default is None:
        return attrs.field(default=default, metadata={"crm": spec}, repr=told)
    return attrs.field(metadata={"crm": spec}, repr=told)


def key(*, default: Any) -> Any:
    """The record's number, given by the storage."""
    return _field("key", "编号", "No.", default)


def version(*, default: Any) -> Any:
    """Counts the changes of a record, so that two people cannot overwrite each other unseen."""
    return _field("version", "版本", "Version", default, guarded=True)


def text(
    zh: str, en: str, *, length: int = 200, default: Any = attrs.NOTHING, unique: bool = False,
    guarded: bool = False, secret: bool = False, contact: bool = False, hot: bool = False,
) -> Any:  # fmt: skip
    """A line or a paragraph of text of at most ``length`` characters."""
    return _field(
        "text", zh, en, default, length=length, unique=unique, guarded=guarded, secret=secret,
        contact=contact, hot=hot,
    )  # fmt: skip


def choice(
    zh: str, en: str, *, default: Any = attrs.NOTHING, guarded: bool = False, hot: bool = False
) -> Any:
    """One of a closed list; the annotation names the Choice."""
    return _field("choice", zh, en, default, guarded=guarded, hot=hot)


def state(zh: str, en: str, *, default: Any = attrs.NOTHING, guarded: bool = True) -> Any:
    """A numbered state (an IntEnum) that only use cases change."""
    return _field("state", zh, en, default, guarded=guarded)


def flag(zh: str, en: str, *, default: bool, guarded: bool = False,
         hot: bool = False) -> Any:  # fmt: skip
    """Yes or no."""
    return _field("flag", zh, en, default, guarded=guarded, hot=hot)


def number(zh: str, en: str, *, default: Any = attrs.NOTHING, guarded: bool = False,
           unique: bool = False, hot: bool = False) -> Any:  # fmt: skip
    """A whole number."""
    return _field("number", zh, en, default, guarded=guarded, unique=unique, hot=hot)


def money(zh: str, en: str, *, default: Any = attrs.NOTHING) -> Any:
    """An exact amount in yuan with two decimals."""
    return _field("money", zh, en, default)


def moment(zh: str, en: str, *, default: Any = attrs.NOTHING, guarded: bool = False,
           hot: bool = False) -> Any:  # fmt: skip
    """An aware moment, kept in UTC."""
    return _field("moment", zh, en, default, guarded=guarded, hot=hot)


def day(zh: str, en: str, *, default: Any = attrs.NOTHING, guarded: bool = False,
        hot: bool = False, unique: bool = False) -> Any:  # fmt: skip
    """A calendar day in the business time zone."""
    return _field("day", zh, en, default, guarded=guarded, hot=hot, unique=unique)


def clock(zh: str, en: str, *, default: Any = attrs.NOTHING) -> Any:
    """A time of day in the business time zone."""
    return _field("clock", zh, en, default)


def reference(zh: str, en: str, target: str, *, default: Any = attrs.NOTHING,
              guarded: bool = False, hot: bool = False, unique: bool = False) -> Any:  # fmt: skip
    """The number of another record."""
    return _field("reference", zh, en, default, target=target, guarded=guarded, hot=hot,
                  unique=unique)  # fmt: skip


def references(zh: str, en: str, target: str, *, guarded: bool = False,
               default: tuple[int, ...]) -> Any:  # fmt: skip
    """The numbers of several other records (kept in a link table)."""
    return _field("references", zh, en, default, target=target, guarded=guarded)


def json(zh: str, en: str, *, default: Any = attrs.NOTHING, guarded: bool = False) -> Any:
    """A small structure that is only ever read whole."""
    return _field("json", zh, en, default, guarded=guarded)


T = TypeVar("T")
RECORDS: dict[str, type[Any]] = {}
"""All records by the name of their class."""


@attrs.frozen(kw_only=True)
class About:
    """What is known about a record as a whole."""

    table: str
    zh: str
    en: str
    unique: tuple[tuple[str, ...], ...] = ()
    """Combinations of fields that stand only once."""
    plain: bool = True
    """Whether the generic use cases may create, change and remove it."""
    titled: tuple[str, str] = ("", "")
    """What one of them is called where others refer to it, in Chinese and in English; names of
    fields in braces stand for their values, a reference for the title of what it refers to."""
    belongs: tuple[str, ...] = ()
    """What names the employee (or the department) that a record is the work of: fields of it, or of
    what it refers to, as ``cohort_id.teachers``, or of what refers to it, as
    ``Enrolment:student_id.cohort_id.tutor_id``. Any of them counts; without one it is the school's
    own, and the data scope does not matter."""
    shared: bool = False
    """Whether those beyond the reach read it all the same, its contact data excepted."""
    listed: bool = False
    """Whether the generic use cases may read it; they may read every plain one."""
    changes: tuple[str, ...] = ()
    """Fields that the generic use cases may change though the record is not plain."""


@dataclass_transform(
    kw_only_default=True,
    frozen_default=True,
    field_specifiers=(
        key, version, text, choice, state, flag, number, money, moment, day, clock, reference,
        references, json,
    ),
)  # fmt: skip
def record(
    table: str, zh: str, en: str, *, unique: tuple[tuple[str, ...], ...] = (), plain: bool = True,
    titled: tuple[str, str] | None = None,
    belongs: tuple[str, ...] = (), shared: bool = False, listed: bool = False,
    changes: tuple[str, ...] = (),
) -> Callable[[type[T]], type[T]]:  # fmt: skip
    """Make a frozen, keyword-only, slotted record of a class.

    Args:
        table: The table's name in the database.
        zh: What staff call one of them.
        en: The same in English.
        unique: Combinations of fields that stand only once.
        plain: False for records with rules of their own: these are written by their use cases only.
        titled: What one of them is called where others refer to it, with fields in braces; by
            default its title or name, else its number, and in English ``title_en`` where it has it.
        belongs: What names the employee or department that it is the work of (`About.belongs`).
        shared: Whether those beyond the reach read it all the same.
        listed: Whether the generic use cases may read it though it is not plain.
        changes: Fields that they may change though it is not plain.
    """

    def decorate(cls: type[T]) -> type[T]:
        made = attrs.frozen(kw_only=True)(cls)
        made.__about__ = About(  # type: ignore[attr-defined]
            table=table, zh=zh, en=en, unique=unique, plain=plain, titled=titled or _titled(made),
            belongs=belongs, shared=shared, listed=listed or plain, changes=changes,
        )  # fmt: skip
        RECORDS[made.__name__] = made
        TERMS[zh] = en.lower()
        return made

    return decorate


def _titled(cls: type[Any]) -> tuple[str, str]:
    names = {a.name for a in attrs.fields(cls)}
    found = next((n for n in ("title", "name", "username", "file_name") if n in names), "id")
    english = f"{found}_en" if f"{found}_en" in names else found
    return f"{{{found}}}", f"{{{english}}}"


def about(cls: type[Any]) -> About:
    """Tell what is known about a record class."""
    found: About = cls.__about__
    return found


def specs(cls: type[Any]) -> Mapping[str, Spec]:
    """Tell the fields of a record class by name, in order."""
    found = _SPECS.get(cls)
    if found is None:
        found = _SPECS[cls] = types.MappingProxyType(_read_specs(cls))
    return found


_SPECS: dict[type[Any], Mapping[str, Spec]] = {}


def _read_specs(cls: type[Any]) -> dict[str, Spec]:
    hints = typing.get_type_hints(cls)
    found: dict[str, Spec] = {}
    for a in attrs.fields(cls):
        spec: Spec = a.metadata["crm"]
        kind, optional = _plain_type(hints[a.name])
        found[a.name] = attrs.evolve(spec, name=a.name, type=kind, optional=optional)
    return found


def _plain_type(hint: Any) -> tuple[Any, bool]:
    args = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        rest = [a for a in args if a is not type(None)]
        return rest[0], len(rest) < len(args)
    return hint, False


def changed(record: T, **changes: Any) -> T:
    """Give a copy of a record with some fields changed.

    It does what ``attrs.evolve`` does, several times faster: records convert and validate nothing,
    so their slots can be filled directly. An import copies each customer some four times.
    """
    cls = type(record)
    found = _COPIERS.get(cls)
    if found is None:
        found = _COPIERS[cls] = _copier(cls)
    copy, setters = found
    fresh: T = cls.__new__(cls)
    copy(fresh, record)
    try:
        for name, value in changes.items():
            setters[name](fresh, value)
    except KeyError as e:
        raise TypeError(f"{cls.__name__} has no field {e}") from e
    return fresh


def _copier(cls: type[Any]) -> tuple[Any, dict[str, Any]]:
    """Write the function that copies all slots, as attrs writes its ``__init__``."""
    setters: dict[str, Any] = {a.name: getattr(cls, a.name).__set__ for a in attrs.fields(cls)}
    names = {f"set_{name}": put for name, put in setters.items()}
    lines = [f"    set_{name}(fresh, record.{name})" for name in setters]
    exec("\n".join(["def copy(fresh, record):", *lines]), names)  # noqa: S102 - our own names
    return names["copy"], setters


_COPIERS: dict[type[Any], tuple[Any, dict[str, Any]]] = {}

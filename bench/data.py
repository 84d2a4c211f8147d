"""Believable data without chance: row number i is always the same person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from types import SimpleNamespace

import attrs

from crm_adapters.storage.search import grams, pinyin_key

NOW = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)
"""What all clocks of a run show: ten o'clock in Shanghai."""
TODAY = date(2026, 11, 1)
SEED = 20261101

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏"
    "魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万"
)
GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅鹏飞宇浩然子涵梓轩欣怡诗晨俊熙雨桐"
    "嘉文博思远佳琪雪婷慧琳晓东海燕建国志鑫凯旋颖倩璐瑶楠菲悦宁安乐天一可心如意春夏秋冬山水云"
)
PREFIXES = ("138", "139", "150", "158", "186", "188", "177", "136")
EDUCATIONS = ("key_university", "university", "college", "private_college", "high_school", "other")
EXPERIENCES = ("student", "graduate", "half_year", "one_year", "three_years", "five_years")
SOURCES = ("qq_group", "referral", "website", "baidu", "so360", "sogou", "tencent_ads", "seo")
RARE = "欧阳龘"
"""The name of every 200,000th person."""


def _mixed(i: int, salt: int = 0) -> int:
    """Scatter a number: a step of the splitmix64 generator."""
    x = (i + SEED + salt * 0x9E3779B9) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    x = (x ^ x >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return x ^ x >> 31


@cache
def _names() -> list[str]:
    """Thirty thousand names; the more usual surnames come more often, as in life."""
    found = []
    for i in range(30_000):
        h = _mixed(i, 7)
        surname = SURNAMES[min(h % len(SURNAMES), (h >> 8) % len(SURNAMES))]
        first = GIVEN[(h >> 16) % len(GIVEN)]
        second = GIVEN[(h >> 24) % len(GIVEN)] if h >> 40 & 3 else ""
        found.append(surname + first + second)
    return found


def name(i: int) -> str:
    """The name of person i."""
    return RARE if i % 200_000 == 77 else _names()[_mixed(i, 1) % 30_000]


def phone(i: int) -> str:
    """The mobile number of person i, unique and scattered."""
    return f"{PREFIXES[i % 8]}{i // 8 * 61_803_399 % 100_000_000:08d}"


@attrs.frozen
class Person:
    """What is known about somebody."""

    name: str
    phone: str
    qq: str | None
    wechat: str | None
    gender: str
    education: str
    experience: str
    source: str
    consulted_on: date


FIELDS = tuple(a.name for a in attrs.fields(Person))
WIDE = (*FIELDS, "created_at", "version", "pinyin", "search")
"""The columns of `customer` that are written."""


def person(i: int) -> Person:
    """Make person i."""
    h = _mixed(i, 2)
    return Person(
        name(i), phone(i),
        str(100_000_000 + i) if h % 10 < 3 else None,
        f"wx_{i:x}" if (h >> 8) % 10 < 2 else None,
        "female" if h >> 16 & 1 else "male",
        EDUCATIONS[(h >> 20) % len(EDUCATIONS)], EXPERIENCES[(h >> 24) % len(EXPERIENCES)],
        SOURCES[(h >> 28) % len(SOURCES)], TODAY - timedelta(days=(h >> 32) % 60),
    )  # fmt: skip


_NOBODY = SimpleNamespace(name="", phone=None, qq=None, wechat=None)


@cache
def _named(text: str) -> tuple[str, frozenset[str]]:
    only_name = SimpleNamespace(**vars(_NOBODY) | {"name": text})
    return pinyin_key(text), frozenset(grams(only_name).split())


def sought(who: Person) -> tuple[str, str]:
    """Give the columns ``pinyin`` and ``search``, as ours does but with every name read once."""
    pinyin, found = _named(who.name)
    contacts = SimpleNamespace(name="", phone=who.phone, qq=who.qq, wechat=who.wechat)
    return pinyin, " ".join(sorted(found.union(grams(contacts).split())))


def wide(i: int) -> tuple[object, ...]:
    """Give the row of person i in the order of `WIDE`."""
    who = person(i)
    return (*attrs.astuple(who), NOW, 1, *sought(who))


# -- ownership ---------------------------------------------------------------------------------


@attrs.frozen
class Held:
    """Somebody's ownership, as the tables have it; ``None`` for what is empty."""

    kind: str
    """``enrolled``, ``new`` (in the pool, never owned), ``ended`` (in the pool), ``due``, ``live``.
    """
    received_at: datetime
    contacted_at: datetime
    due_on: date
    due_status: int | None = None
    due_days: int | None = None


ALWAYS, NEVER = date.min, date.max
SHARES = (("enrolled", 25), ("new", 15), ("ended", 15), ("due", 20), ("live", 25))
"""Of a hundred customers: 25 enrolled, 30 in the pool, 45 held of which 20 must expire."""


def kind(i: int) -> str:
    """Tell what became of person i; the shares are exact in every hundred."""
    place = (i * 37 + i // 100 * 11) % 100
    for found, share in SHARES:
        if place < share:
            return found
        place -= share
    raise AssertionError


def held(i: int) -> Held:
    """Tell the ownership of person i."""
    found, h = kind(i), _mixed(i, 3)
    moment = NOW - timedelta(hours=2, seconds=h % 3600)
    if found == "live":
        received = moment - timedelta(days=h % 3)
        return Held(found, received, received, TODAY + timedelta(days=4 - h % 3), 3, 3)
    if found == "due":
        if h & 64:
            received = moment - timedelta(days=16 + h % 20)
            return Held(found, received, moment - timedelta(days=1),
                        TODAY - timedelta(days=h % 20), 4, 15)  # fmt: skip
        days = 4 + h % 10
        received = moment - timedelta(days=days)
        return Held(found, received, received, TODAY + timedelta(days=4 - days), 3, 3)
    received = moment - timedelta(days=30 + h % 300)
    return Held(found, received, received, NEVER if found == "enrolled" else ALWAYS)


def people(first: int, n: int) -> Iterator[tuple[object, ...]]:
    """Give the rows of n persons."""
    return (wide(i) for i in range(first, first + n))

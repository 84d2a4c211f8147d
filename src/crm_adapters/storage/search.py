"""What a customer can be found by, as small pieces ("grams") that both engines can index.

A Chinese name is cut into characters and pairs of them, because the trigrams that databases offer
find nothing shorter than three characters. Pinyin is added in full and as initials, digits in
pieces of four, letters in pieces of three.

What comes of contacts is marked, so that a search can leave it out: whoever sees only masked
contacts must not find out the rest of them piece by piece.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import Any

import attrs

# Surnames that are read otherwise than the character is elsewhere.
SURNAMES = {
    "单": "shan", "仇": "qiu", "曾": "zeng", "区": "ou", "解": "xie", "朴": "piao", "查": "zha",
    "盖": "ge", "任": "ren", "华": "hua", "尉": "wei", "乐": "yue", "翟": "zhai", "冼": "xian",
    "缪": "miao", "宓": "mi", "员": "yun", "召": "shao", "洗": "xian", "覃": "qin", "贾": "jia",
    "繁": "po", "秘": "bi", "折": "she", "黑": "he", "钭": "tou", "尹": "yin", "藏": "zang",
}  # fmt: skip
_UMLAUT = str.maketrans({"ü": "v", "ê": "e"})
LONGEST = 100
"""So many characters of a search are looked at."""
PART, WHOLE = "#", "="
"""What stands before a piece of a contact, and before a whole one. No name has either."""
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@cache
def _dictionary() -> dict[int, str]:
    from pypinyin.constants import PINYIN_DICT

    found: dict[int, str] = PINYIN_DICT
    return found


@lru_cache(maxsize=8192)
def _syllable(character: str) -> str:
    """Read one character without its tone; what is no Chinese character is left as it is."""
    readings = _dictionary().get(ord(character))
    if readings is None:
        return character.lower() if character.isalnum() else ""
    plain = unicodedata.normalize("NFD", readings.split(",")[0].replace("ü", "v"))
    return "".join(c for c in plain.translate(_UMLAUT) if c.isascii() and c.isalpha())


def syllables(name: str) -> list[str]:
    """Read a name in pinyin, one syllable for each character."""
    found = [_syllable(c) for c in name]
    if name and name[0] in SURNAMES:
        found[0] = SURNAMES[name[0]]
    return [s for s in found if s]


def pinyin_key(name: str) -> str:
    """Make the key that sorts names as a dictionary does."""
    return " ".join(syllables(name))


def _pieces(text: str, size: int) -> set[str]:
    return {text[i : i + size] for i in range(len(text) - size + 1)}


def _letters(text: str) -> set[str]:
    return _pieces(text, 3) if len(text) > 2 else {text}


def _initials(parts: list[str]) -> set[str]:
    first = "".join(p[0] for p in parts)
    return _pieces(first, 2) | _pieces(first, 1) if first else set()


@lru_cache(maxsize=8192)
def _name_grams(name: str) -> frozenset[str]:
    clean = re.sub(r"\W+", "", unicodedata.normalize("NFKC", name)).casefold()
    parts = syllables(clean)
    readings = [parts]
    if clean and clean[0] in SURNAMES:
        # Whoever does not know the surname's reading types the usual one.
        readings.append([_syllable(clean[0]), *parts[1:]])
    grams = _pieces(clean, 1) | _pieces(clean, 2) if _HAN.search(clean) else set()
    for reading in readings:
        whole = "".join(reading)
        grams |= _letters(whole) | set(reading) | _initials(reading) | _pieces("".join(
            p[0] for p in reading), 3)  # fmt: skip
    if "lv" in parts:
        grams |= {"lyu", "lu"}
    return frozenset(g for g in grams if g)


def _contact_grams(value: str | None) -> set[str]:
    if not value:
        return set()
    text = re.sub(r"[\W_]+", "", value).casefold()
    pieces = _pieces(text, 4) | {text[:3]} if text.isdigit() else _letters(text)
    return {PART + p for p in pieces} | {WHOLE + text} if text else set()


def grams(row: Any) -> str:
    """Cut what a customer can be found by into grams.

    Args:
        row: Anything with ``name``, ``phone``, ``qq`` and ``wechat``.

    Returns:
        The grams with a blank between them, in a stable order.
    """
    found = set(_name_grams(row.name))
    for contact in (row.phone, row.qq, row.wechat):
        found |= _contact_grams(contact)
    return " ".join(sorted(found))


@attrs.frozen
class Word:
    """One word of a search. Each of its readings is grams that must all be there."""

    name: frozenset[str]
    part: frozenset[str]
    """As a part of a contact."""
    whole: frozenset[str]
    """As a whole contact."""

    def readings(self, *, whole: bool) -> list[list[str]]:
        """Give the ways to find a customer by this word.

        Args:
            whole: Whether a contact must be named in full.
        """
        contact = self.whole if whole else self.part
        return [sorted(grams) for grams in (self.name, contact) if grams]


def wanted(search: str) -> list[Word]:
    """Cut what somebody searches for into words that must all be found.

    Returns:
        The words; none when nothing in the search can be looked for.
    """
    words = unicodedata.normalize("NFKC", search[:LONGEST]).casefold().split()
    texts = dict.fromkeys(re.sub(r"[\W_]+", "", word) for word in words)
    return [_word(text) for text in texts if text]


def _word(text: str) -> Word:
    size = 4 if text.isdigit() else 2 if _HAN.search(text) else 3
    pieces = _pieces(text, size) or {text}
    contacts = pieces if text.isascii() else set()
    return Word(
        name=frozenset(pieces), part=frozenset(PART + p for p in contacts),
        whole=frozenset({WHOLE + text} if contacts else ()),
    )  # fmt: skip

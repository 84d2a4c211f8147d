"""Phone numbers, QQ numbers and WeChat ids in their normal form.

Phone numbers are normalised after ITU-T E.164 with the metadata of the ``phonenumbers`` library: a
number of mainland China is kept in its national form (``13800138000``, ``01062345678``), any other
as ``+49301234567``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any

from crm_domain.parsing.words import Unreadable, tidy


@cache
def _china_mobile() -> Callable[[str], Any]:
    """The pattern of mainland mobile numbers, from the library's own metadata."""
    import phonenumbers

    metadata: Any = phonenumbers.PhoneMetadata.metadata_for_region("CN", None)
    pattern = metadata.mobile.national_number_pattern
    return re.compile(f"(?:{pattern})", re.ASCII).fullmatch


_NOT_DIGITS = re.compile(r"[\s\-().·]+")

_COUNTRY = re.compile(r"(?:\+86|0086|86)(?=1\d{10}$)")


def phone_number(value: Any) -> str | None:
    """Normalise a phone number.

    Args:
        value: What was typed: ``+86 138-0013-8000``, full-width digits, ``13800138000.0`` …

    Returns:
        The normal form, or None where nothing was typed.

    Raises:
        Unreadable: It is no valid number.
    """
    text = tidy(value)
    if text is None:
        return None
    digits = _COUNTRY.sub("", _NOT_DIGITS.sub("", text))
    if _china_mobile()(digits):
        return digits
    return _any_phone(re.sub(r"^(\d+)\.0$", r"\1", text))


@lru_cache(maxsize=4096)
def _any_phone(text: str) -> str:
    import phonenumbers

    refusal = Unreadable("bad_phone", "不是有效的电话号码", "is not a valid phone number")
    if len(text) > 40 or any(c.isalpha() for c in text):
        raise refusal
    try:
        number = phonenumbers.parse(text, "CN")
    except phonenumbers.NumberParseException as e:
        raise refusal from e
    if not phonenumbers.is_valid_number(number):
        raise refusal
    if number.country_code == 86:
        # Landlines get their trunk 0 back, service numbers (400 …) have none.
        return re.sub(r"\D", "", phonenumbers.format_number(
            number, phonenumbers.PhoneNumberFormat.NATIONAL))  # fmt: skip
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


_QQ = re.compile(r"[1-9][0-9]{4,11}")


def qq_number(value: Any) -> str | None:
    """Normalise a QQ number: 5 to 12 digits, not beginning with 0."""
    text = tidy(value)
    if text is None:
        return None
    digits = re.sub(r"\.0$", "", re.sub(r"[\s\-]+", "", text))
    if digits[:2].lower() == "qq":
        digits = digits[2:].lstrip(":：")
    if not _QQ.fullmatch(digits):
        raise Unreadable("bad_qq", "不是有效的 QQ 号", "is not a valid QQ number")
    return digits


_WECHAT = re.compile(r"[A-Za-z0-9_+.@-]{3,40}")


def wechat_id(value: Any) -> str | None:
    """Normalise a WeChat id: letters, digits, ``_`` and ``-``; compared without regard to case."""
    text = tidy(value)
    if text is None:
        return None
    if not _WECHAT.fullmatch(text):
        raise Unreadable("bad_wechat", "不是有效的微信号", "is not a valid WeChat id")
    return text.lower()


CONTACTS: Mapping[str, Callable[[Any], str | None]] = {
    "phone": phone_number, "qq": qq_number, "wechat": wechat_id,
}  # fmt: skip
"""The ways to reach a customer, each with its normal form."""

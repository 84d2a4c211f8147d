"""How often a password may be tried, and a contact be asked for (spec sections 7 and 10).

Whoever signed in before, from a device or an address, is counted apart from everybody else: an
attacker who hammers an account from elsewhere uses up the tries of elsewhere, not the owner's.
"""

from __future__ import annotations

import hashlib
import ipaddress
import unicodedata
from datetime import timedelta

import attrs

ACCOUNT_TRIES = 5
"""Tries of one account from one place (or from all unknown places together) without waiting."""
ADDRESS_TRIES = 20
"""The same of one unknown address, whatever the accounts: a whole office may share it."""
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(days=1)
"""Without a try for so long, counting begins anew."""

CONTACTS_ASKED = 2000
"""So many contacts at most may somebody ask for in an hour who does not give customers away."""
ASKED_EACH = timedelta(hours=1)


def may_be_contact(search: str | None) -> bool:
    """Whether a search may find somebody by a whole phone number, QQ or WeChat.

    The names of WeChat look like names in pinyin, so these are counted, too.
    """
    read = unicodedata.normalize("NFKC", search or "").casefold()
    words = ("".join(c for c in word if c.isalnum()) for word in read.split())
    return any(len(word) >= 5 and word.isascii() for word in words)


@attrs.frozen
class Counted:
    """What a try is counted under, and how many are free."""

    key: str
    free: int
    shared: bool = False
    """Whether others are counted under it, too: then a success takes back only itself."""


def wait(tries: int, free: int) -> timedelta:
    """Tell how long to wait after so many tries in vain: 5 s, 10 s, 20 s … 15 minutes."""
    if tries < free:
        return timedelta(0)
    # Beyond this power the longest wait is passed anyhow.
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(tries - free, 10)))


def network(address: str | None) -> str | None:
    """Tell what counts as one place: an IPv4 address, the /64 of an IPv6 address, or None.

    One household or one server has a whole /64, so a single address of it says nothing.
    """
    try:
        found = ipaddress.ip_address((address or "").strip())
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    if mapped is not None:
        return str(mapped)
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))


def counted(
    username: str, user_id: int | None, *, place: str | None, device: str | None, known: bool
) -> tuple[Counted, ...]:
    """Tell what a try to sign in is counted under, in the order in which the counters are taken.

    Args:
        username: As it was typed; whether the account exists makes no difference.
        user_id: The account, if there is one.
        place: The `network` that the try comes from.
        device: Names the browser, if this account signed in with it before.
        known: Whether this account signed in from the place before.
    """
    if device is not None:
        return (Counted(f"device:{user_id}:{device}", ACCOUNT_TRIES),)
    if known:
        return (Counted(f"place:{user_id}:{place}", ACCOUNT_TRIES),)
    name = hashlib.sha256(username.encode("utf-8", "surrogatepass")).hexdigest()
    elsewhere = Counted(f"account:{name}", ACCOUNT_TRIES)
    if place is None:
        return (elsewhere,)
    return elsewhere, Counted(f"address:{place}", ADDRESS_TRIES, shared=True)

"""Passwords are kept as Argon2id hashes, with the parameters that OWASP advises."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher as Argon2

MEMORY_KIB = 19 * 1024
ROUNDS = 2
LANES = 1
AT_ONCE = 2
"""Each hash fills the memory bandwidth of a core: more at once only make every log-in wait."""

# Right in form, with a salt and a digest of nothing but zero bits, so that it costs what any other
# hash costs. Nobody's password is looked up by it: the answer is always no.
_NOBODY = f"$argon2id$v=19$m={MEMORY_KIB},t={ROUNDS},p={LANES}${'A' * 22}${'A' * 43}"


class Argon2Hasher:
    """Hashes and verifies passwords; safe to share between threads."""

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def hash(self, password: str) -> str:
        """Hash a password.

        Returns:
            The hash in the encoded form of Argon2, with parameters and salt in it.
        """
        with self._turns:
            return _argon2().hash(_bytes(password))

    def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password fits; takes as long when there is no hash."""
        from argon2.exceptions import InvalidHashError, VerificationError

        with self._turns:
            try:
                fits = _argon2().verify(hashed or _NOBODY, _bytes(password))
            except (VerificationError, InvalidHashError):
                return False
        return fits and bool(hashed)

    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than those of today."""
        from argon2.exceptions import InvalidHashError

        try:
            return _argon2().check_needs_rehash(hashed)
        except InvalidHashError:
            return True


def _argon2() -> Argon2:
    # Imported where it is used: workers, and most commands, hash nothing.
    from argon2 import PasswordHasher, Type

    return PasswordHasher(time_cost=ROUNDS, memory_cost=MEMORY_KIB, parallelism=LANES, type=Type.ID)


def _bytes(password: str) -> bytes:
    # JSON can carry half a surrogate pair, which plain UTF-8 would refuse with an error.
    return password.encode("utf-8", "surrogatepass")

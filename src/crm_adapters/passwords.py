"""Passwords are kept as Argon2id hashes, with the parameters that OWASP advises."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crm_domain.errors import TooManyAttempts

if TYPE_CHECKING:
    from argon2 import PasswordHasher as Argon2

MEMORY_KIB = 19 * 1024
ROUNDS = 2
LANES = 1
AT_ONCE = 2
"""Each hash fills the memory bandwidth of a core: more at once only make every log-in wait."""

WAITING = 6
"""So many wait for that. More would hold the threads that serve all other pages, too."""

# Right in form, with a salt and a digest of nothing but zero bits, so that it costs what any other
# hash costs. Nobody's password is looked up by it: the answer is always no.
_NOBODY = f"$argon2id$v=19$m={MEMORY_KIB},t={ROUNDS},p={LANES}${'A' * 22}${'A' * 43}"


class Argon2Hasher:
    """Hashes and verifies passwords; safe to share between threads."""

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._places = threading.BoundedSemaphore(AT_ONCE + WAITING)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise TooManyAttempts(retry_after=1)
        try:
            with self._turns:
                yield
        finally:
            self._places.release()

    def hash(self, password: str) -> str:
        """Hash a password.

        Returns:
            The hash in the encoded form of Argon2, with parameters and salt in it.

        Raises:
            TooManyAttempts: Many others hash at the moment.
        """
        with self._turn():
            return _argon2().hash(_bytes(password))

    def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password fits; takes as long when there is no hash.

        Raises:
            TooManyAttempts: Many others sign in at the moment.
        """
        from argon2.exceptions import InvalidHashError, VerificationError

        with self._turn():
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

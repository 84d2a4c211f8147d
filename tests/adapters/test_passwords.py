"""Passwords are kept as Argon2id hashes, and a missing one is not told by the time it takes."""

import subprocess
import sys
import threading
import time

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type

from crm_adapters.passwords import AT_ONCE, WAITING, Argon2Hasher
from crm_domain.errors import TooManyAttempts


@pytest.fixture(scope="module")
def hasher():
    return Argon2Hasher()


def test_a_password_fits_its_hash_and_no_other(hasher):
    """The right password is accepted, a wrong one is not, whatever script it is written in."""
    hashed = hasher.hash("密码-1")
    assert hasher.verify("密码-1", hashed)
    assert not hasher.verify("密码-2", hashed)
    assert not hasher.verify("", hashed)


def test_the_same_password_gives_different_hashes(hasher):
    """Two people with one password cannot be told by their hashes."""
    assert hasher.hash("same") != hasher.hash("same")


def test_the_parameters_are_those_that_owasp_advises(hasher):
    """Argon2id, 19 MiB, two rounds, one lane."""
    found = extract_parameters(hasher.hash("x"))
    assert (found.type, found.memory_cost, found.time_cost, found.parallelism) == (
        Type.ID, 19 * 1024, 2, 1,
    )  # fmt: skip


@pytest.mark.parametrize("hashed", [None, "", "plain", "$argon2id$v=19$m=19456", "$2b$12$abc"])
def test_no_password_fits_no_hash(hasher, hashed):
    """An account without a usable hash lets nobody in, and is no error."""
    assert not hasher.verify("", hashed)
    assert not hasher.verify("anything", hashed)


def test_nobody_s_hash_costs_what_a_real_one_costs(hasher):
    """Whoever tries names cannot tell by the time which of them exist."""
    hashed = hasher.hash("x")
    real = min(_seconds(hasher, hashed) for _ in range(3))
    nobody = min(_seconds(hasher, None) for _ in range(3))
    assert nobody > real / 3


def test_whoever_comes_when_many_hash_is_sent_away_at_once(hasher):
    """So that some hundred who try passwords hold eight threads, and no more."""
    hashed, ready, found = hasher.hash("x"), threading.Barrier(40), []

    def guess():
        ready.wait()
        try:
            found.append("fits" if hasher.verify("x", hashed) else "no")
        except TooManyAttempts as e:
            found.append(f"in {e.retry_after} s")

    threads = [threading.Thread(target=guess) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert set(found) == {"fits", "in 1 s"}
    assert found.count("fits") >= AT_ONCE + WAITING
    assert hasher.verify("x", hashed), "and after them all is as before"


def test_half_a_surrogate_pair_is_a_password_like_any_other(hasher):
    """JSON can carry it, so it must not be an error."""
    assert not hasher.verify("\ud800", hasher.hash("x"))
    assert hasher.verify("\ud800", hasher.hash("\ud800"))


def test_a_third_hash_waits(hasher):
    """With two hashes under way another one waits until one of them is done."""
    with hasher._turns, hasher._turns:
        waiting = threading.Thread(target=hasher.hash, args=("x",))
        waiting.start()
        waiting.join(0.4)
        assert waiting.is_alive()
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_failed_log_in_gives_its_turn_back(hasher):
    """Many wrong passwords leave the hasher as it was."""
    for hashed in (None, "plain", "$2b$", None, "plain"):
        hasher.verify("x", hashed)
    assert hasher.verify("x", hasher.hash("x"))


def test_the_heavy_libraries_are_not_imported_with_the_package():
    """A program that embeds the CRM starts without what it may never use."""
    code = (
        "import sys; from crm_adapters import open_crm; import crm_adapters.builtin\n"
        "heavy = 'argon2 starlette dramatiq redis openpyxl python_calamine alembic psycopg'\n"
        "print(*(m for m in heavy.split() if m in sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == ""


def _seconds(hasher, hashed):
    """Of this thread's own work: what else the machine does would be counted by a clock."""
    start = time.thread_time()
    hasher.verify("y", hashed)
    return time.thread_time() - start

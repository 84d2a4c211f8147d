"""A channel for the chaos tests, as a plugin: it fails 11 in 100, and writes down what arrives.

One whose key begins with "deaf" it takes, and never answers.

Workers load it by an entry point. Its ledger is a file that lines are appended to, which outlives
whoever wrote them.
"""

from __future__ import annotations

import os
import socket
import time
import zlib

LEDGER = "CHAOS_LEDGER"
MUTANT = "CHAOS_MUTANT"
"""Names the guard that is taken out of the workers, a function of `races.mutants`."""
LATENCY = "CHAOS_LATENCY"
"""Seconds that the provider takes, if not 0.004."""


def fate(key: str) -> str:
    """Tell how the first try of a message goes, always the same for the same message."""
    if key.startswith("poison"):
        return "poison"
    if key.startswith("deaf"):
        return "deaf"
    number = zlib.crc32(key.encode()) % 100
    for share, name in ((4, "passing"), (7, "busy"), (9, "silent"), (11, "refused")):
        if number < share:
            return name
    return "fine"


class Chaos:
    """The channel."""

    name = "chaos"

    def address(self, employee):
        return employee.name

    def send(self, notice, employee):
        from crm_domain.errors import DeliveryFailed

        key, kind, first = (
            notice.idempotency_key,
            fate(notice.idempotency_key),
            notice.attempts == 1,
        )
        time.sleep(float(os.environ.get(LATENCY, "0.004")))
        if key.startswith("deaf"):
            ours, theirs = socket.socketpair()
            with theirs:
                ours.recv(1)
        if kind == "poison":
            raise KeyError("a template without an end")
        if kind == "refused":
            raise DeliveryFailed("no such address", permanent=True)
        if kind == "passing" and first:
            raise DeliveryFailed("500")
        if kind == "busy" and first:
            raise DeliveryFailed("429", retry_after=0.5)
        silent = kind == "silent" and first
        write(key, "silent" if silent else "sent")
        if silent:
            raise DeliveryFailed("no answer")

    def close(self):
        pass


def write(key: str, outcome: str) -> None:
    """Append a line, whole or not at all."""
    line = f"{key} {os.getpid()} {time.monotonic():.6f} {outcome}\n"
    ledger = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(ledger, line.encode())
    finally:
        os.close(ledger)


if LEDGER in os.environ:
    from crm_domain.hookspecs import hookimpl

    if MUTANT in os.environ:
        from races import mutants

        getattr(mutants, os.environ[MUTANT])()

    @hookimpl
    def crm_notifiers(settings):
        return [Chaos()]

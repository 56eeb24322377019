"""The report of `budget.doctor()`: what survives a crash, and what should be changed."""

from __future__ import annotations

from typing import Any

from ..store.facts import Facts

MANY_SESSIONS = 100_000
TOLERATED_SKEW_MS = 5_000  # between the clock of a store and that of a host that uses it


def silent(durability: str) -> Facts:
    """The facts of a store that says nothing else about itself."""
    return Facts("", durability, unknown=("store", "version", "eviction", "clock_skew_seconds", "ledger"))


def diagnosis(facts: Facts, undelivered: int, sessions: int | None) -> dict[str, Any]:
    """A plain dict of the facts, with what they mean for this host.

    Args:
        facts: what the store said.
        undelivered: bookings of this process that wait for the store.
        sessions: how many the budgets have; None where that is not known.
    """
    from socket import gethostname  # a module that most programs of ours never need

    host = gethostname()
    warnings = list(facts.warnings)
    skew_ms = facts.skew_ms
    if skew_ms is not None and abs(skew_ms) > TOLERATED_SKEW_MS:
        side = "behind" if skew_ms > 0 else "ahead of"
        warnings.append(
            f"the clock of the host {host!r} is {abs(skew_ms) / 1000:.1f} s {side} that of the store, and"
            f" {TOLERATED_SKEW_MS / 1000:g} s are tolerated; limits go by the store's, logs by the host's"
        )
    if undelivered:
        warnings.append(f"bookings that wait for the store: {undelivered}")
    if sessions is not None and sessions > MANY_SESSIONS:
        warnings.append(
            f"there are {sessions:,} sessions: those without an id are dropped a day after they have ended,"
            " those with one a week after their last call; use fewer ids, or an id for each user"
        )
    return {
        "store": facts.kind,
        "version": facts.version,
        "durability": facts.durability,
        "eviction": facts.eviction,
        "ledger": facts.ledger,
        "layout": facts.layout or None,
        "sessions": sessions,
        "bytes": facts.bytes,
        "host": host,
        "clock_skew_seconds": None if skew_ms is None else skew_ms / 1000,
        "tolerated_skew_seconds": TOLERATED_SKEW_MS / 1000,
        "undelivered": undelivered,
        "unknown": list(facts.unknown),
        "warnings": warnings,
    }

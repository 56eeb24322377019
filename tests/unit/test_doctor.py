"""What a store says about itself, for people."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from bursar import Budget
from bursar.reports.diagnosis import diagnosis
from bursar.store import Facts
from bursar.testing import ManualClock

from ..contract.toy_store import ToyStore
from ..files import file_url

NAMES = [
    "store", "version", "durability", "eviction", "ledger", "layout", "sessions", "bytes", "host",
    "clock_skew_seconds", "tolerated_skew_seconds", "undelivered", "unknown", "warnings",
]  # fmt: skip


def test_memory_says_that_it_ends_with_the_process() -> None:
    """In a plain dict for JSON, blocking and awaited."""
    budget = Budget("$5")
    found = budget.doctor()
    assert list(json.loads(json.dumps(found))) == NAMES
    assert (found["store"], found["durability"], found["warnings"]) == ("memory", "memory", [])
    assert asyncio.run(budget.adoctor()) == found


def test_a_store_without_facts_works_and_says_what_is_unknown() -> None:
    """One of a third party, written before there were any."""
    budget = Budget("$5", store=ToyStore(ManualClock(0)))
    budget.session().reserve(cost="$1").settle(cost="$1")
    found = budget.doctor()
    assert (found["durability"], found["warnings"]) == ("toy", []) and found["clock_skew_seconds"] is None
    assert found["unknown"] == ["store", "version", "eviction", "clock_skew_seconds", "ledger"]


@pytest.mark.parametrize(
    ("skew_ms", "words"),
    [(5_001, "5.0 s behind"), (-600_000, "600.0 s ahead of"), (5_000, ""), (-5_000, ""), (None, "")],
)
def test_a_host_whose_clock_is_too_far_off_is_named(skew_ms: int | None, words: str) -> None:
    """Beyond the tolerance only, which the report states."""
    found: dict[str, Any] = diagnosis(Facts("redis", "redis-always", skew_ms=skew_ms), 0, None)
    said = " ".join(found["warnings"])
    assert (words in said and (socket.gethostname() in said) == bool(words)) and bool(said) == bool(words)
    assert found["tolerated_skew_seconds"] == 5


def test_bookings_that_wait_are_a_warning() -> None:
    """With their number."""
    found = diagnosis(Facts("redis", "redis-always", warnings=("one of the store's",)), 7, 100_000)
    assert found["undelivered"] == 7 and found["warnings"] == [
        "one of the store's",
        "bookings that wait for the store: 7",
    ]


def test_very_many_sessions_are_a_warning() -> None:
    """With their number; those of the budgets below count as well."""
    assert "100,001 sessions" in diagnosis(Facts("memory", "memory"), 0, 100_001)["warnings"][0]
    budget = Budget("$5")
    sessions = [budget.session(), budget.child("alice").session(), budget.child("alice").session()]
    for session in sessions:
        session.reserve(cost="$1").settle(cost="$1")
    assert budget.doctor()["sessions"] == 3


def test_a_layout_and_a_size_are_told(tmp_path: Path) -> None:
    """Of a store that has them; and nothing is said of a ledger that has lost data but that."""
    path = tmp_path / "budget.db"
    budget = Budget("$5", store=file_url(path))
    budget.session().reserve(cost="$1").settle(cost="$1")
    found = budget.doctor()
    assert (found["layout"], found["sessions"]) == (3, 1) and found["bytes"] > 10_000
    path.unlink()
    found = budget.doctor()
    assert found["sessions"] is None and "lost data" in found["warnings"][0]

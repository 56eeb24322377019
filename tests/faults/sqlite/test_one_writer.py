"""Other programs write into the file as well: none of them does between the first read and the last write of a step."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bursar import Budget
from bursar.store.sqlite import open_sqlite
from bursar.testing import ManualClock

from ...files import file_url


class Intruder(ManualClock):
    """Another program tries to write when a step, which has read by then, asks for the time."""

    path: Path | None = None
    refused = 0

    def now(self) -> float:
        if self.path is not None:
            with closing(sqlite3.connect(self.path, timeout=0, isolation_level=None)) as other:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("BEGIN IMMEDIATE")
                self.refused += 1
        return super().now()


def test_nobody_else_writes_within_a_step(tmp_path: Path) -> None:
    """A step locks the file before it reads, so that what it decides on is still so when it writes."""
    path, clock = tmp_path / "ledger.db", Intruder()
    session = Budget("$1", store=open_sqlite(file_url(path), clock)).session()
    session.reserve(cost="$0.10").release()
    clock.path = path
    session.reserve(cost="$0.20").settle(cost="$0.20")
    assert clock.refused >= 2

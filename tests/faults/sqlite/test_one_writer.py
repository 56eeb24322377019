"""Other programs write into the file as well: none of them does between the first read and the last write of a step."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bursar import Budget, StoreUnavailable
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


class Meanwhile(ManualClock):
    """Another store asks for something when a step, which has locked the file by then, asks for the time."""

    ask: Callable[[], object] | None = None
    answers: tuple[object, ...] = ()

    def now(self) -> float:
        if self.ask is not None:
            ask, self.ask = self.ask, None
            try:
                self.answers += (ask(),)
            except StoreUnavailable as error:
                self.answers += (error,)
        return super().now()


def test_a_step_of_another_process_holds_up_who_writes_and_not_who_reads(tmp_path: Path) -> None:
    """A report sees the file as it was before the step that goes on; a reserve waits for its end, here in vain."""
    path, clock = tmp_path / "ledger.db", Meanwhile()
    budget = Budget("$1", store=open_sqlite(file_url(path), clock))
    session = budget.session()
    session.reserve(cost="$0.10").settle(cost="$0.10")
    other = Budget("$1", store=open_sqlite(file_url(path, timeout="0.2s"), ManualClock()))
    beside = other.session()
    assert float(other.spent) == 0.10
    clock.ask = lambda: (float(other.spent), beside.would_exceed("$0.80"), other.report()["sessions"])
    session.reserve(cost="$0.20").settle(cost="$0.20")
    clock.ask = lambda: beside.reserve(cost="$0.10")
    session.reserve(cost="$0.20").settle(cost="$0.20")
    answer, refused = clock.answers
    assert answer == (0.10, False, 1)
    assert isinstance(refused, StoreUnavailable) and "another process kept it locked" in str(refused)
    assert float(other.spent) == 0.50


def test_what_is_due_is_booked_by_a_read(tmp_path: Path) -> None:
    """A lease that is over has to be booked before anything is read: such a read takes its turn among those who write."""
    clock = ManualClock()
    store = open_sqlite(file_url(tmp_path / "ledger.db"), clock)
    budget = Budget("$1", store=store, lease="60s")
    hold = budget.session().reserve(cost="$0.30")
    assert float(budget.spent) == 0
    clock.advance(61)
    assert float(budget.spent) == 0.30
    hold.settle(cost="$0.10")
    assert float(budget.spent) == 0.10
    assert budget.audit() == ()

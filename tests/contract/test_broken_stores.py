"""The promises are worth something: stores that break one are found out."""

from __future__ import annotations

from typing import Any

import pytest

from bursar import HoldClosed, MemoryStore
from bursar.amounts import NOTHING
from bursar.store.base import Booked, Entry, Granted, Path, Refused, StalePeriod
from bursar.store.books import Outcome, Record
from bursar.store.lanes import Lane
from bursar.store.plan import Plan
from bursar.testing import ManualClock, StoreContract

from .restarting import Restarting


class Generous(MemoryStore):
    """Looks at no limit."""

    def _refresh(self, lane: Lane, entry: Entry, now_ms: int) -> None:
        lane.rules = []


class Forgetful(MemoryStore):
    """A second settle of the same hold is a new one."""

    def settle(self, entry: Entry, *terms: Any) -> Booked | StalePeriod:
        self._records._by_id.pop(entry.id, None)
        return super().settle(entry, *terms)


class Hasty(MemoryStore):
    """Gives back what a lease leaves behind."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        hasten(self)


def hasten(store: MemoryStore) -> None:
    """Let it give back what a lease leaves behind."""
    book = store._records.close

    def close(plan: Plan, record: Record, outcome: Outcome, now_ms: int) -> None:
        late = outcome.state == "in_doubt" and outcome.at_ms == record.lease_ms
        book(plan, record, outcome._replace(booked=NOTHING) if late else outcome, now_ms)

    store._records.close = close  # type: ignore[method-assign]


class Deaf(MemoryStore):
    """Lets a late reserve through although its release came first."""

    def release(self, id: str, path: Path, tally: Any) -> None:
        if self._records.get(id) is not None:
            super().release(id, path, tally)


class Doubling(MemoryStore):
    """A repeated reserve holds again."""

    def reserve(self, entry: Entry, *more: Any) -> Granted | Refused | StalePeriod:
        self._records._by_id.pop(entry.id, None)
        return super().reserve(entry, *more)


class Talkative(MemoryStore):
    """Tells a fraction whenever it is reached."""

    def book(self, entry: Entry, *terms: Any) -> Booked | StalePeriod:
        for account in entry.path:
            if account.key in self._accounts:
                self._accounts[account.key].marks = {}
        return super().book(entry, *terms)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (Generous, "test_a_reserve_fits_to_the_last_nano_and_not_beyond"),
        (Generous, "test_threads_never_pass_a_limit_together"),
        (Forgetful, "test_a_settle_is_final"),
        (Hasty, "test_a_hold_whose_lease_ends_is_booked_at_its_worst"),
        (Deaf, "test_a_release_that_comes_first_refuses_its_reserve"),
        (Doubling, "test_a_repeated_reserve_is_applied_once"),
        (Generous, "test_a_rolling_window_forgets_by_its_age"),
        (Restarting, "test_a_rolling_window_forgets_by_its_age"),
        (Talkative, "test_fractions_of_a_limit_are_told_once_a_period"),
    ],
)
def test_a_store_that_breaks_a_promise_fails_its_test(broken: type[MemoryStore], promise: str) -> None:
    """The same test passes for the sound store, and not for the broken one."""
    outcomes = []
    for kind in (MemoryStore, broken):

        class Suite(StoreContract):
            store_class = kind

            def open_store(self, clock: ManualClock) -> MemoryStore:
                return self.store_class(clock)

        suite = Suite()
        suite.setup_method()
        try:
            getattr(suite, promise)()
        except (AssertionError, HoldClosed):
            outcomes.append("fails")
        else:
            outcomes.append("passes")
    assert outcomes == ["passes", "fails"]

"""The promises are worth something: stores that break one are found out."""

from __future__ import annotations

from typing import Any

import pytest

from bursar import HoldClosed, MemoryStore
from bursar.amounts import NOTHING, Amounts
from bursar.store.base import Booked, Entry, Granted, Path, Refused
from bursar.testing import ManualClock, StoreContract


class Generous(MemoryStore):
    """Looks at no limit."""

    def _grant(self, accounts: Any, entry: Entry, minimum: Amounts) -> Amounts | Refused:
        return entry.amounts


class Forgetful(MemoryStore):
    """A second settle of the same hold is a new one."""

    def settle(self, entry: Entry) -> Booked:
        self._records.pop(entry.id, None)
        return super().settle(entry)


class Hasty(MemoryStore):
    """Gives back what a lease leaves behind."""

    def _expire(self, now_ms: int) -> None:
        for record in self._records.values():
            if record.outcome.state == "reserved" and record.lease_ms <= now_ms:
                record.held = NOTHING
        super()._expire(now_ms)


class Deaf(MemoryStore):
    """Lets a late reserve through although its release came first."""

    def release(self, id: str, path: Path, tally: Any) -> None:
        if id in self._records:
            super().release(id, path, tally)


class Doubling(MemoryStore):
    """A repeated reserve holds again."""

    def reserve(self, entry: Entry, *more: Any) -> Granted | Refused:
        self._records.pop(entry.id, None)
        return super().reserve(entry, *more)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (Generous, "test_a_reserve_fits_to_the_last_nano_and_not_beyond"),
        (Generous, "test_threads_never_pass_a_limit_together"),
        (Forgetful, "test_a_settle_is_final"),
        (Hasty, "test_a_hold_whose_lease_ends_is_booked_at_its_worst"),
        (Deaf, "test_a_release_that_comes_first_refuses_its_reserve"),
        (Doubling, "test_a_repeated_reserve_is_applied_once"),
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

"""The promises are worth something: verbs that break one are found out, wherever the balances are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bursar import HoldClosed
from bursar.store import Store
from bursar.store.engine.paths import CallPath
from bursar.store.engine.plan import Plan
from bursar.store.engine.records import Outcome, Record
from bursar.store.engine.verbs import Verbs
from bursar.store.entry import Entry, Path
from bursar.store.memory import MemoryStore
from bursar.store.results import Booked, Granted, Refused, StalePeriod
from bursar.store.sqlite import open_sqlite
from bursar.testing import ManualClock, StoreContract
from bursar.values.amounts import NOTHING

from ..files import file_url
from .restarting import RestartingVerbs


class Generous(Verbs):
    """Looks at no limit."""

    def _refresh(self, call_path: CallPath, entry: Entry, now_ms: int) -> None:
        call_path.rules = []


class Forgetful(Verbs):
    """A second settle of the same hold is a new one."""

    def settle(self, now_ms: int, entry: Entry, *terms: Any) -> Booked | StalePeriod:
        self.records._by_id.pop(entry.id, None)
        return super().settle(now_ms, entry, *terms)


class Hasty(Verbs):
    """Gives back what a lease leaves behind."""

    def __init__(self) -> None:
        super().__init__()
        book = self.records.close

        def close(plan: Plan, record: Record, outcome: Outcome, now_ms: int) -> None:
            late = outcome.state == "in_doubt" and outcome.at_ms == record.lease_ms
            book(plan, record, outcome._replace(booked=NOTHING) if late else outcome, now_ms)

        self.records.close = close  # type: ignore[method-assign]


class Deaf(Verbs):
    """Lets a late reserve through although its release came first."""

    def release(self, now_ms: int, id: str, path: Path, tally: Any) -> None:
        if self.records.get(id) is not None:
            super().release(now_ms, id, path, tally)


class Doubling(Verbs):
    """A repeated reserve holds again."""

    def reserve(self, now_ms: int, entry: Entry, *more: Any) -> Granted | Refused | StalePeriod:
        self.records._by_id.pop(entry.id, None)
        return super().reserve(now_ms, entry, *more)


class Talkative(Verbs):
    """Tells a fraction whenever it is reached."""

    def book(self, now_ms: int, entry: Entry, *terms: Any) -> Booked | StalePeriod:
        for account in entry.path:
            if account.key in self.accounts:
                self.accounts[account.key].marks = {}
        return super().book(now_ms, entry, *terms)


BROKEN = [
    (Generous, "test_a_reserve_fits_to_the_last_nano_and_not_beyond"),
    (Generous, "test_threads_never_pass_a_limit_together"),
    (Forgetful, "test_a_settle_is_final"),
    (Hasty, "test_a_hold_whose_lease_ends_is_booked_at_its_worst"),
    (Deaf, "test_a_release_that_comes_first_refuses_its_reserve"),
    (Doubling, "test_a_repeated_reserve_is_applied_once"),
    (Generous, "test_a_rolling_window_forgets_by_its_age"),
    (RestartingVerbs, "test_a_rolling_window_forgets_by_its_age"),
    (Talkative, "test_fractions_of_a_limit_are_told_once_a_period"),
]


MAKERS: dict[str, Callable[[ManualClock], Store]] = {
    "bursar.store.memory": MemoryStore,
    "bursar.store.sqlite.store": lambda clock: open_sqlite(file_url(), clock),
}


@pytest.mark.parametrize("where", MAKERS)
@pytest.mark.parametrize(("broken", "promise"), BROKEN)
def test_a_store_that_breaks_a_promise_fails_its_test(
    broken: type[Verbs], promise: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same test passes with the sound verbs, and not with the broken ones."""

    class Suite(StoreContract):
        def open_store(self, clock: ManualClock) -> Store:
            return MAKERS[where](clock)

    outcomes = []
    for verbs in (Verbs, broken):
        monkeypatch.setattr(f"{where}.Verbs", verbs)
        suite = Suite()
        suite.setup_method()
        try:
            getattr(suite, promise)()
        except (AssertionError, HoldClosed):
            outcomes.append("fails")
        else:
            outcomes.append("passes")
    assert outcomes == ["passes", "fails"]

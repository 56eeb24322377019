"""Whoever reads a budget lets other threads of the process go on in between, however much there is to read."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from bursar.reports.events import Event
from bursar.reports.history import build_history
from bursar.reports.report import build_report, summary, tree
from bursar.runtime import sharing
from bursar.store import MemoryStore
from bursar.store.views import EMPTY_VIEW, DayView, HistoryView, Snapshot
from bursar.values.amounts import Amounts
from bursar.values.call import Call
from bursar.values.window import DAY_MS

from .crowd import fill, readings

MANY = 2_000
MOST = 3_000  # calls of Python between two pauses


class Work:
    """In place of the time: a microsecond a call of Python.

    Attributes:
        calls: made so far.
        most: between two pauses.
    """

    def __init__(self) -> None:
        self.calls = self.most = self.since = 0

    def tick(self, *_: object) -> None:
        self.calls += 1

    def perf_counter(self) -> float:
        return self.calls / 10**6

    def sleep(self, _: float) -> None:
        self.most, self.since = max(self.most, self.calls - self.since), self.calls

    def between_pauses(self, act: Callable[[], object]) -> int:
        """The most calls that were made in one go."""
        sys.setprofile(self.tick)
        act()
        sys.setprofile(None)
        self.sleep(0)
        return self.most


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Counted instead of timed."""
    work = Work()
    monkeypatch.setattr(sharing, "perf_counter", work.perf_counter)
    monkeypatch.setattr(sharing, "sleep", work.sleep)
    monkeypatch.setattr(sharing, "_since_s", 0.0)
    return work


READ = [name for name, _ in readings(MemoryStore())]


@pytest.mark.parametrize("name", READ)
def test_a_reader_of_many_sessions_pauses_in_between(name: str, work: Work) -> None:
    """On the memory store, whatever is read: of a thousand sessions, a few are read or shown at once."""
    store = MemoryStore()
    fill(store, MANY)
    act = dict(readings(store))[name]
    act()  # the first time it may make accounts
    assert 0 < work.between_pauses(act) < MOST


VIEWS = [replace(EMPTY_VIEW, key=f"default/{number}", spent=Amounts(number)) for number in range(MANY)]
ROOT = replace(EMPTY_VIEW, key="default")
SNAPSHOT = Snapshot(0, {view.key: view for view in (ROOT, *VIEWS)})
DAYS = tuple(DayView(day, Amounts(day), {"gpt-4o": Amounts(day)}, {}, {}) for day in range(400))
BUILT: dict[str, Callable[[], object]] = {
    "report": lambda: build_report(SNAPSHOT, (ROOT,), events=(), terminated_by=None, durability="memory"),
    "events": lambda: build_report(
        Snapshot(0, {}), (ROOT,), events=EVENTS, terminated_by=None, durability="memory"
    ),
    "tree": lambda: tree(SNAPSHOT, (ROOT,)),
    "summary": lambda: summary(SNAPSHOT, (ROOT,)),
    "history": lambda: build_history(HISTORY, "default", 400, "UTC"),
}
EVENTS = [Event("clamp", Call(str(number), "model"), number) for number in range(MANY)]
HISTORY = HistoryView(399 * DAY_MS, 0, dict.fromkeys(("default", "default/a", "default/b"), DAYS))


@pytest.mark.parametrize("name", BUILT)
def test_what_is_shown_is_built_with_pauses(name: str, work: Work) -> None:
    """Of any store: of thousands of budgets, events or days, some are made fit for people at once."""
    assert 0 < work.between_pauses(BUILT[name]) < MOST < work.calls


def test_short_work_does_not_pause(work: Work) -> None:
    """A pause costs more than the work of some items; and none is left out, or comes twice."""
    assert list(sharing.in_turns(range(MANY))) == list(range(MANY)) and work.since == 0
    work.calls = 100
    assert list(sharing.in_turns("abc")) == ["a", "b", "c"] and work.since == 0
    work.calls = 101
    assert list(sharing.in_turns("abc")) == ["a", "b", "c"] and work.since == 101


def test_another_thread_goes_on_in_a_pause() -> None:
    """Also where Python would let this one compute for a minute."""
    gone_on: list[bool] = []
    gate = threading.Event()
    other = threading.Thread(target=lambda: gone_on.append(gate.wait()))
    other.start()
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        gate.set()
        for _ in range(10_000):
            sharing.let_others_go()
            if gone_on:
                break
    finally:
        sys.setswitchinterval(before)
    other.join()
    assert gone_on == [True]

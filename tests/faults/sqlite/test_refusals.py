"""A file that cannot be used: our own error in time, no part of a step, and no booking lost."""

from __future__ import annotations

import fcntl
import os
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, StoreError, StoreUnavailable
from bursar.store import Amounts, Entry, Subject
from bursar.store.sqlite import SqliteStore
from bursar.store.sqlite import file as file_module

from ...files import file_url

TIMEOUT_S = 0.3


def store_of(budget: Budget) -> SqliteStore:
    """The store of a budget."""
    store = budget._ledger.store
    assert isinstance(store, SqliteStore)
    return store


def until(true: Callable[[], bool]) -> None:
    """Wait for something that happens in the background."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def plain(path: Path) -> closing[sqlite3.Connection]:
    """Another program that uses the file."""
    return closing(sqlite3.connect(path, isolation_level=None))


def settled(path: Path) -> None:
    """Everything is in the file itself, and nothing in its log."""
    with plain(path) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def locked(budget: Budget, path: Path) -> Iterator[None]:
    """Another program begins a transaction, and does not end it."""
    with plain(path) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def held_by_a_process(budget: Budget, path: Path) -> Iterator[None]:
    """Somebody has the turn, and does not give it back."""
    with Path(f"{path}-lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_only(budget: Budget, path: Path) -> Iterator[None]:
    """The rights to write are taken away; root is somebody else for that time."""
    settled(path)
    store_of(budget)._file._drop()
    files = [path, Path(f"{path}-lock")]
    for file in (*files, *path.parent.glob(f"{path.name}-*")):
        file.chmod(0o444)
    path.parent.chmod(0o555)
    root = os.geteuid() == 0
    for folder in path.parents[1:4] if root else ():
        folder.chmod(folder.stat().st_mode | 0o011)  # the way to it stays open
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        path.parent.chmod(0o700)
        for file in (*files, *path.parent.glob(f"{path.name}-*")):
            file.chmod(0o600)


def no_space(budget: Budget, path: Path) -> Iterator[None]:
    """Files can grow no more; the system says so with another error than a full disk, and as suddenly."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    settled(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def damaged(budget: Budget, path: Path) -> Iterator[None]:
    """Half of the pages are overwritten."""
    settled(path)
    store_of(budget)._file._drop()
    sound = path.read_bytes()
    path.write_bytes(sound[:4096] + b"\xa5" * (len(sound) - 4096))
    yield
    path.write_bytes(sound)


def cut_short(budget: Budget, path: Path) -> Iterator[None]:
    """The second half of the file is gone."""
    settled(path)
    store_of(budget)._file._drop()
    sound = path.read_bytes()
    path.write_bytes(sound[: len(sound) // 2 // 4096 * 4096])
    yield
    path.write_bytes(sound)


def something_else(budget: Budget, path: Path) -> Iterator[None]:
    """There is a text of that name."""
    settled(path)
    store_of(budget)._file._drop()
    sound = path.read_bytes()
    path.write_bytes(b"Dear diary, " * 1000)
    yield
    path.write_bytes(sound)


def newer(budget: Budget, path: Path) -> Iterator[None]:
    """A later version of the library was here, while this one has the file open."""
    with plain(path) as other:
        layout = other.execute("PRAGMA user_version").fetchone()[0]
        other.execute("PRAGMA user_version = 99")
        yield
        other.execute(f"PRAGMA user_version = {layout}")


def of_another_program(budget: Budget, path: Path) -> Iterator[None]:
    """It is a database, and not ours."""
    with plain(path) as other:
        mark = other.execute("PRAGMA application_id").fetchone()[0]
        other.execute("PRAGMA application_id = 7")
        store_of(budget)._file._drop()
        yield
        other.execute(f"PRAGMA application_id = {mark}")


FAULTS: dict[str, tuple[Any, str]] = {
    "locked": (locked, "locked by another program"),
    "held by a process": (held_by_a_process, "another process kept it locked"),
    "read-only": (read_only, "cannot be"),
    "no space": (no_space, "cannot be read or written|disk is full"),
    "damaged": (damaged, "is damaged"),
    "cut short": (cut_short, "is damaged"),
    "something else": (something_else, "is not a database"),
    "newer": (newer, "newer bursar"),
    "of another program": (of_another_program, "another program"),
}


@pytest.mark.alone
@pytest.mark.parametrize("fault", [*FAULTS, None])
def test_a_fault_refuses_calls_and_keeps_bookings(fault: str | None, tmp_path: Path) -> None:
    """Refused in time with the name of the file; settle, release and doubt wait, and land when it is over.

    Without a fault the same calls go through at once.
    """
    path = tmp_path / "of its own" / "budget.db"
    budget = Budget("$1/total", store=file_url(path, timeout=TIMEOUT_S), max_repeated_calls=None)
    session = budget.session("$1")
    settles, released, doubtful = (session.reserve(cost="$0.20") for _ in range(3))
    break_it, says = FAULTS[fault] if fault else (None, "")
    with contextmanager(break_it)(budget, path) if break_it else plain(path):
        if break_it:
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match=says) as error:
                session.reserve(cost="$0.10")
            assert time.monotonic() - began < TIMEOUT_S + 0.3
            assert str(path) in str(error.value) and "make no call" in str(error.value)
        else:
            session.reserve(cost="$0.10").release()
        assert float(settles.settle(cost="$0.15").cost) == 0.15
        released.release()
        doubtful.settle_unknown()
        assert store_of(budget).undelivered == (3 if break_it else 0)
    until(lambda: store_of(budget).undelivered == 0)
    assert (float(budget.spent), budget.reserved) == (0.35, 0)
    assert budget.audit() == ()
    with pytest.raises(BudgetExceeded):
        session.reserve(cost="$0.66")
    session.reserve(cost="$0.65")


def test_a_full_disk_leaves_whole_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite may use no more pages: what was granted is held, what was refused is not, and nothing in between."""
    path = tmp_path / "budget.db"
    budget = Budget(store=file_url(path, timeout=TIMEOUT_S), max_repeated_calls=None)
    session = budget.session()
    session.reserve(cost="$0.01").settle(cost="$0.01")
    with plain(path) as other:
        pages = other.execute("PRAGMA page_count").fetchone()[0]
    connect = sqlite3.connect

    def small(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.execute(f"PRAGMA max_page_count = {pages + 3}")
        return connection

    store_of(budget)._file._drop()
    monkeypatch.setattr(file_module.sqlite3, "connect", small)
    granted = 0
    with pytest.raises(StoreUnavailable, match="disk is full"):
        for _ in range(1000):
            session.reserve(cost="$0.01").keep()
            granted += 1
    assert granted > 5
    monkeypatch.undo()
    store_of(budget)._file._drop()
    assert round(float(budget.reserved) * 100) == granted
    assert budget.audit() == ()
    session.reserve(cost="$0.01").settle(cost="$0.01")
    with plain(path) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_amount_that_no_file_can_hold_is_refused_whole(tmp_path: Path) -> None:
    """Neither past 2^63, nor a fraction: no part of the booking is made."""
    path = tmp_path / "budget.db"
    budget = Budget(store=file_url(path))
    budget.session().reserve(cost="$0.10").settle(cost="$0.10")
    before = budget.summary()
    with plain(path) as other:
        other.execute("UPDATE accounts SET usd = 9223372036854775807 WHERE key = 'default'")
        with pytest.raises(StoreError, match="2\\^63"):
            budget.correct("$1", "too much")
        found = {finding.what: finding for finding in budget.audit()}
        assert found.keys() == {"spent", "history"}
        assert (found["spent"].account, found["spent"].records.usd) == ("default", 100_000_000)
        other.execute("UPDATE accounts SET usd = 100000000 WHERE key = 'default'")
    assert budget.summary() == before and budget.audit() == ()


def test_too_many_waiting_bookings_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the caller hears of it, and the lease books the hold at its worst."""
    monkeypatch.setattr("bursar.store.outbox.outbox._MOST", 1)
    path = tmp_path / "budget.db"
    budget = Budget("$1/total", store=file_url(path, timeout="0.1s"))
    first, second = (budget.session("$1").reserve(cost="$0.10") for _ in range(2))
    with contextmanager(locked)(budget, path):
        first.settle(cost="$0.05")
        with pytest.raises(StoreUnavailable):
            second.settle(cost="$0.05")


def test_what_waits_is_delivered_before_the_next_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever asks, not only by the thread in the background."""
    monkeypatch.setattr("bursar.store.outbox.outbox._FIRST_PAUSE_S", 60)
    path = tmp_path / "budget.db"
    budget = Budget("$1/total", "$1/day", store=file_url(path, timeout="0.1s"))
    budget.session("$1").reserve(cost="$0.10").settle(cost="$0.10")
    with contextmanager(locked)(budget, path):
        budget.session("$1").record("gpt-4o", 1000, 100)  # over a limit of today, as it lands
        assert store_of(budget).undelivered == 1
    assert float(budget.spent) > 0.10 and store_of(budget).undelivered == 0


def test_a_spool_outlives_the_process(tmp_path: Path) -> None:
    """What one store could not deliver, another one on the same file does."""
    path, spool = tmp_path / "budget.db", tmp_path / "spool.jsonl"
    url = file_url(path, timeout="0.1s", spool=spool)
    budget = Budget("$1/total", store=url)
    hold = budget.session("$1").reserve(cost="$0.50")
    with contextmanager(locked)(budget, path):
        hold.settle(cost="$0.20")
        store_of(budget)._outbox.renew()  # as if the process had ended
    again = Budget("$1/total", store=url)
    until(lambda: float(again.spent) == 0.2 and store_of(again).undelivered == 0)
    assert again.reserved == 0 and again.audit() == ()


def test_a_fraction_of_a_nano_dollar_is_no_amount(tmp_path: Path) -> None:
    """A strict table takes whole numbers only; a plugin that hands over anything else hears of it."""
    budget = Budget(store=file_url(tmp_path / "budget.db"))
    store, path = store_of(budget), budget._path
    for amount, fits in ((1, True), (0.5, False)):
        entry = Entry(f"b{amount}", path, Subject("model"), Amounts(amount, 0, 1))  # type: ignore[arg-type]
        if fits:
            store.book(entry)
        else:
            with pytest.raises(StoreError, match="cannot hold such a number"):
                store.book(entry)
    assert store.read("default").accounts["default"].spent == Amounts(1, 0, 1) and budget.audit() == ()


@pytest.mark.parametrize("works", [True, False])
def test_a_file_system_without_shared_memory_is_refused(
    tmp_path: Path, works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says which journal it has; with another one than it was asked for, processes would stand in each other's way."""

    class Flat(sqlite3.Connection):
        def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
            return super().execute(text if works else text.replace("= WAL", "= DELETE"), *values)

    connect = sqlite3.connect
    monkeypatch.setattr(file_module.sqlite3, "connect", lambda *a, **o: connect(*a, factory=Flat, **o))
    budget = Budget("$1/total", store=file_url(tmp_path / "budget.db"))
    if works:
        budget.session("$1").reserve(cost="$0.10").settle()
    else:
        with pytest.raises(StoreUnavailable, match="write-ahead log"):
            budget.session("$1").reserve(cost="$0.10")


def test_a_cancelled_reserve_that_was_paid_is_not_given_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else settled it in the meantime: that stays, and the log says so."""
    budget = Budget("$1/total", store=file_url(tmp_path / "budget.db"))
    store, path = store_of(budget), budget._path
    entry, job = Entry("r", path, Subject("model"), Amounts(5, 0, 1)), Future[Any]()
    job.set_result(store.reserve(entry, entry.amounts))
    store.settle(entry)
    store._withdraw(job, entry)
    assert "could not be given back" in caplog.text
    assert store.read("default").accounts["default"].spent.usd == 5

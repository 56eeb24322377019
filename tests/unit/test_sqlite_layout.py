"""What is in a file: tables to be read by people, versions, and no more work the more there is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bursar import Budget, Limit, StoreUnavailable
from bursar.store import Amounts, Booked, Entry, Subject
from bursar.store.sqlite import SqliteStore, schema
from bursar.store.sqlite import save as save_module
from bursar.store.sqlite import store as sqlite_store
from bursar.testing import ManualClock

from ..files import file_url


def query(path: Path, text: str) -> list[tuple[object, ...]]:
    """What a person with the sqlite3 shell sees."""
    with closing(sqlite3.connect(path)) as shell:
        return shell.execute(text).fetchall()


def busy(path: Path, clock: ManualClock | None = None, **options: object) -> Budget:
    """A budget with limits of all kinds."""
    limits = ("$5/total", "$1/24h", "$2/day", Limit("$3", model="gpt-4o"), Limit("9 calls/1h", tool="*"))
    url = file_url(path, synchronous="normal")
    return Budget(*limits, store=url, max_velocity="$4/min", clock=clock, **options)  # type: ignore[arg-type]


def test_every_table_is_strict_and_money_is_a_whole_number(tmp_path: Path) -> None:
    """What is added up is INTEGER; a fraction cannot be written, not even by hand."""
    path = tmp_path / "budget.db"
    busy(path).session().reserve(cost="$0.25").settle(cost="$0.20")
    strict = dict(query(path, "SELECT name, strict FROM pragma_table_list WHERE type = 'table'"))
    ours = {name for name in strict if not str(name).startswith("sqlite_")}
    assert len(ours) == 14 and all(strict[name] for name in ours)
    for table in ("accounts", "subjects", "buckets", "windows", "records", "tallies", "limits", "histories"):
        kinds = dict(query(path, f"SELECT name, type FROM pragma_table_info('{table}')"))
        money = [name for name in kinds if str(name).endswith(("usd", "tokens", "calls", "spent", "amount"))]
        assert money and {kinds[name] for name in money} == {"INTEGER"}
    with closing(sqlite3.connect(path)) as shell, pytest.raises(sqlite3.IntegrityError, match="REAL"):
        shell.execute("UPDATE accounts SET usd = 0.5")


def test_balances_are_read_with_the_shell(tmp_path: Path) -> None:
    """One row an account, a limit, a record, a line of the journal."""
    path = tmp_path / "budget.db"
    budget = busy(path)
    with budget.child("alice").session(id="s") as session:
        session.reserve(cost="$0.25", tool="search").settle(cost="$0.20")
        session.reserve(cost="$0.10").keep()
    budget.trip("enough \ud800")
    assert query(path, "SELECT key, usd, reserved_usd FROM accounts ORDER BY number") == [
        ("default", 200_000_000, 100_000_000),
        ("default/alice", 200_000_000, 100_000_000),
        ("default/alice/@s", 200_000_000, 100_000_000),
    ]
    assert query(path, "SELECT what, over, amount FROM limits ORDER BY place")[:2] == [
        ("usd;total;;;", "total", 5_000_000_000),
        ("usd;86400000ms;;;", "24h", 1_000_000_000),
    ]
    assert query(path, "SELECT state, booked_usd FROM records ORDER BY state") == [
        ("reserved", 0),
        ("settled", 200_000_000),
    ]
    assert query(path, "SELECT what, detail FROM journal") == [("trip", "enough \\ud800")]
    assert query(
        path,
        "SELECT sum(buckets.spent) FROM buckets JOIN windows USING (part) WHERE of = 'limit' AND what GLOB 'usd*'",
    ) == [(200_000_000,)]


def test_the_journal_keeps_its_newest_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no more of them than it may."""
    monkeypatch.setattr(save_module, "_JOURNAL", 3)
    path = tmp_path / "budget.db"
    budget = busy(path)
    for number in range(5):
        budget.reset(f"day {number}")
    assert query(path, "SELECT detail FROM journal") == [("day 2",), ("day 3",), ("day 4",)]


def test_an_older_layout_is_brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, once, by whoever comes first; the older program is then refused, and says what to do."""
    path = tmp_path / "budget.db"
    budget = busy(path)
    budget.session().reserve(cost="$0.25").settle(cost="$0.20")
    steps = (
        "ALTER TABLE accounts ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'",
        "CREATE TABLE more (a) STRICT",
    )
    monkeypatch.setattr(schema, "LAYOUT", 4)
    monkeypatch.setattr(schema, "MIGRATIONS", {3: steps})
    with pytest.raises(StoreUnavailable, match="unknown datatype|missing datatype"):
        _ = busy(path).spent
    assert query(path, "PRAGMA user_version") == [(3,)]
    assert "colour" not in str(query(path, "SELECT sql FROM sqlite_master"))
    monkeypatch.setattr(schema, "MIGRATIONS", {3: steps[:1]})
    upgraded = [busy(path) for _ in range(2)]
    for other in upgraded:
        other.session().reserve(cost="$0.10").settle(cost="$0.10")
    assert query(path, "PRAGMA user_version") == [(4,)]
    assert query(path, "SELECT DISTINCT colour FROM accounts") == [("grey",)]
    assert float(upgraded[1].spent) == 0.4 and upgraded[1].audit() == ()
    monkeypatch.undo()
    with pytest.raises(StoreUnavailable, match="newer bursar.*upgrade"):
        _ = busy(path).spent


def steps_of(store: SqliteStore, act: Callable[[], object]) -> int:
    """How many instructions SQLite carries out meanwhile."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    connection = store._file._connection
    assert connection is not None
    connection.set_progress_handler(tick, 1)
    act()
    connection.set_progress_handler(None, 1)
    return count


def test_a_call_costs_the_same_among_thousands(tmp_path: Path) -> None:
    """Sessions, tenants, finished calls and calls of the last minute: SQLite does no more for the next one."""
    path, clock = tmp_path / "budget.db", ManualClock(1_750_000_000)
    budget = busy(path, clock, max_repeated_calls=10)
    budget.set_limit("$4000000/total")
    for text in ("$1/24h", "$2/day"):
        budget.drop_limit(text)
    store = budget._ledger.store
    assert isinstance(store, SqliteStore)

    def pair(number: int) -> None:
        session = budget.child(f"tenant {number % 50}").session(id=f"s{number % 300}")
        hold = session.reserve(
            "gpt-4o", messages=[{"role": "user", "content": str(number)}], max_output_tokens=9
        )
        hold.settle(cost="0.0001")

    pair(0)
    few = [steps_of(store, lambda number=number: pair(number)) for number in (10_000, 20_000)]  # type: ignore[misc]
    for number in range(1, 900):
        pair(number)
    many = [steps_of(store, lambda number=number: pair(number)) for number in (10_000, 20_000)]  # type: ignore[misc]
    assert max(many) < 1.25 * min(few)
    assert query(path, "SELECT count(*) FROM records")[0][0] > 900


def test_finished_calls_are_folded_after_a_day(tmp_path: Path) -> None:
    """Their rows go, a few with every step; what they booked stays, and a settle that comes later still is a new charge."""
    path, clock = tmp_path / "budget.db", ManualClock(1_750_000_000)
    budget = busy(path, clock)
    session = budget.session(id="s")
    for number in range(40):
        session.reserve(cost="$0.01", key=str(number)).settle(cost="$0.01")
    late = budget.session(id="t").reserve(cost="$0.10")
    clock.advance(86_401)
    for _ in range(6):
        assert budget.audit() == ()
    assert query(path, "SELECT count(*), min(state) FROM records") == [(1, "in_doubt")]
    assert float(budget.spent) == pytest.approx(0.5)
    late.settle(cost="$0.05")
    assert float(budget.spent) == pytest.approx(0.45)
    clock.advance(86_401)
    assert budget.audit() == () and query(path, "SELECT count(*) FROM records") == [(0,)]
    late.settle(cost="$0.05")
    assert budget.report()["overruns"]["count"] == 1 and float(budget.spent) == pytest.approx(0.5)


def test_a_limit_that_is_set_anew_counts_from_zero(tmp_path: Path) -> None:
    """A hold from before it was dropped settles into the old window, which nobody looks at any more."""
    path, clock = tmp_path / "budget.db", ManualClock(1_750_000_000)
    budget = busy(path, clock)
    hold = budget.session().reserve(cost="$0.90")
    budget.drop_limit("$1/24h")
    budget.set_limit("$1/24h")
    with budget.session().reserve(cost="$1") as other:
        hold.settle(cost="$0.90")
        other.settle(cost="$0.95")
    (view,) = (limit for limit in budget.report()["limits"] if limit["limit"] == "$1/24h")
    assert view["spent"] == 0.95 and budget.audit() == ()


def test_a_record_may_outlive_its_session(tmp_path: Path) -> None:
    """A repeated settle of a call whose session was dropped books nothing again, and folds into what is left."""
    path, clock = tmp_path / "budget.db", ManualClock(1_750_000_000)
    budget = busy(path, clock, lease="30d")
    hold = budget.session(id="s").reserve(cost="$0.90")
    clock.advance(7 * 86_400)
    assert budget.audit() == ()  # the session is looked at, and kept for what is held in it
    clock.advance(7 * 86_400 - 60)
    hold.settle(cost="$0.80")
    clock.advance(60)
    assert len(budget.audit()) == 0 and query(path, "SELECT key FROM accounts") == [("default",)]
    store = budget._ledger.store
    entry = Entry(hold.id, hold._path, Subject("tool"), Amounts(800_000_000, 0, 1))
    again = store.settle(entry)
    assert isinstance(again, Booked) and again.repeated
    clock.advance(86_400)
    for _ in range(2):
        assert budget.audit() == () and float(budget.spent) == 0.8
    assert query(path, "SELECT count(*) FROM records") == [(0,)]


def test_a_verb_about_all_trees_has_no_root() -> None:
    """Bookings that wait for one tree do not hold up what asks for all of them."""
    assert sqlite_store._root("roots", ()) == "" and sqlite_store._root("read", ("default/a",)) == "default"

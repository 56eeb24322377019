"""What a step keeps for the next one is never older than the file: whoever writes, and however a step ends."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType

import pytest

from bursar import Budget, BudgetExceeded, Session
from bursar.store import Amounts, Entry, Subject
from bursar.store.sqlite import SqliteStore, open_sqlite
from bursar.testing import ManualClock
from bursar.values.account import root_account, session_account

from ...files import file_url
from ...scale import scaled

GPT = Subject("model", ("gpt-4o",), "openai")


def budget_of(path: Path) -> Budget:
    """The budget of these tests; each has a store of its own, and with it a connection."""
    return Budget("$1/total", name="team", store=file_url(path, synchronous="normal"))


def spend(session: Session, usd: str) -> None:
    session.reserve(cost=usd).settle(cost=usd)


def fits(session: Session, usd: str) -> bool:
    with suppress(BudgetExceeded):
        session.reserve(cost=usd).release()
        return True
    return False


def in_another_process(path: Path, usd: str, of: Session) -> None:
    program = f"""
from bursar import Budget
budget = Budget("$1/total", name="team", store={file_url(path)!r})
budget.session().reserve(cost={usd!r}).settle(cost={usd!r})
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def in_another_store(path: Path, usd: str, of: Session) -> None:
    spend(budget_of(path).session(), usd)


def in_another_thread(path: Path, usd: str, of: Session) -> None:
    thread = threading.Thread(target=spend, args=(of, usd))
    thread.start()
    thread.join()


def by_hand(path: Path, usd: str, of: Session) -> None:
    """A person with a shell of SQLite, who leaves the sequence of the ledger as it is."""
    with closing(sqlite3.connect(path)) as other, other:
        nanos = int(float(usd.removeprefix("$")) * 10**9)
        other.execute("UPDATE accounts SET usd = usd + ?, folded_usd = folded_usd + ?", (nanos, nanos))


@pytest.mark.parametrize(("usd", "fit"), [("$0.85", False), ("$0.70", True)])
@pytest.mark.parametrize("elsewhere", [in_another_process, in_another_store, in_another_thread, by_hand])
def test_what_is_spent_elsewhere_counts_at_once(
    elsewhere: Callable[[Path, str, Session], None], usd: str, fit: bool, tmp_path: Path
) -> None:
    """Between two steps of one session somebody else spends: the second one sees it, and fits only beside it."""
    path = tmp_path / "budget.db"
    budget = budget_of(path)
    session = budget.session()
    spend(session, "$0.10")
    elsewhere(path, usd, session)
    assert fits(session, "$0.10") is fit
    assert float(budget.spent) == pytest.approx(0.10 + float(usd[1:]))
    assert float(budget_of(path).spent) == float(budget.spent)


@pytest.mark.parametrize(
    ("act", "fit"),
    [
        (lambda budget: None, (True, False)),
        (lambda budget: budget.reset("again"), (True, True)),
        (lambda budget: budget.set_limit("$2/total"), (True, True)),
        (lambda budget: budget.set_limit("$0.60/total"), (False, False)),
        (lambda budget: budget.trip("stop"), (False, False)),
    ],
    ids=["nothing", "reset", "raise", "lower", "trip"],
)
@pytest.mark.parametrize("elsewhere", [True, False])
def test_what_a_person_orders_holds_at_once(
    act: Callable[[Budget], object], fit: tuple[bool, bool], elsewhere: bool, tmp_path: Path
) -> None:
    """A reset, another limit, a kill switch between two steps of a session, by this process or by another store."""
    path = tmp_path / "budget.db"
    budget = budget_of(path)
    session = budget.session()
    spend(session, "$0.60")
    act(budget_of(path) if elsewhere else budget)
    assert (fits(session, "$0.30"), fits(session, "$0.70")) == fit
    assert budget.audit() == ()


def test_a_forked_child_and_its_parent_see_what_the_other_has_spent(tmp_path: Path) -> None:
    """Both go on with the session that was there before the fork; neither takes up what the parent kept."""
    program = f"""
import os
from bursar import Budget, BudgetExceeded
budget = Budget("$1/total", name="team", store={file_url(tmp_path / "budget.db")!r})
session = budget.session()
session.reserve(cost="$0.10").settle(cost="$0.10")
child = os.fork()
if child == 0:
    session.reserve(cost="$0.30").settle(cost="$0.30")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
session.reserve(cost="$0.60").release()
try:
    session.reserve(cost="$0.61")
except BudgetExceeded:
    print(float(budget.spent), budget.audit())
"""
    done = subprocess.run(
        [sys.executable, "-Wignore", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "0.4 ()\n"), done.stderr


class Interrupt:
    """A `KeyboardInterrupt` where Python delivers signals: here at the n-th begin or end of a call in a store."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if code.co_name == "<genexpr>":  # it may be about to be closed, where no exception gets out
            return
        if event in ("call", "c_return") and "/bursar/store/" in code.co_filename:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def test_an_interrupted_step_leaves_nothing_to_the_next_one(tmp_path: Path) -> None:
    """Anywhere in a reserve or a settle, before or after its commit; done once more, it has counted once."""
    path, clock = tmp_path / "budget.db", ManualClock()
    store, other = (open_sqlite(file_url(path, synchronous="normal"), clock) for _ in range(2))
    root = root_account("team", ())
    accounts = (root, session_account(root, "s", ()))
    one, tally, number, stride, left = Amounts(7, 3, 1), {"input": 3}, 0, scaled(3, 1), 0
    while left <= 0:  # until both verbs end before the interrupt comes
        entry = Entry(f"call {number}", accounts, GPT, one, tally)
        interrupt = Interrupt(1 + number * stride)
        sys.setprofile(interrupt)
        with suppress(KeyboardInterrupt):
            store.reserve(entry, one)
            store.settle(entry)
        sys.setprofile(None)
        store.reserve(entry, one)
        store.settle(entry)
        number, left = number + 1, interrupt.left
        for asked in (store, other):
            view = asked.read("team").accounts["team"]
            assert (view.spent, view.reserved) == (Amounts(7 * number, 3 * number, number), (0, 0, 0))
            assert view.tally["input"] == 3 * number and asked.audit("team") == ()
    assert number > 300 / stride  # hundreds of places


def statements(store: SqliteStore, act: Callable[[], object]) -> list[str]:
    """What SQLite is asked meanwhile."""
    found: list[str] = []
    connection = store._file._connection
    assert connection is not None
    connection.set_trace_callback(found.append)
    act()
    connection.set_trace_callback(None)
    return found


@pytest.mark.parametrize("alone", [True, False])
def test_a_step_reads_accounts_only_where_somebody_else_has_written(alone: bool, tmp_path: Path) -> None:
    """One connection after its own writes reads no account again; after those of another one it does."""
    path = tmp_path / "budget.db"
    budget = budget_of(path)
    store, session = budget._ledger.store, budget.session()
    assert isinstance(store, SqliteStore)
    spend(session, "$0.10")
    if not alone:
        spend(budget_of(path).session(), "$0.10")
    asked = statements(store, lambda: spend(session, "$0.10"))
    assert any("FROM accounts" in line for line in asked if line.startswith("SELECT")) is not alone
    assert budget.audit() == ()


def test_what_is_kept_has_a_bound(tmp_path: Path) -> None:
    """Hundreds of sessions with open holds: a few are kept; each hold is settled all the same."""
    budget = budget_of(tmp_path / "budget.db")
    store = budget._ledger.store
    assert isinstance(store, SqliteStore)
    holds, most = [], 0
    for _ in range(300):
        holds += [budget.session().reserve(cost="$0.001"), budget.session(id="one").reserve(cost="$0.001")]
        kept = store._file._kept
        most = max(most, len(kept.loaded.before) if kept is not None else 0)
    assert 10 < most <= 64
    assert float(budget.reserved) == 0.6
    for hold in holds:
        hold.settle(cost="$0.001")
    assert (float(budget.spent), float(budget.reserved), budget.audit()) == (0.6, 0, ())

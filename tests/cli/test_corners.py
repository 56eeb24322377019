"""Stores that cannot list, balances that are odd, and what is left out of a view."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from bursar import Budget
from bursar.store import MemoryStore
from bursar.store.views import MOST_AT_ONCE

from ..files import file_url
from .commands import Run


class BareStore(MemoryStore):
    """With the verbs alone."""

    roots = holds = None  # type: ignore[assignment]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """What `--store x` opens."""
    store = BareStore()
    monkeypatch.setattr("bursar.cli.place.open_store", lambda _: store)
    Budget("$1/total", name="b", store=store).session(id="s").track(None, "$0.25", "search")
    return store


def test_a_store_that_cannot_list(run: Run, bare: MemoryStore) -> None:
    """Its accounts are found by their paths; without one, and for its holds, it says so."""
    assert run("status", "--store", "x", "--account", "b", "--json").json["total_spent"] == 0.25
    assert (
        run("status", "--store", "x").err
        == "bursar: this store cannot list its accounts; name one: --account NAME\n"
    )
    assert (
        run("holds", "--store", "x", "--account", "b").err == "bursar: this store cannot list what is held\n"
    )


def test_an_overrun_and_a_debt_are_shown(run: Run, empty: str) -> None:
    """With what is owed in red where there are colours."""
    session = Budget("$1/total", store=empty).session(id="s")
    hold = session.reserve(cost="$0.50")
    hold.settle(cost="$1.25")
    shown = run("status", "--store", empty, "--account", "default").out
    assert "1 overrun of $0.75" in shown and "-$0.25" in shown


def test_an_account_without_limits_and_without_spend(run: Run, empty: str) -> None:
    """Has no table of limits, nor of models."""
    Budget(store=empty).session(id="s").reserve(cost="$1").release()
    assert run("status", "--store", empty, "--account", "default").out.count("\n\n") == 1


def test_limits_of_each_session_are_told(run: Run, store: str) -> None:
    """They are no limits of the budget itself."""
    assert "each session: $5/session" in run("status", "--store", store, "--account", "support").out


def test_more_holds_than_are_listed(run: Run, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pages are enough."""
    monkeypatch.setattr("bursar.cli.holds.MOST_HOLDS", 2)
    session = Budget(name="support", store=store).session(id="s")
    holds = [session.reserve(cost="$0.01", tool=f"t{number}") for number in range(3)]
    assert len(run("holds", "--store", store, "--json").json["holds"]) == 2
    done = run("holds", "release", holds[2].id, "--store", store, "--account", "support", "--json")
    assert done.json == {"released": holds[2].id, "account": "support/s", "usd": 0.01}
    for hold in holds:
        hold.release()


def test_more_holds_than_a_store_lists_at_once(run: Run) -> None:
    """All are listed, page by page, and the last one is given back."""
    store = file_url(synchronous="normal")
    session = Budget(store=store).session(id="s")
    holds = [session.reserve(cost="$0.01") for _ in range(MOST_AT_ONCE + 1)]
    listed = run("holds", "--store", store, "--json").json["holds"]
    assert {one["id"] for one in listed} == {hold.id for hold in holds}
    assert run("holds", "release", listed[-1]["id"], "--store", store).status == 0
    for hold in holds:
        hold.release()


def test_holds_of_no_store(run: Run, store: str) -> None:
    """It says what to give; the same with a store lists them."""
    assert run("holds").status == 2 and "give the store of your budgets: --store" in run("holds").err
    assert run("holds", "--store", store).status == 0


@pytest.mark.parametrize("page", [True, False])
def test_a_report_of_a_session(page: bool, run: Run, store: str, tmp_path: Path) -> None:
    """As text, and as a page, which shows no days: a store keeps those of budgets."""
    out = tmp_path / "report.html"
    done = run(
        "report", "--store", store, "--account", "support/alice/run-7", *(("--html", out) if page else ())
    )
    shown = out.read_text("utf-8") if page else done.out
    assert done.status == 0 and "$1.25" in shown


def test_a_report_of_nothing(run: Run) -> None:
    """Neither of a file nor of a store: it says what to give."""
    done = run("report")
    assert done.status == 2 and "whose report? give a file, or --store and --account" in done.err


def test_doctor_names_what_should_be_changed(run: Run) -> None:
    """And what the store does not say."""
    store = file_url(synchronous="normal")
    Budget(store=store).session(id="s").track(None, "$1")
    assert "warning: ?synchronous=normal may lose" in run("doctor", "--store", store).out


def test_the_version(run: Run) -> None:
    """Of the distribution."""
    import bursar

    assert run("--version").out == f"bursar {bursar.__version__}\n"


def test_a_question_that_ends_without_an_answer(
    run: Run, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-D changes nothing."""
    terminal: Any = io.StringIO("")
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    done = run("reset", "--store", store, "--account", "bob")
    assert done.status == 2 and done.err.endswith("bursar: nothing was changed\n")


def test_top_waits_for_a_store_that_comes_back(run: Run, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for its first look, which would show nothing."""
    from bursar.cli import top
    from bursar.errors import StoreUnavailable

    monkeypatch.setattr("bursar.cli.top.time.sleep", lambda _: None)
    look, answers = top._sample, iter([True, True, False, True])

    def sample(*arguments: Any) -> Any:
        if not next(answers):
            raise StoreUnavailable("gone")
        return look(*arguments)

    monkeypatch.setattr(top, "_sample", sample)
    assert run("top", "--store", store, "--times", 2, "--json").out.count("\n") == 2
    answers = iter([True, False])
    assert run("top", "--store", store, "--json").status == 2


def test_doctor_names_what_the_store_does_not_say(
    run: Run, bare: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store need not say anything about itself."""
    monkeypatch.setattr("bursar.cli.place.open_budget", lambda *_: Budget(name="b", store=bare))
    monkeypatch.setattr("bursar.cli.operate._first", lambda _: "b")
    monkeypatch.setattr(Budget, "doctor", lambda _: {"store": "", "unknown": ["version"], "warnings": []})
    assert "the store does not say: version" in run("doctor", "--store", "x").out


def test_the_summary_of_a_run_tells_each_model() -> None:
    """The dearest first, and where the ledger is kept after a crash."""
    from bursar.cli.run.summary import text

    report = {
        "session_id": "a.py", "total_spent": 0.3, "would_refuse": 0, "refusals": 0, "limits": [],
        "breakdown": {"llm": {"calls": 2, "by_model": {"x": 0.1, "y\x1b[31m": 0.2}}, "tools": {"calls": 0}},
        "run": {"stopped_by": None, "not_covered": [], "ledger": "/tmp/kept"},
    }  # fmt: skip
    assert text(report).splitlines() == [
        "bursar: a.py spent $0.30 in 2 calls",
        "bursar:   $0.20  y?[31m",
        "bursar:   $0.10  x",
        "bursar: ended by a signal; its ledger is kept in /tmp/kept",
    ]

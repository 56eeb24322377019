"""`bursar watch`: alerts of other processes as they come, and when the limit is used up."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, StoreUnavailable
from bursar.cli import place, watch

from ..contract.test_store_promises import BareStore
from ..files import file_url
from .commands import Run


def spend(store: str, name: str = "support", *costs: str, limit: str = "$10/total") -> Budget:
    """Spend by a budget, each time in a tenant of its own."""
    budget = Budget(limit, name=name, store=store, soft_limit=(0.5, 0.9))
    for number, cost in enumerate(costs):
        budget.child(f"tenant{number}").session().track(None, cost, "search")
    return budget


def test_alerts_are_listed_with_the_newest_last(run: Run, empty: str) -> None:
    """Of all budgets, or of one and what is below it; those of before, as many as are asked for."""
    spend(empty, "support", "$6", "$3.5")
    with pytest.raises(BudgetExceeded):
        spend(empty, "nightly").child("a").session().reserve(cost="$11")
    done = run("watch", "--store", empty, "--times", 1)
    assert done.status == 0
    assert [line.split(" ", 2)[2] for line in done.out.splitlines()] == [
        "critical nightly: $10/total in 'nightly' is reached: $10.00 is left",
        "warning support: 50% of $10/total in 'support' is spent: $6.00",
        "warning support: 90% of $10/total in 'support' is spent: $9.50",
    ]
    one = run("watch", "--store", empty, "--account", "support", "--times", 1, "--last", 1)
    assert "90%" in one.out and "50%" not in one.out and "nightly" not in one.out
    none = run("watch", "--store", empty, "--account", "support/tenant0", "--times", 1)
    assert none.out == ""


def test_nothing_is_changed_by_a_look(run: Run, empty: str) -> None:
    """What is due stays so, and says so."""
    budget = spend(empty, "support", "$6")
    store: Any = budget._ledger.store
    for due in (True, False):
        (line,) = run("watch", "--store", empty, "--times", 1, "--json").out.splitlines()
        told = json.loads(line)
        (alert,) = store.alerts("support").alerts
        assert (told["event"], told["id"], told["due"], alert.due) == ("alert", alert.id, due, due)
        assert (told["threshold"], told["fraction"], told["spent"]) == (0.5, 0.6, 6.0)
        store.delivered("support", (alert.id,))


def test_an_alert_of_another_process_is_told_as_it_comes(empty: str) -> None:
    """While the command runs, at once, also into a pipe."""
    spend(empty, "support", "$1")
    command = [sys.executable, "-m", "bursar", "watch", "--store", empty, "--interval", "0.1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        try:
            for cost, threshold in (("$5", 0.5), ("$3.5", 0.9)):
                time.sleep(0.3)
                spend(empty, "support", cost)
                assert json.loads(watching.stdout.readline())["threshold"] == threshold
        finally:
            watching.terminate()


def test_a_forecast_follows_an_alert(run: Run, empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And stands at the beginning; of the budget above a session that is followed."""
    budget = Budget("$20/day", name="support", store=empty)
    budget.child("alice").session(id="run").track(None, "$19", "search")
    told = {"account": "support", "limit": "$20/day", "text": "$20/day is used up at 16:40 at this rate"}
    asked: list[str] = []

    def forecast(self: Budget) -> dict[str, str]:
        asked.append(self.name)
        return told

    monkeypatch.setattr(Budget, "forecast", forecast)
    text = run("watch", "--store", empty, "--times", 2, "--interval", 0.1).out.splitlines()
    assert len(text) == 2 and text[1] == "support: $20/day is used up at 16:40 at this rate"
    lines = run("watch", "--store", empty, "--account", "support/alice/run", "--times", 1, "--json").out
    assert json.loads(lines) == {"event": "forecast", **told}
    assert asked == ["support", "alice"]


def test_it_goes_on_when_the_store_comes_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first look; an interrupt ends it, and a first look that fails is a mistake."""
    url = file_url()
    spend(url, "support", "$6")
    looks = 0
    sound = watch.Follower.new

    def new(self: watch.Follower, root: str) -> Any:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise StoreUnavailable("away")
        if looks == 4:
            raise KeyboardInterrupt
        return sound(self, root)

    monkeypatch.setattr(watch.Follower, "new", new)
    monkeypatch.setattr(watch, "_ROOTS_S", 0)
    done = run("watch", "--store", url, "--interval", 0.1)
    assert (done.status, done.out.count("50%")) == (0, 1) and looks == 4
    looks = 1
    assert run("watch", "--store", url).status == 2


def test_a_store_without_alerts_cannot_be_followed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and status 2."""
    monkeypatch.setattr(place, "open_store", lambda url: BareStore())
    done = run("watch", "--store", "plugin://x")
    assert (done.status, done.err) == (2, "bursar: this store keeps no alerts\n")

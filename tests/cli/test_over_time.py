"""`history`, `top` and `demo`: what was spent by day, what is spent now, and a budget that ends it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable

import pytest

from bursar import Budget

from .commands import Run


@pytest.mark.parametrize("by", ["day", "model", "tool", "child"])
def test_history_adds_up_to_what_was_spent(run: Run, store: str, by: str) -> None:
    """As text and as CSV, whatever the rows are; in JSON it is that of the budget."""
    asked = ("history", "--store", store, "--account", "support", "--days", 2, "--by", by)
    spent = {"day": 1.55, "model": 0.75, "tool": 0.8, "child": 1.55}[by]
    rows = [line.split(",") for line in run(*asked, "--csv").out.splitlines()]
    column = rows[0].index("spent_usd")
    assert sum(float(row[column]) for row in rows[1:]) == pytest.approx(spent)
    shown = [float(usd) for usd in re.findall(r"\$([0-9.]+)", run(*asked).out)]
    assert sum(shown) == pytest.approx(spent)
    assert run(*asked, "--json").json["days"] == Budget(name="support", store=store).history(2)["days"]


def test_history_of_a_tenant_and_of_a_session(run: Run, store: str) -> None:
    """A tenant has days of its own; of a session the budget above it is named."""
    asked = ("history", "--store", store, "--account")
    assert run(*asked, "alice", "--json").json["days"][-1]["spent"] == 1.25
    assert run(*asked, "alice", "--tz", "Mars").status == 2
    done = run(*asked, "support/alice/run-7")
    assert done.status == 2 and done.err.endswith("--account support/alice\n")


def test_history_draws_bars_for_eyes(run: Run, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest is the dearest day."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "━" * 30 in run("history", "--store", store, "--account", "support").out


@pytest.fixture
def between_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Something happens between two looks, in which no time passes but on their clock."""

    def happens(what: Callable[[], object]) -> None:
        now_s = [1000.0]

        def sleep(seconds: float) -> None:
            now_s[0] += seconds
            what()

        monkeypatch.setattr("bursar.cli.top.time.sleep", sleep)
        monkeypatch.setattr("bursar.cli.top.time.monotonic", lambda: now_s[0])

    return happens


def test_top_tells_the_rate_and_how_long_it_lasts(
    run: Run, store: str, between_looks: Callable[[Callable[[], object]], None]
) -> None:
    """Five cents in two seconds are $1.50 a minute; what is left of $0.40 lasts for 2 seconds more."""
    bob = Budget(name="support", store=store).child("bob").session(id="b")
    between_looks(lambda: bob.track(None, "$0.05", "web_search"))
    first = run("top", "--store", store, "--account", "bob", "--json").json
    row = first["accounts"][0]
    assert (row["account"], row["usd_per_minute"]) == ("support/bob", pytest.approx(1.5))
    assert row["seconds_left"] == pytest.approx(2)
    assert first["by_model_and_tool"] == [
        {"name": "web_search", "spent": 0.35, "usd_per_minute": pytest.approx(1.5)}
    ]
    shown = run("top", "--store", store, "--account", "support").out
    assert "$1.50" in shown and "0 s" in shown


def test_top_takes_the_rate_of_the_last_minute(
    run: Run, empty: str, between_looks: Callable[[Callable[[], object]], None]
) -> None:
    """What was spent before it does not count, a reset is no negative rate, and a new account counts from zero."""
    budget = Budget("$100/total", store=empty)
    budget.session(id="a").track(None, "$1", "x")
    steps = iter([
        lambda: budget.session(id="a").track(None, "$9", "x"),
        *[lambda: None] * 3,
        lambda: budget.session(id="new").track(None, "$1", "y"),
        lambda: budget.reset("anew"),
    ])  # fmt: skip
    between_looks(lambda: next(steps)())  # noqa: PLW0108 - the next of them each time
    lines = run("top", "--store", empty, "--times", 6, "--interval", 30, "--json").out.splitlines()
    looks = [json.loads(line)["accounts"] for line in lines]
    rates = [one["usd_per_minute"] for look in looks for one in look if one["account"] == "default"]
    assert rates == [pytest.approx(18), pytest.approx(9), 0, 0, pytest.approx(1), 0]


def test_top_draws_at_a_terminal(
    run: Run, store: str, monkeypatch: pytest.MonkeyPatch,
    between_looks: Callable[[Callable[[], object]], None],
) -> None:  # fmt: skip
    """Until Ctrl-C, or so many times."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    between_looks(lambda: None)
    assert "bursar top" in run("top", "--store", store, "--times", 1).out
    looks = iter([None])

    def interrupt() -> None:
        if next(looks, "over") == "over":
            raise KeyboardInterrupt

    between_looks(interrupt)
    assert run("top", "--store", store).status == 0


def test_top_and_who_disturb_nobody(run: Run, store: str) -> None:
    """Threads that spend beside them get every call, and the figures that are shown never fall."""
    budget = Budget(name="support", store=store)

    def spend(number: int) -> None:
        session = budget.child("carol").session(id=str(number))
        for _ in range(15):
            session.track(None, "$0.01", "search")

    threads = [threading.Thread(target=spend, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    seen = [0.0]
    while any(thread.is_alive() for thread in threads):
        looked = run("who", "--store", store, "--json").json["accounts"][0]["spent"]
        assert looked >= seen[-1]
        seen.append(looked)
        assert run("top", "--store", store, "--interval", 0.1).status == 0
    assert float(budget.child("carol").spent) == pytest.approx(0.6)
    assert run("audit", "--store", store).status == 0


@pytest.mark.parametrize("budget", ["$0.01", "$0.05"])
def test_the_demo_stops_the_agent_at_its_budget(run: Run, budget: str) -> None:
    """Both figures are in one sentence, equal, and at most the budget."""
    shown = run("demo", "--budget", budget).out.splitlines()
    found = re.fullmatch(
        r"The provider billed (\S+) for (\d+) requests, and bursar counted (\S+) in (\d+) calls:"
        r" the agent was stopped at its budget of (\S+)\.",
        shown[-1],
    )
    assert found is not None and found[1] == found[3] and found[2] == found[4] and found[5] == budget
    assert 0.9 * float(budget[1:]) < float(found[1][1:]) <= float(budget[1:])
    assert any(line.startswith("refused: a call to 'gpt-4o' was not made") for line in shown)


def test_the_demo_in_json(run: Run) -> None:
    """And a budget that is no amount of dollars is a mistake."""
    found = run("demo", "--json").json
    assert found["billed"] == found["spent"] <= found["budget"] == 0.05
    assert found["requests"] == found["calls"] > 10
    for wrong in ("2 calls", "5k", "$5/dy"):
        assert run("demo", "--budget", wrong).status == 2

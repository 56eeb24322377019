"""The commands that act change what programs may spend, on SQLite and on Redis."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
import redis

from bursar import Budget, BudgetExceeded, LedgerRolledBack, Tripped

from .commands import Run


def bob(store: str) -> Budget:
    """A tenant with ten cents left."""
    return Budget(name="support", store=store).child("bob")


def test_a_limit_is_put_in_force_and_refuses(run: Run, store: str) -> None:
    """What did not fit into the old one does, and what fitted does not after a smaller one."""
    with pytest.raises(BudgetExceeded):
        bob(store).session().reserve(cost="$0.20")
    done = run("set-limit", "$1/total", "--store", store, "--account", "bob")
    assert done == (0, "support/bob has the limit $1/total\n", "")
    bob(store).session().reserve(cost="$0.20").release()
    assert run("set-limit", "$0.31/total", "--store", store, "--account", "bob", "--json").json["limit"]
    with pytest.raises(BudgetExceeded):
        bob(store).session().reserve(cost="$0.20")


def test_a_calendar_limit_keeps_the_zone_of_the_budget(run: Run, empty: str) -> None:
    """Unless another one is given; it is the limit that was there, not a second one."""
    Budget("$1/day", store=empty, tz="Asia/Tokyo").session().track(None, "$0.10")
    assert run("set-limit", "$2/day", "--store", empty).status == 0
    (limit,) = run("status", "--store", empty, "--account", "default", "--json").json["limits"]
    assert limit["limit"] == "$2/day" and limit["resets_at"].endswith("+09:00")


def test_a_limit_of_one_tool(run: Run, store: str) -> None:
    """The selectors are those of `Limit`."""
    run("set-limit", "0 calls/1h", "--tool", "web_search", "--store", store, "--account", "bob")
    with pytest.raises(BudgetExceeded, match="web_search"):
        bob(store).session().reserve(tool="web_search", cost="$0.01")
    bob(store).session().reserve(tool="other", cost="$0.01").release()


def test_reset_begins_anew(run: Run, store: str) -> None:
    """With --yes at once; what is above keeps its balance."""
    done = run("reset", "--yes", "--agent", "bob", "--redis", store)
    assert done == (0, "support/bob begins anew; it had spent $0.30\n", "")
    assert bob(store).spent == 0
    assert Budget(name="support", store=store).spent == Decimal("1.55")


@pytest.mark.parametrize(("answer", "left"), [("y\n", Decimal(0)), ("n\n", Decimal("0.3"))])
def test_reset_asks_at_a_terminal(
    run: Run, store: str, monkeypatch: pytest.MonkeyPatch, answer: str, left: Decimal
) -> None:
    """And does nothing unless the answer is yes."""
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    assert run("reset", "--store", store, "--account", "bob").status == (2 if left else 0)
    assert bob(store).spent == left


def test_reset_without_anybody_to_ask_changes_nothing(run: Run, store: str) -> None:
    """A script has to say --yes."""
    assert (
        run("reset", "--store", store, "--account", "bob").err
        == "bursar: nobody is here to be asked: add --yes\n"
    )
    assert bob(store).spent == Decimal("0.3")


def test_trip_stops_and_untrip_lets_go_on(run: Run, store: str) -> None:
    """In every process, from its next call on; the status says why."""
    session = bob(store).session()
    assert (
        run("trip", "--store", store, "--account", "bob", "--reason", "a loop").out
        == "support/bob is stopped: a loop\n"
    )
    with pytest.raises(Tripped, match="a loop"):
        session.reserve(cost="$0.01")
    assert "stopped: a loop" in run("status", "--store", store, "--account", "bob").out
    assert run("untrip", "--store", store, "--account", "bob").out == "support/bob goes on\n"
    session.reserve(cost="$0.01").release()


def test_audit_is_clean_or_exits_with_1(run: Run, store: str) -> None:
    """A balance that somebody changed in the file or on the server is found, in text and in JSON."""
    assert run("audit", "--store", store).out.startswith("clean: ")
    assert run("audit", "--store", store, "--account", "bob", "--json").json == {
        "clean": True,
        "findings": [],
    }
    add_a_dollar(store)
    done = run("audit", "--store", store, "--json")
    assert done.status == 1 and done.json["findings"][0]["account"] == "support/bob"
    shown = run("audit", "--store", store)
    assert shown.status == 1 and "support/bob" in shown.out and "$1.30" in shown.out


def add_a_dollar(store: str) -> None:
    """To what the tenant has spent, past the ledger."""
    url = urlsplit(store)
    if url.scheme == "sqlite":
        with closing(sqlite3.connect(url.path)) as file, file:
            file.execute("UPDATE accounts SET usd = usd + ? WHERE key = 'support/bob'", (10**9,))
        return
    (prefix,) = parse_qs(url.query)["prefix"]
    with redis.Redis.from_url(store.partition("?")[0]) as client:
        client.hincrby(f"{prefix}:{{support}}:a:support/bob", "s:usd", 10**9)


def test_acknowledge_accepts_another_ledger(run: Run, store: str) -> None:
    """A pinned ledger that is not there admits nothing, until somebody accepts it."""
    pinned = f"{store}{'&' if '?' in store else '?'}ledger=0123456789abcdef-1"
    with pytest.raises(LedgerRolledBack):
        bob(pinned).session().reserve(cost="$0.01")
    assert run("status", "--store", pinned, "--account", "support").status == 2
    asked = ("acknowledge", "--account", "support", "--reason", "ours", "--store")
    assert run(*asked, pinned, "--json").json == {"acknowledged": "support", "reason": "ours"}
    bob(pinned).session().reserve(cost="$0.01").release()
    asked = ("acknowledge", "--account", "bob", "--reason", "ours", "--store")
    assert run(*asked, store).out == "support is accepted as it is\n"


def test_a_store_with_several_budgets_asks_which(run: Run, store: str) -> None:
    """Nothing is changed by a guess."""
    done = run("reset", "--yes", "--store", store)
    assert done == (2, "", "bursar: which account? --account takes one of nightly, support\n")

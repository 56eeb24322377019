"""The commands that look show what was spent, on SQLite and on Redis."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bursar import Budget
from bursar.cli.prometheus import MOST_SERIES

from .commands import Run, fill


def cells(text: str) -> dict[str, list[str]]:
    """The rows of a table by their first cell."""
    rows = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_status_lists_the_budgets_at_the_top(run: Run, store: str) -> None:
    """One row each, with what was spent and what its limits leave."""
    done = run("status", "--store", store)
    assert done.status == 0 and done.err == ""
    assert cells(done.out) == {
        "account": ["spent", "reserved", "left", "calls", "used"],
        "nightly": ["$0.01", "0"],
        "support": ["$1.55", "$18.45", "1", "8% of $20/day"],
    }
    listed = run("status", "--json", "--store", store).json["accounts"]
    assert [(one["account"], one["total_spent"]) for one in listed] == [("nightly", 0.01), ("support", 1.55)]


def test_status_takes_the_options_of_the_redis_meters(run: Run, store: str) -> None:
    """`--agent` and `--redis` stand for `--account` and `--store`; BURSAR_STORE for both of these."""
    done = run("status", "--agent", "nightly", "--redis", store, "--json")
    assert done.json["total_spent"] == 0.01


def test_status_reads_the_store_of_the_environment(
    run: Run, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BURSAR_STORE is asked where no option says which."""
    monkeypatch.setenv("BURSAR_STORE", store)
    assert run("status --account nightly --json").json["total_spent"] == 0.01


@pytest.mark.parametrize("name", ["support/alice", "alice"])
def test_status_finds_a_tenant_by_its_path_and_by_its_name(run: Run, store: str, name: str) -> None:
    """Its limits and those above it, and what it has spent on which model and tool."""
    found = cells(run("status", "--store", store, "--account", name).out)
    assert found["support/alice"] == ["$2/day", "$0.75", "62%"]
    assert found["gpt-4o"] == ["$0.75", "1", "150,000"]
    assert found["web_search"] == ["$0.50", "1", "0"]
    document = run("status", "--store", store, "--account", name, "--json").json
    assert (document["account"], document["total_spent"], document["sessions"]) == ("support/alice", 1.25, 1)


@pytest.mark.parametrize("name", ["support/alice/run-7", "support/alice/@run-7"])
def test_status_finds_a_session(run: Run, store: str, name: str) -> None:
    """By the path with its id; its own limit is that of its budgets for each session."""
    document = run("status", "--store", store, "--account", name, "--json").json
    assert (document["total_spent"], document["remaining"]) == (1.25, 0.75)
    assert [limit["limit"] for limit in document["limits"]] == ["$5/session"]


def test_a_name_that_stands_for_two_accounts_is_not_guessed(run: Run, empty: str) -> None:
    """Both paths are named; each of them is found."""
    for team in ("red", "blue"):
        Budget(name=team, store=empty).child("alice").session().track(None, "$1")
    done = run("status", "--store", empty, "--account", "alice")
    assert done == (2, "", "bursar: there are several accounts 'alice': blue/alice, red/alice\n")
    assert run("status", "--store", empty, "--account", "red/alice").status == 0


def test_a_name_with_a_slash_is_found(run: Run, empty: str) -> None:
    """It looks like a path and is none."""
    Budget(name="team/a", store=empty).session().track(None, "$1")
    assert run("status", "--store", empty, "--account", "team/a", "--json").json["total_spent"] == 1.0


def test_who_lists_the_dearest_first(run: Run, store: str) -> None:
    """Budgets, tenants and sessions, by what they have spent."""
    listed = run("who", "--store", store, "--json").json["accounts"]
    assert [(one["account"], one["kind"]) for one in listed[:3]] == [
        ("support", "budget"), ("support/alice", "budget"), ("support/alice/run-7", "session"),
    ]  # fmt: skip
    spent = [one["spent"] for one in listed]
    assert spent == sorted(spent, reverse=True) == [1.55, 1.25, 1.25, 0.3, 0.3, 0.01, 0.01]
    assert list(cells(run("who", "--store", store, "--most", 2).out)) == [
        "account",
        "support",
        "support/alice",
    ]
    below = run("who", "--store", store, "--account", "alice", "--json").json["accounts"]
    assert [one["account"] for one in below] == ["support/alice", "support/alice/run-7"]


def test_who_says_how_many_sessions_it_left_out(run: Run, empty: str) -> None:
    """It reads one page of sessions, whatever their number."""
    budget = Budget(store=empty)
    for number in range(203):
        budget.session(id=str(number)).track(None, "$0.01")
    assert run("who", "--store", empty, "--json").json["sessions_left_out"] == 3
    assert run("who", "--store", empty).out.endswith("3 are older\n")


def test_tree_nests_the_budgets(run: Run, store: str) -> None:
    """Indented where nobody looks, nested in JSON."""
    lines = run("tree", "--store", store).out.splitlines()
    assert [line.split("$")[0].rstrip() for line in lines[1:]] == ["nightly", "support", "  alice", "  bob"]
    nested = run("tree", "--store", store, "--account", "support", "--json").json["support"]
    assert {name: child["spent"] for name, child in nested["children"].items()} == {"alice": 1.25, "bob": 0.3}


def test_a_terminal_gets_bars_and_colours(run: Run, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with NO_COLOR the same without colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    for command in ("tree", "status", "who", "status --account bob"):
        shown = run(*command.split(" "), "--store", store).out
        assert ("━" in shown and "\x1b[3" in shown and "75%" in shown) or command == "status"
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in run("tree", "--store", store).out


def test_prometheus_has_budgets_and_tenants_and_no_sessions(run: Run, store: str) -> None:
    """Every sample has a type, and the labels of an account."""
    text = run("status", "--store", store, "--format", "prometheus").out
    samples = dict(re.findall(r"^(\w+\{.*\}) (\S+)$", text, re.MULTILINE))
    assert samples['bursar_spent_usd{account="support/alice"}'] == "1.25"
    assert samples['bursar_limit{account="support/bob",limit="$0.40/total",unit="usd"}'] == "0.4"
    assert "run-7" not in text
    names = {name.partition("{")[0] for name in samples}
    assert names == set(re.findall(r"^# TYPE (\w+) gauge$", text, re.MULTILINE))


def test_prometheus_is_bounded(run: Run, empty: str) -> None:
    """At most 1,000 series; those that spent least are out, and it says how many."""
    budget = Budget(store=empty)
    for number in range(200):
        budget.child(f"tenant {number}").session(id="s").track(None, "$0.01" if number else "$1")
    lines = run("status", "--store", empty, "--format", "prometheus").out.splitlines()
    assert len([line for line in lines if not line.startswith("#")]) <= MOST_SERIES
    assert re.fullmatch(r"# \d+ budgets are left out: there are at most 1000 series", lines[0])
    assert any('account="default/tenant 0"' in line for line in lines)


def test_holds_are_listed_and_given_back(run: Run, store: str) -> None:
    """A hold is shown with the end of its lease, released by its id, and gone; an id that is none is a mistake."""
    assert run("holds", "--store", store).out == "nothing is held: no call is in flight\n"
    hold = Budget(name="support", store=store).child("bob").session(id="s").reserve("gpt-4o", cost="$0.10")
    shown = cells(run("holds", "--store", store, "--account", "bob").out)
    assert shown[hold.id][:3] == ["support/bob/s", "gpt-4o", "$0.10"]
    (listed,) = run("holds", "--store", store, "--json").json["holds"]
    assert (listed["id"], listed["usd"]) == (hold.id, 0.1) and 0 < listed["lease_left_seconds"] <= 900
    assert run("holds", "--store", store, "--account", "nightly", "--json").json == {"holds": []}
    assert run("holds", "release", "x", "--store", store).status == 2
    assert run("holds", "release", hold.id, "--store", store).out == "$0.10 given back to support/bob/s\n"
    assert run("holds", "--store", store, "--json").json == {"holds": []}
    hold.release()


def test_export_has_each_account_once_for_each_subject(run: Run, store: str, tmp_path: Path) -> None:
    """As CSV and as lines of JSON, on standard output and in a file; sessions included."""
    lines = run("export", "--store", store, "--account", "support").out.splitlines()
    assert lines[0] == "account,kind,model,tool,provider,spent_usd,reserved_usd,calls,tokens"
    assert "support/alice/run-7,session,gpt-4o,,,0.75,0,1,150000" in lines
    assert len(lines) == len(set(lines)) == 1 + 2 + 2 + 2 + 1 + 1
    out = tmp_path / "rows.csv"
    assert run("export", "--store", store, "--account", "support", "--out", out) == (0, "", "")
    assert out.read_text("utf-8").splitlines() == lines
    asked = ("export", "--store", store, "--account", "support/alice/run-7", "--format", "jsonl")
    assert len(run(*asked).out.splitlines()) == 2
    assert run("export", "--json", "--store", store, "--out", "/no/such/folder").status == 2


def test_export_reads_page_after_page(run: Run, empty: str) -> None:
    """More sessions than a step of the store lists."""
    budget = Budget(store=empty)
    for number in range(205):
        budget.session(id=str(number)).track(None, "$0.01", "search")
    assert len(run("export", "--store", empty).out.splitlines()) == 1 + 1 + 205


def test_report_shows_an_account_and_a_file_alike(run: Run, store: str, tmp_path: Path) -> None:
    """Text, JSON and a page of HTML."""
    asked = ("report", "--store", store, "--account", "support")
    kept = tmp_path / "kept.json"
    kept.write_text(run(*asked, "--json").out)
    assert run(*asked).out == run("report", kept).out
    assert run(*asked).out.startswith("support: $1.55 spent, $18.45 left\n")
    page = tmp_path / "page.html"
    assert run("report", kept, "--html", page) == (0, "", "")
    assert ">$1.55<" in page.read_text("utf-8") and "Spend by day" not in page.read_text("utf-8")
    assert run(*asked, "--html", page, "--days", 7) == (0, "", "")
    assert "Spend by day: $1.55 in 1 day" in page.read_text("utf-8")
    assert run("report", kept, "--html", "/no/such/folder").status == 2


def test_doctor_tells_the_durability_class(run: Run, store: str) -> None:
    """As the store has it, with what should be changed."""
    found = run("doctor", "--store", store, "--json").json
    assert cells(run("doctor", "--store", store).out)["durability"] == [found["durability"]]
    assert found["durability"] == ("sqlite-full" if store.startswith("sqlite") else "redis-none")


def test_a_file_may_be_given_without_a_url(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path, whole or in this folder."""
    monkeypatch.chdir(tmp_path)
    fill("sqlite:///budget.db")
    assert run("status --store budget.db").out == run("status --store sqlite:///budget.db").out

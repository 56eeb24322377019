"""The report as plain text: every fact, and nothing that a hostile name brings along."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timezone
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Usage, report_text
from bursar.testing import ManualClock

RED, BIDI, TAG = "\x1b[31mred\x1b[0m", "user\u202etxt.exe", "a\U000e0041b"


def test_a_report_in_full() -> None:
    """Totals, models and tools by cost, limits, and what is out of the ordinary, line by line."""
    clock = ManualClock(datetime(2026, 1, 31, 12, tzinfo=timezone.utc))
    budget = Budget(
        "$5", "$8/day", "10k tokens/1h", clock=clock, tz="Europe/Oslo", tool_prices={"serp": "$0.05"}
    )
    session = budget.session(id="run-7")
    for model in ("gpt-4o-mini", "gpt-4o", "gpt-4o"):  # $0.00024, $0.004
        session.record(model, 800, 200)
    session.reserve(tool="serp").settle(cost="$0.06")
    session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200).settle_unknown()
    session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200).release(saved=Usage(1_000, 0))
    session.child_session(name="inner").track("done", 1)
    session.reserve(cost="$0.50").keep()
    with pytest.raises(BudgetExceeded):
        session.reserve(cost=4)
    assert (
        report_text(session.report())
        == """\
run-7: $1.07224 spent, $0.50 reserved, $3.42776 left
  llm          $0.01224  4 calls
               $0.012  gpt-4o
             $0.00024  gpt-4o-mini
  tools           $1.06  2 calls
                $1.00  unnamed
                $0.06  serp
  limit  $5/session: $3.42776 left
  1 refusal, 1 estimate, 1 overrun of $0.01, $0.0025 saved by caches, ended by budget exhausted
         spent  reserved      left  calls  tools  refused
  inner  $1.00     $0.00  $3.42776      0      1        0"""
    )
    lines = report_text(budget.report()).splitlines()
    # All that is in the rolling window has left it an hour from now, rounded up to a bucket.
    assert "  limit  $8/day: $6.42776 left, resets at 2026-02-01T00:00:00+01:00" in lines
    (rolling,) = [line for line in lines if "10k tokens/1h" in line]
    assert rolling.startswith("  limit  10k tokens/1h: 6,000 left, resets at 2026-01-31T13:00:")


def test_the_children_are_a_table() -> None:
    """Tenants and sessions, those that spent most first, theirs indented below them; no exponent, no column is off."""
    team = Budget("$9,000/total", name="team", tool_prices={"search": "$0.0000078"})
    for name, cost in (("bob", "$0.0078"), ("alice", "$1,234.50")):
        team.child(name, "$3,000/total").session().track("done", cost)
    run = team.session("$5", id="run")
    run.reserve(tool="search").settle(cost="$0.0000078")
    run.reserve("gpt-4o", cost="$0.50").keep()
    with pytest.raises(BudgetExceeded):
        run.reserve(cost="$6")
    assert report_text(team.report()).splitlines()[-4:] == [
        "              spent  reserved         left  calls  tools  refused",
        "  alice   $1,234.50     $0.00    $1,765.50      0      1        0",
        "  bob       $0.0078     $0.00  $2,999.9922      0      1        0",
        "  run    $0.0000078     $0.50   $4.4999922      0      1        1",
    ]


def test_a_long_table_sums_up_its_end() -> None:
    """Twenty rows, and one for all others, so that the column still adds up."""
    budget = Budget(name="many")
    for number in range(23):
        budget.session(id=f"run-{number}").track("done", f"${number + 1}")
    rows = report_text(budget.report()).splitlines()[-22:]
    assert [row.split()[0] for row in (rows[1], rows[2], rows[-2])] == ["run-22", "run-21", "run-3"]
    assert rows[-1].split() == ["and", "3", "more", "$6.00", "$0.00", "-", "0", "3", "0"]


def test_a_session_within_a_session_is_indented() -> None:
    """As deep as it is."""
    session = Budget("$5").session(id="outer")
    session.child_session(name="inner").child_session(name="most").track("done", 1)
    assert [row.split("$")[0] for row in report_text(session.report()).splitlines()[-2:]] == [
        "  inner   ",
        "    most  ",
    ]


def test_a_report_of_nothing() -> None:
    """One line."""
    assert report_text(Budget(name="quiet").report()) == "quiet: $0.00 spent"


def test_a_debt_and_ignored_refusals_are_told() -> None:
    """In shadow mode; a minus stands before the dollar."""
    session = Budget("$1", hard_stop=False).session(id="s")
    session.reserve(cost=1).settle(cost=1)
    session.reserve(cost="$0.50").settle(cost="$0.50")
    assert report_text(session.report()).splitlines() == [
        "s: $1.50 spent, -$0.50 left",
        "  tools           $1.50  2 calls",
        "                $1.50  unnamed",
        "  limit  $1/session: -$0.50 left",
        "  1 ignored refusal",
    ]


@pytest.mark.parametrize(
    "name", [RED, BIDI, TAG, "a\nb", "a\r\x08b", "\x9b31m", "\u2028", "\u200f", "\ud800", "\ufeff"]
)
@pytest.mark.parametrize("place", ["session", "model", "tool", "limit", "child"])
def test_a_hostile_name_stays_a_name(name: str, place: str) -> None:
    """No escape sequence, line end, or mark that turns the text round reaches a terminal, wherever it stands."""
    report: dict[str, Any] = Budget("$5").session(id="run").report()
    if place == "session":
        report["session_id"] = name
    elif place == "limit":
        report["limits"][0]["limit"] = f"$5/session (model={name})"
    elif place == "child":
        report["children"] = [{**report, "session_id": name}]
    else:
        part, names = {"model": ("llm", "by_model"), "tool": ("tools", "by_tool")}[place]
        report["breakdown"][part] |= {"calls": 1, names: {name: 1.0}}
    shown, expected = report_text(report), 4 if place in ("model", "tool", "child") else 2
    assert {unicodedata.category(letter) for letter in shown if letter != "\n"}.isdisjoint(
        {"Cc", "Cf", "Cs", "Zl", "Zp"}
    )
    assert len(shown.splitlines()) == expected
    for word in ("red", "txt.exe", "31m"):
        assert (word in shown) is (word in name)


def test_the_report_of_a_session_with_an_unprintable_mark_is_one_line() -> None:
    """A name that a budget accepts may still hold marks that turn the text round."""
    assert report_text(Budget().session(id=BIDI).report()) == "user?txt.exe: $0.00 spent"


def test_lowered_caps_and_cut_answers_are_told() -> None:
    """Also where a report that was written by an earlier version has no such counts."""
    session = Budget("$0.004").session(id="run")
    hold = session.reserve("gpt-4o", input_tokens=800, max_output_tokens=500)
    hold.settle({"stop_reason": "max_tokens", "usage": {"input_tokens": 800, "output_tokens": 200}})
    report = session.report()
    assert report_text(report).endswith("\n  1 lowered output cap, 1 cut answer")
    earlier = {name: value for name, value in report.items() if name not in ("clamped", "truncated")}
    assert report_text(earlier).endswith("$0.00 left")

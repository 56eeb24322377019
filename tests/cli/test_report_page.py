"""`report --html`: what of a store is on its page."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bursar import Budget, Limit

from ..files import file_url
from .commands import Run


def page(run: Run, folder: Path, store: str, *more: str) -> str:
    """What the command writes."""
    out = folder / "page.html"
    done = run("report", "--store", store, "--html", out, *more)
    assert done == (0, "", "")
    return out.read_text("utf-8")


@pytest.mark.parametrize(
    ("limits", "tz", "line"),
    [
        (("$20/day",), "UTC", "limit $20/day"),
        (("$20/day",), "Asia/Kathmandu", "limit $20/day"),
        (("$20/day", "$30/24h"), "UTC", "limit $20/day"),
        (("$20/24h",), "UTC", None),
        (("20 calls/day", "9M tokens/day"), "UTC", None),
        ((Limit("$20/day", model="gpt-4o"),), "UTC", None),
    ],
)  # fmt: skip
def test_a_limit_of_a_day_is_in_the_chart_of_the_days_of_its_zone(
    run: Run, tmp_path: Path, limits: tuple[str, ...], tz: str, line: str | None
) -> None:
    """The days are those of the limits; a limit over another span, or on some of the calls, is no line."""
    store = file_url()
    Budget(*limits, tz=tz, store=store).session().track(None, "$15", "search")
    text = page(run, tmp_path, store)
    assert "Days since 20" in text and f", in {tz}." in text
    assert ("limit $20/day" in text) == (line is not None) == ('<line class="limit"' in text)


def test_a_limit_in_another_zone_than_the_days_is_no_line(run: Run, tmp_path: Path) -> None:
    """A limit of a tenant that somebody set for days of another place has days of its own."""
    store = file_url()
    budget = Budget("9 calls/month", tz="Asia/Kathmandu", store=store)
    budget.session().track(None, "$15", "search")
    assert (
        run("set-limit", "$20/day", "--tz", "America/Lima", "--store", store, "--account", "default").status
        == 0
    )
    text = page(run, tmp_path, store)
    assert ", in Asia/Kathmandu." in text and "gives back" in text and '<line class="limit"' not in text


def test_the_page_of_a_tenant_and_of_a_session(run: Run, tmp_path: Path, store: str) -> None:
    """Their own figures and days; a session has no days."""
    alice = page(run, tmp_path, store, "--account", "alice", "--days", "7")
    assert "<h1>alice</h1>" in alice and "Spend by day: $1.25 in 1 day" in alice and "run-7" in alice
    session = page(run, tmp_path, store, "--account", "support/alice/run-7")
    assert "<h1>run-7</h1>" in session and "Spend by day" not in session and "$1.25" in session


def test_the_page_sums_up_the_agents_of_sessions(run: Run, tmp_path: Path, empty: str) -> None:
    """By their names."""
    for number in range(3):
        Budget(store=empty).session(id=f"run {number}").part("writer").track(None, "$0.50", "search")
    text = page(run, tmp_path, empty)
    assert "By agent, in the sessions below" in text
    assert "<td>writer</td>" in text and '<td class="n">$1.50</td>' in text


def test_the_page_says_which_store_and_not_its_password(run: Run, tmp_path: Path) -> None:
    """A URL with options stays readable."""
    store = file_url(timeout="2s")
    Budget(store=store).session().track(None, "$1", "search")
    assert store in page(run, tmp_path, store)
    assert "audit: every balance is what its records add up to" in page(run, tmp_path, store)


def test_the_page_says_where_the_ledger_disagrees_with_itself(run: Run, tmp_path: Path) -> None:
    """After somebody has changed a balance by hand."""
    store = file_url()
    Budget(name="mine", store=store).session().track(None, "$1", "search")
    with sqlite3.connect(store.removeprefix("sqlite:///")) as other:
        other.execute("UPDATE accounts SET usd = usd + 5 WHERE key = 'mine'")
    other.close()
    text = page(run, tmp_path, store)
    assert (
        "The ledger disagrees with itself" in text
        and "mine: its spent is not what its records add up to" in text
    )

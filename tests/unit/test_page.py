"""The report as a page: the same figures, harmless names, nothing from anywhere."""

from __future__ import annotations

import copy
import html
import json
import pickle
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Limit, StoreUnavailable
from bursar.reports.page import Page
from bursar.reports.page.chart import Bar, day_chart
from bursar.reports.page.escape import column, named

HOSTILE = ["<script>alert(1)</script>", "\u202egnp.exe", '"><img src=x onerror=alert(1)>', "a" * 200]
DAY = {"spent": 1.25, "refusals": 0, "alerts": 0}


class Seen(HTMLParser):
    """What a browser would make of it: tags, addresses, and the text of the cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str | None] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "srcset")]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def days(count: int, **odd: Any) -> dict[str, Any]:
    """A history of so many days, the last of which is odd."""
    found = [{"day": f"2026-{1 + number // 28:02}-{1 + number % 28:02}", **DAY} for number in range(count)]
    found[-1] |= odd
    return {"tz": "UTC", "since": found[0]["day"], "days": found}


def a_report() -> dict[str, Any]:
    """Of a budget with hostile children, limits that are passed, and one of each class of tokens."""
    budget = Budget("$20/day", Limit("1 calls", tool="search"), "$10/total", name="team")
    for name in HOSTILE:
        session = budget.child(name).session()
        session.record("gpt-4o", 100_000, 2_000)
        with pytest.raises(BudgetExceeded):
            for _ in range(2):
                session.track("done", "$0.01", tool_name="search")
    with pytest.raises(BudgetExceeded):
        budget.session().reserve(cost=30)
    return budget.report()


def test_a_page_has_the_figures_of_the_report() -> None:
    """Each model, tool and child with its cost; what is left; the limits, and what was used of them."""
    report = a_report()
    seen = Seen(Page(report=report, history=days(30), made="now", where="sqlite:///budget.db").html())
    text = "|".join(seen.text)
    assert f"|${report['total_spent']:.2f}|" in text
    for part in report["breakdown"].values():
        for name, cost in {**part.get("by_model", {}), **part.get("by_tool", {})}.items():
            assert f"{name}|${cost:.2f}" in text
    assert "$20/day" in text and "sqlite:///budget.db" in text and "UTC" in text
    assert "Spend by day: $37.50 in 30 days" in text
    assert "calls refused, and never sent: 1" in text


def test_a_page_asks_nobody_and_runs_nothing() -> None:
    """No script, no address but that of the empty icon, however its names are written."""
    page = Page(
        report=a_report(), history=days(400), findings=HOSTILE, made=HOSTILE[0], where=HOSTILE[2]
    ).html()
    seen = Seen(page)
    assert not {"script", "img", "iframe", "object", "link"} & set(seen.tags) - {"link"}
    assert seen.addresses == ["data:,"]
    assert "://" not in page and "url(" not in page and "@import" not in page
    assert "\u202e" not in page and html.escape(HOSTILE[0]) in page
    assert len(page.encode()) < 1_000_000


@pytest.mark.parametrize("history", [None, {"tz": "UTC", "since": "2026-01-01", "days": []}])
def test_a_page_of_nothing(history: dict[str, Any] | None) -> None:
    """A budget that was never used has a page, too."""
    text = "|".join(Seen(Page(report=Budget("$5").report(), history=history, made="now").html()).text)
    assert "Nothing was spent yet." in text and "no limit in USD" in text and "Spend by day" not in text


def test_a_session_that_was_refused_at_once() -> None:
    """Its page says so, and what ended it."""
    session = Budget("$0").session()
    with pytest.raises(BudgetExceeded):
        session.reserve("gpt-4o", input_tokens=10, max_output_tokens=10)
    session.trip("enough")
    text = "|".join(Seen(Page(report=session.report(), made="now").html()).text)
    assert "refused|1|" in text and "ended by|" in text and "100%" in text


def test_a_page_tells_what_is_worth_knowing() -> None:
    """Overruns, lowered caps, estimates, caches: each in words, and only where there are any."""
    report = Budget("$5").report()
    report |= {"clamped": 3, "saved": 0.25, "overruns": {"count": 1, "total": 0.5}, "total_spent": 1.0}
    text = "|".join(Seen(Page(report=report, history=days(2, in_doubt=4), made="now").html()).text)
    assert "calls sent with a lower output cap: 3" in text
    assert "calls whose cost nobody knows, booked as `unknown_outcome` says: 4" in text
    assert "charges above their hold: 1, by $0.50 in all" in text and "saved by caches: $0.25" in text
    assert "estimate" not in text


def test_many_models_are_one_row_together() -> None:
    """The dearest ones have theirs."""
    report = Budget("$5").report()
    report["breakdown"]["llm"]["by_model"] = {f"m{number}": 100.0 - number for number in range(32)}
    text = "|".join(Seen(Page(report=report, made="now").html()).text)
    assert "|m0|$100.00|" in text and "|m29|$71.00|2 others|$139.00|" in text and "m30" not in text


def test_a_page_says_why_an_account_is_stopped() -> None:
    """In the words of whoever stopped it, as text."""
    page = Page(report=Budget("$5").report() | {"tripped": HOSTILE[0]}, made="now").html()
    assert f"Stopped: {HOSTILE[0]}" in Seen(page).text


def test_a_long_name_is_cut_in_a_table() -> None:
    """It is there whole for who points at it."""
    assert named("a" * 64) == "a" * 64
    assert named(f"<{'a' * 64}") == f'<span title="&lt;{"a" * 64}">&lt;{"a" * 62}…</span>'


def test_many_children_are_one_row_together() -> None:
    """The page stays short; their sum is there."""
    report = Budget("$5").report()
    child = {"kind": "budget", "total_spent": 1.0, "remaining": None, "children": []}
    report["children"] = [{"session_id": f"c{number}", **child} for number in range(100)]
    text = "|".join(Seen(Page(report=report, made="now").html()).text)
    assert "70 others" in text and "$70.00" in text


def test_accounts_are_told_apart() -> None:
    """Tenants with those below them, three levels deep; sessions; and the agents of sessions by their names."""
    budget = Budget("$20/day", name="team")
    budget.child("alice").child("lab").child("desk").child("drawer").session().track(None, "$1", "search")
    for number in range(2):
        run = budget.session(id=f"run {number}")
        run.part("writer").track(None, "$0.125", "search")
        run.part("critic").track(None, "$0.5", "search")
    found = budget.report()
    for child in found["children"]:
        if child["kind"] == "session":
            child["children"] = budget.session(id=child["session_id"]).report()["children"]
    text = "|".join(Seen(Page(report=found, made="now").html()).text)
    tenants, sessions = text.partition("By tenant")[2].partition("By session")[::2]
    assert all(f"{name}|$1.00|$17.75" in tenants for name in ("alice", "lab", "desk"))
    assert "drawer" not in text and "run" not in tenants
    assert "run 0|$0.625" in sessions and "run 1|$0.625" in sessions
    assert "By agent, in the sessions below|agent|USD|critic|$1.00|writer|$0.25|" in text
    of_one = "|".join(Seen(Page(report=run.report(), made="now").html()).text)
    assert "By agent|agent|USD|critic|$0.500|writer|$0.125|" in of_one and "By session" not in of_one


def test_a_page_says_how_many_sessions_it_leaves_out() -> None:
    """A report has the newest ones; their number is beside that of all."""
    report = Budget("$5").report() | {"sessions": 5_312, "children": [Budget("$5").session(id="a").report()]}
    assert "By session: the newest 1 of 5,312" in Page(report=report, made="now").html()


def test_a_page_tells_where_its_figures_come_from() -> None:
    """Store, durability, since when, whose days, when and by what, and what else there is to say."""
    page = Page(
        report=Budget("$5").report(),
        history=days(2),
        made="at noon by bursar 1",
        where="x.db",
        remarks=["So."],
    )
    said = "Made at noon by bursar 1, from x.db (memory). Days since 2026-01-01, in UTC. So."
    assert said in Seen(page.html()).text


@pytest.mark.parametrize(
    ("findings", "told"),
    [
        (None, []),
        ((), ["audit: every balance is what its records add up to"]),
        (("a: its spent is off",), ["The ledger disagrees with itself", "a: its spent is off"]),
    ],
    ids=["not asked", "clean", "not clean"],
)
def test_a_page_tells_what_an_audit_found(findings: tuple[str, ...] | None, told: list[str]) -> None:
    """Nothing where there was none."""
    text = Seen(Page(report=Budget("$5").report(), findings=findings, made="now").html()).text
    assert [line for line in text if "audit" in line or "ledger" in line or "its spent" in line] == told


def test_amounts_below_each_other_have_the_same_decimals() -> None:
    """As many as one of them needs, two at least; what is not known is left out."""
    assert column([1, 0.125, None, -2_000.5]) == ["$1.000", "$0.125", "", "-$2,000.500"]
    assert column([]) == [] and column([3, 0]) == ["$3.00", "$0.00"]


def test_a_notebook_shows_the_figures_of_a_report() -> None:
    """Of a budget, a session and their reports: spent, left, what on; names are text, and a dollar begins no formula."""
    budget = Budget("$20/day", Limit("1 calls", tool="search"), name=HOSTILE[0])
    session = budget.session(id=HOSTILE[2])
    hold = session.reserve(cost="0.5", tool="book")
    for number in range(7):
        session.track(None, "$0.01", f"tool {number}")
    session.track(None, "$1", HOSTILE[1])
    session.track(None, "$2", "search")
    with pytest.raises(BudgetExceeded):
        session.reserve(cost="30")
    for shown in (budget, budget.report(), session, session.report()):
        seen = Seen(shown._repr_html_() or "")
        text = "|".join(seen.text)
        assert not {"script", "img", "style"} & set(seen.tags) and not seen.addresses
        assert "|: $3.07 spent|held by calls in flight|$0.50|left|$16.43|left of" in text
        assert "|calls and tool runs|9|refused|1|search|$2.00|?gnp.exe|$1.00|tool 0|$0.01|" in text
        assert text.endswith("|4 other models and tools|$0.04")
    assert "|left of $20/day|$16.43|" in "|".join(Seen(budget._repr_html_() or "").text)
    assert 'class="tex2jax_ignore mathjax_ignore"' in budget.report()._repr_html_()
    hold.release()


def test_a_notebook_shows_no_more_than_there_is() -> None:
    """Of a budget without limits that was never used."""
    text = Seen(Budget(name="new").report()._repr_html_()).text  # type: ignore[attr-defined]
    assert text == ["new", ": $0.00 spent", "calls and tool runs", "0"]


def test_a_notebook_shows_the_repr_where_the_store_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """To show a budget raises nothing."""
    budget = Budget("$5")
    gone = StoreUnavailable("gone")

    def read(*_: object) -> None:
        raise gone

    monkeypatch.setattr(budget._ledger.store, "read", read)
    assert budget._repr_html_() is None and repr(budget) == "<Budget 'default': $5/session>"


def test_a_report_is_a_dict() -> None:
    """For JSON, for pickle, and for whoever compares."""
    report = Budget("$5").report()
    assert isinstance(report, dict) and json.loads(json.dumps(report)) == report
    assert pickle.loads(pickle.dumps(report)) == report == copy.deepcopy(report) == dict(report)


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (0.0, ["$0", "$1"]),
        (0.00004, ["$0.00", "$0.00001", "$0.00002", "$0.00003", "$0.00004"]),
        (0.9, ["$0.00", "$0.50", "$1.00"]),
        (22.0, ["$0", "$10", "$20", "$30"]),
        (4.0, ["$0", "$1", "$2", "$3", "$4"]),
    ],
)
def test_the_axis_of_amounts_has_round_steps(most: float, ticks: list[str]) -> None:
    """A few of them, with as many decimals as they need, from 0 to above the dearest day."""
    drawn = day_chart([Bar("2026-01-01", most, 0, 0)], None, 360, "narrow")
    found = re.findall(r'class="tick"[^>]*>([^<]*)<', drawn)
    assert [float(one.strip("$")) for one in found] == [float(one.strip("$")) for one in ticks]


@pytest.mark.parametrize("count", [1, 7, 30, 400])
@pytest.mark.parametrize("width", [360, 960])
def test_the_labels_of_days_do_not_touch(count: int, width: int) -> None:
    """However many days there are: the last one always has its label."""
    bars = [Bar(day["day"], day["spent"], 1, 1) for day in days(count)["days"]]
    drawn = day_chart(bars, ("$1/day", 1.0), width, "wide")
    places = [float(x) for x in re.findall(r'class="day[^"]*" x="([\d.]+)"', drawn)]
    assert places and all(right - left >= 40 for left, right in pairwise(places))
    assert all(0 <= place <= width for place in places)
    assert f">{bars[-1].day[5:]}<" in drawn
    assert drawn.count("<rect") == count and "limit $1/day" in drawn
    assert drawn.count('class="refused"') == count


def test_a_mark_for_alerts_without_refusals() -> None:
    """And for both on one day; their shapes differ, not their colours alone."""
    drawn = day_chart([Bar("2026-01-01", 1, 0, 2), Bar("2026-01-02", 1, 3, 1)], None, 960, "wide")
    assert drawn.count('<circle class="alerted"') == 2 and drawn.count('<polygon class="refused"') == 1
    assert "2026-01-01: 2 alerts" in drawn and "2026-01-02: 3 refused" in drawn


@pytest.mark.parametrize(("limit", "line"), [(3.0, True), (0.5, True), (3.5, False), (9_000.0, False)])
def test_a_limit_is_a_line_where_it_leaves_room_for_the_bars(limit: float, line: bool) -> None:
    """One far above the dearest day is told in words."""
    drawn = day_chart([Bar("2026-01-01", 1.0, 0, 0)], ("$X/day", limit), 960, "wide")
    assert ('<line class="limit"' in drawn) == line and ("limit $X/day, far above" in drawn) != line


def test_a_limit_is_a_line_where_nothing_was_spent() -> None:
    """There are no bars that need room."""
    assert '<line class="limit"' in day_chart([Bar("2026-01-01", 0.0, 0, 0)], ("$5/day", 5.0), 960, "wide")

"""The report as a page: the same figures, harmless names, nothing from anywhere."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Limit
from bursar.reports.page import report_page
from bursar.reports.page.chart import Bar, day_chart

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
    seen = Seen(report_page(report, history=days(30), made="now", where="sqlite:///budget.db"))
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
    page = report_page(a_report(), history=days(400), findings=HOSTILE, made=HOSTILE[0], where=HOSTILE[2])
    seen = Seen(page)
    assert not {"script", "img", "iframe", "object", "link"} & set(seen.tags) - {"link"}
    assert seen.addresses == ["data:,"]
    assert "http" not in page and "url(" not in page and "@import" not in page
    assert "\u202e" not in page and html.escape(HOSTILE[0]) in page
    assert len(page.encode()) < 1_000_000


@pytest.mark.parametrize("history", [None, {"tz": "UTC", "since": "2026-01-01", "days": []}])
def test_a_page_of_nothing(history: dict[str, Any] | None) -> None:
    """A budget that was never used has a page, too."""
    text = "|".join(Seen(report_page(Budget("$5").report(), history=history, made="now")).text)
    assert "Nothing was spent yet." in text and "no limit in USD" in text and "Spend by day" not in text


def test_a_session_that_was_refused_at_once() -> None:
    """Its page says so, and what ended it."""
    session = Budget("$0").session()
    with pytest.raises(BudgetExceeded):
        session.reserve("gpt-4o", input_tokens=10, max_output_tokens=10)
    session.trip("enough")
    text = "|".join(Seen(report_page(session.report(), made="now")).text)
    assert "refused|1|" in text and "ended by|" in text and "100%" in text


def test_a_page_tells_what_is_worth_knowing() -> None:
    """Overruns, lowered caps, estimates, caches: each in words, and only where there are any."""
    report = Budget("$5").report()
    report |= {"clamped": 3, "saved": 0.25, "overruns": {"count": 1, "total": 0.5}, "total_spent": 1.0}
    text = "|".join(Seen(report_page(report, history=days(2, in_doubt=4), made="now")).text)
    assert "calls sent with a lower output cap: 3" in text
    assert "calls whose cost nobody knows, booked as `unknown_outcome` says: 4" in text
    assert "charges above their hold: 1, by $0.50 in all" in text and "saved by caches: $0.25" in text
    assert "estimate" not in text


def test_many_children_are_one_row_together() -> None:
    """The page stays short; their sum is there."""
    report = Budget("$5").report()
    report["children"] = [{"session_id": f"c{number}", "total_spent": 1.0} for number in range(100)]
    text = "|".join(Seen(report_page(report, made="now")).text)
    assert "70 others" in text and "$70.00" in text


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
    """A day of both shows the graver one."""
    drawn = day_chart([Bar("2026-01-01", 1, 0, 2), Bar("2026-01-02", 1, 3, 1)], None, 960, "wide")
    assert drawn.count('class="alerted"') == 1 and drawn.count('class="refused"') == 1
    assert "2026-01-01: 2 alerts" in drawn and "2026-01-02: 3 refused" in drawn

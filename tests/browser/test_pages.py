"""The page in a real browser: it reads well wherever it is opened, asks for nothing, and its totals are the bill."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded
from bursar.cli.app import main
from bursar.reports.page import Page

from ..files import file_url
from .chromium import Chromium, Tab
from .ledgers import DAYS, HOSTILE, Ledger, thirty_days

MEASURE = (Path(__file__).parent / "measure.js").read_text("utf-8")
VIEWS = [(width, scheme, "screen") for width in (390, 1440) for scheme in ("light", "dark")]
VIEWS += [(390, "light", "print"), (718, "dark", "print"), (1440, "dark", "print")]  # A4 has 718
TABLES = """Object.fromEntries([...document.querySelectorAll("section")].map((section) => [
  section.querySelector("h2").textContent,
  [...section.querySelectorAll("tr")].slice(1).map((row) => [...row.cells].map((cell) => cell.textContent)),
]))"""


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    """A month of spending."""
    return thirty_days()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pages are written to."""
    return tmp_path_factory.mktemp("pages")


def written(folder: Path, store: str, *more: str) -> Path:
    """The page of the only budget in a store."""
    path = folder / f"{Path(store).stem}.html"
    assert main(["report", "--store", store, "--html", str(path), *more]) == 0
    return path


def never_used(folder: Path) -> Path:
    """A budget that nobody has spent from."""
    store = file_url()
    Budget(store=store).set_limit("$5/day")
    return written(folder, store)


def one_event(folder: Path) -> Path:
    """One run of a tool."""
    store = file_url()
    Budget("$5/day", store=store).session().track(None, "$0.000000001", "search")
    return written(folder, store)


def refused_at_once(folder: Path) -> Path:
    """The first call did not fit."""
    store = file_url()
    with pytest.raises(BudgetExceeded):
        Budget("$0/day", store=store).session().reserve(cost="$1")
    return written(folder, store)


def of_a_session(folder: Path) -> Path:
    """A session with parts."""
    store = file_url()
    session = Budget("$5", store=store).session(id=HOSTILE[1])
    for name in HOSTILE:
        session.part(name).track(None, "$0.25", name)
    session.trip(HOSTILE[1])
    return written(folder, store, "--account", f"default/{HOSTILE[1]}")


def large_figures(folder: Path) -> Path:
    """All that a page can have at once, with the longest figures and names."""
    budget = Budget("$20/day", "9M tokens/total", name=HOSTILE[3])
    budget.session().track(None, "$1", HOSTILE[3])
    report: dict[str, Any] = budget.report()
    names = {name: 1_234_567.123456789 / (place + 1) for place, name in enumerate(HOSTILE)}
    accounts = [
        {"session_id": name, "kind": kind, "total_spent": usd, "remaining": -usd, "children": []}
        for kind in ("budget", "session")
        for name, usd in names.items()
    ]
    tokens = dict.fromkeys(report["breakdown"]["llm"]["tokens"], 10**13)
    counted = (
        "refusals",
        "would_refuse",
        "contended",
        "clamped",
        "truncated",
        "estimated",
        "in_doubt",
        "alerts",
    )
    report |= {
        "total_spent": 9_876_543.123456789, "reserved": 1_234_567.987654321, "remaining": -1_234_567.1, "saved": 1.5,
        "breakdown": {"llm": {"total": 1, "calls": 10**9, "tokens": tokens, "by_model": names}, "tools": {"total": 1, "calls": 10**9, "by_tool": names}},
        "children": accounts, "sessions": 10**7, "overruns": {"count": 10**6, "total": 12_345.678912345}, "tripped": HOSTILE[1],
        **dict.fromkeys(counted, 10**9),
    }  # fmt: skip
    days = [
        {
            "day": f"2026-01-{number:02}",
            "spent": 123_456.123456789 * number,
            **dict.fromkeys(counted, number % 3),
        }
        for number in range(1, 31)
    ]
    page = Page(
        report=report, history={"tz": "UTC", "since": "2026-01-01", "days": days}, day_limit=("$1234567.123456789/day", 1_234_567.123456789),
        findings=HOSTILE, made="now", where=f"redis://{HOSTILE[3]}", remarks=HOSTILE,
    )  # fmt: skip
    path = folder / "large.html"
    path.write_text(page.html(), "utf-8")
    return path


def thirty(folder: Path, ledger: Ledger) -> Path:
    """A month with three levels of accounts and hostile names."""
    return written(folder, ledger.url)


KINDS: dict[str, Callable[[Path], Path]] = {
    one.__name__: one for one in (never_used, one_event, refused_at_once, of_a_session, large_figures)
}


@pytest.mark.parametrize("kind", ["thirty", *KINDS])
def test_a_page_reads_well_wherever_it_is_opened(
    tab: Tab, folder: Path, ledger: Ledger, kind: str, pytestconfig: pytest.Config
) -> None:
    """On a phone, a wide screen and paper, light and dark: no text is cut, covered or faint, nothing scrolls sideways.

    It writes nothing to the console, and asks for nothing but itself.
    """
    make = KINDS.get(kind) or partial(thirty, ledger=ledger)
    path = make(folder)
    assert path.stat().st_size < 1_000_000
    tab.open(path.as_uri())
    found = {}
    for width, scheme, media in VIEWS:
        tab.look(width, scheme, media)
        for opened in ("false", "true") if media == "screen" else ("false",):
            tab.value(f"document.querySelectorAll('details').forEach((one) => one.open = {opened})")
            found[width, scheme, media, opened] = tab.value(MEASURE)
        if pictures := pytestconfig.getoption("pictures", None):
            tab.picture(pictures / f"{kind}-{width}-{scheme}-{media}.png")
    assert {view: wrong for view, wrong in found.items() if wrong} == {}
    assert (tab.messages(), tab.requests()) == ([], [path.as_uri()])


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ('<div style="width:2000px">far</div>', "scrolls sideways"),
        ('<p style="position:absolute;left:-30px">outside</p>', "outside the window: outside"),
        ('<p style="overflow:hidden;width:30px;white-space:nowrap">much too long</p>', "clipped by P: much too long"),
        ('<p style="overflow:hidden;height:8px">low</p>', "clipped by P: low"),
        ('<svg width="40" height="20"><text x="0" y="14">beyond its drawing</text></svg>', "clipped by svg"),
        ('<p>one</p><p style="margin-top:-38px">two</p>', "overlap: one | two"),
        ('<svg width="90" height="30"><rect class="bar" width="80" height="30"/><text y="14">over</text></svg>', "over a shape: over"),
        ('<svg width="90" height="30"><line class="limit" x2="80" y1="10" y2="10"/><text y="14">struck</text></svg>', "over a shape: struck"),
        ('<p style="color:#999">faint</p>', "contrast 2.85: faint"),
        ('<div style="background:#1a1c20"><p>dark</p></div>', "contrast 1.00: dark"),
        ('<p style="width:0;overflow-wrap:anywhere">abcdefghijklmnopqrstuvwxyz</p>', "squeezed into 26 lines"),
    ],
)  # fmt: skip
def test_what_does_not_read_well_is_found(tab: Tab, folder: Path, added: str, said: str) -> None:
    """Each fault, added to a page that is sound without it."""
    tab.open(one_event(folder).as_uri())
    tab.look(390, "light")
    assert tab.value(MEASURE) == []
    tab.value(f"document.querySelector('main').insertAdjacentHTML('beforeend', {added!r})")
    assert any(wrong.startswith(said) for wrong in tab.value(MEASURE)), tab.value(MEASURE)


@pytest.mark.parametrize("added", ["<img src='http://127.0.0.1:1/'>", "<script src='data:,1'></script>"])
def test_a_page_fetches_and_runs_nothing_even_with_markup_in_it(
    browser: Chromium, folder: Path, added: str
) -> None:
    """Its policy forbids it, and the console says so: the tests of the pages would find it."""
    page = one_event(folder)
    page.write_text(page.read_text("utf-8").replace("<main>", f"<main>{added}"), "utf-8")
    with browser.tab() as tab:
        tab.open(page.as_uri())
        tab.until("document.readyState === 'complete'")
        assert "violates" in str(tab.messages()) and tab.requests()[0] == page.as_uri()


def test_totals_in_the_page_are_the_bill(tab: Tab, folder: Path, ledger: Ledger) -> None:
    """In all, of each day in the zone of the budget, each model, tool, tenant and agent: as the provider billed them."""
    tab.open(thirty(folder, ledger).as_uri())
    tables: dict[str, list[list[str]]] = tab.value(TABLES)
    tiles = dict(
        zip(
            *tab.value(
                "['dt', 'dd'].map((tag) => [...document.querySelectorAll(tag)].map((one) => one.textContent))"
            ),
            strict=True,
        )
    )
    assert nanos(tiles["spent"]) == ledger.total and ledger.refused > 0
    assert tiles["refused"] == str(ledger.refused)
    (title,) = (title for title in tables if title.startswith("Spend by day"))
    assert nanos(title.split(" ")[3]) == ledger.total and title.endswith(f" in {DAYS} days")
    assert {day: nanos(spent) for day, spent, *_ in tables[title]} == dict(ledger.days)
    assert sum(int(refused) for _, _, refused, _ in tables[title]) == ledger.refused
    assert by_name(tables["By model"]) == named(ledger.models)
    assert by_name(tables["By tool"]) == named(ledger.tools)
    tenants = [row for row in tables["By tenant"] if row[0] in named(ledger.tenants)]
    assert by_name(tenants) == named(ledger.tenants)
    assert by_name(tables["By agent, in the sessions below"]) == named(ledger.agents)


def nanos(text: str) -> int:
    """An amount of dollars, digit by digit."""
    whole, _, decimals = text.replace("$", "").replace(",", "").partition(".")
    return int(whole) * 10**9 + int(decimals.ljust(9, "0"))


def by_name(rows: list[list[str]]) -> dict[str, int]:
    """The amounts of a table."""
    return {row[0]: nanos(row[2]) for row in rows}


def named(amounts: dict[str, int]) -> dict[str, int]:
    """The same by names as the page writes them: a mark that turns a line round is a question mark."""
    return {name.replace("\u202e", "?").replace("\u2066", "?"): amount for name, amount in amounts.items()}

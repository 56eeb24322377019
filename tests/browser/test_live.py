"""The live page in a real browser."""

from __future__ import annotations

from bursar import Budget

from ..cli.commands import fill
from ..cli.serving import serving
from ..files import file_url
from ..servers import until
from .chromium import Chromium

SPENT = "document.querySelector('dd').textContent"


def test_open_pages_follow_what_is_spent_and_closed_ones_cost_nothing(browser: Chromium) -> None:
    """Two windows show a call without being loaded anew; the table that was unfolded stays so; nothing is in the console."""
    store = file_url()
    fill(store)
    with serving(store) as served:
        with browser.tab(window=True) as first, browser.tab(window=True) as second:
            for tab in (first, second):
                tab.open(served.server.url)
                assert tab.value(SPENT) == "$1.55"
            first.value("document.querySelector('details').open = true")
            Budget(name="support", store=store).child("bob").session().track(None, "$0.05", "<b>new</b>")
            for tab in (first, second):
                tab.until(f"{SPENT} === '$1.60'")
                assert tab.value("document.title") == "support: $1.60 spent"
                assert "<b>new</b>" in tab.value("document.body.innerText")
            assert first.value("document.querySelector('details').open")
            assert not second.value("document.querySelector('details').open")
            for tab in (first, second):
                assert tab.messages() == []
                assert {url.partition("?")[0] for url in tab.requests()} == {
                    f"http://127.0.0.1:{served.server.port}/",
                    f"http://127.0.0.1:{served.server.port}/events",
                }
        until(lambda: not served.reads)


def test_a_page_that_nobody_sees_asks_for_nothing(browser: Chromium) -> None:
    """A tab behind another one costs the store nothing; it is up to date when it is seen again."""
    store = file_url()
    fill(store)
    with serving(store) as served, browser.tab() as tab:
        tab.open(served.server.url)
        tab.until("document.hidden === false")
        with browser.tab():
            tab.until("document.hidden")
            until(lambda: not served.reads)
            Budget(name="support", store=store).session().track(None, "$0.05", "search")
        tab.until(f"{SPENT} === '$1.60'")


def test_a_page_says_when_its_server_has_ended(browser: Chromium) -> None:
    """The last figures stay, and nobody takes them for live ones."""
    store = file_url()
    fill(store)
    with browser.tab() as tab:
        with serving(store) as served:
            tab.open(served.server.url)
        tab.until("document.querySelector('#state').textContent.includes('not live')")
        assert tab.value(SPENT) == "$1.55"

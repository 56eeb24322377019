"""One browser for all tests of this folder, and pages for it to open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .chromium import Chromium, Tab


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--pictures DIR` keeps what was looked at, for people."""
    parser.addoption("--pictures", type=Path, help="a folder for pictures of the pages")


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    """It starts once."""
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture
def tab(browser: Chromium) -> Iterator[Tab]:
    """A tab for one test, in which nothing went wrong."""
    with browser.tab() as tab:
        yield tab

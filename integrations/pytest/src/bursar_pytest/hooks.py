"""The entry point: the option, the marker and the fixture. bursar is imported when one of them is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from ._tests import Tests

if TYPE_CHECKING:
    from bursar import Session

_TESTS = "bursar-tests"
_MARKER = (
    "budget(*limits, refused=False): what this test may spend, like '$0.05' or '10 calls';"
    " refused=True: a refused call does not fail it."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the limits of the whole run."""
    parser.getgroup("bursar", "budgets for tests that call models").addoption(
        "--budget",
        action="append",
        default=[],
        metavar="LIMIT",
        help="what all tests together may spend, like '$1' or '200 calls'; of several, all hold",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Open the budget of the run, if it has limits."""
    config.addinivalue_line("markers", _MARKER)
    config.pluginmanager.register(Tests(config), _TESTS)


@pytest.fixture
def bursar_session(request: pytest.FixtureRequest) -> Session:
    """The session that pays for this test: for what covered SDKs send, and what is charged to it by hand."""
    tests = cast("Tests", request.config.pluginmanager.get_plugin(_TESTS))
    return tests.pay_for(request.node)

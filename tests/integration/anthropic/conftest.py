"""Real clients of the Anthropic SDK against a provider on this machine that keeps its own bill."""

from __future__ import annotations

from pathlib import Path

import anthropic
import pytest

from ..client_contract.fixtures import *  # noqa: F403 - what the tests of every SDK are given
from ..client_contract.fixtures import parametrize, theirs
from ..client_contract.sdk import ClientSdk
from .sdk import SDK

# Where the SDK has no middleware yet, there is nothing to prove.
collect_ignore = [] if hasattr(anthropic, "Middleware") else ["test_middleware.py"]


@pytest.fixture(scope="session")
def sdk() -> ClientSdk:
    return SDK


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with every kind of client that it needs, and everything of the SDK that it takes."""
    parametrize(metafunc, SDK)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What the SDK warns about by itself is not ours to fail on."""
    theirs(items, Path(__file__).parent)

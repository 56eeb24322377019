"""Servers of their own for tests that break them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ...servers import Server


@pytest.fixture
def server() -> Iterator[Server]:
    """A server without any persistence."""
    started = Server()
    yield started
    started.close()

"""Stores with something in them, and a way to run commands."""

from __future__ import annotations

import pytest

from ..files import file_url
from ..servers import shared_url
from .commands import Run, fill, runner


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process."""
    for name in ("BURSAR_STORE", "BURSAR_BUDGET", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    return runner(capsys)


@pytest.fixture(params=["sqlite", "redis"])
def empty(request: pytest.FixtureRequest) -> str:
    """A store that nobody has used; of SQLite and of Redis."""
    return file_url() if request.param == "sqlite" else shared_url()


@pytest.fixture
def store(empty: str) -> str:
    """The same with `fill` in it."""
    fill(empty)
    return empty

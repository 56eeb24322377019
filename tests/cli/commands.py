"""Runs commands in this process, and fills stores for them to look at."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from bursar import Budget
from bursar.cli.app import main


class Done(NamedTuple):
    """What became of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its document."""
        return json.loads(self.out)


Run = Callable[..., Done]


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line: its words, or one text that is cut at its spaces."""

    def run(*words: object) -> Done:
        capsys.readouterr()
        line = str(words[0]).split(" ") if len(words) == 1 else list(map(str, words))
        status = main(line)
        return Done(status, *capsys.readouterr())

    return run


def fill(store: str) -> None:
    """A budget with two tenants, one of them with a session that has a name; what they spent is plain."""
    budget = Budget("$5", "$20/day", name="support", store=store)
    with budget.child("alice", "$2/day").session(id="run-7") as session:
        session.track(None, "$0.50", "web_search")
        session.record("gpt-4o", 100_000, 50_000)  # at $2.50 and $10 a million: $0.75
    budget.child("bob", "$0.40/total").session().track(None, "$0.30", "web_search")
    Budget(name="nightly", store=store).session(id="one").track(None, "$0.01", "search")

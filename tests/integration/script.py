"""The provider in the words of the tests of any framework, and what these tests say of their environment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bursar import Session
from bursar.integration import Payee
from bursar.testing import Reply, ScriptedProvider, ToolCall


class Script:
    """What the tests of a framework ask of the provider; they add the clients that talk to it.

    Attributes:
        tokens: of an answer for which nothing else is said; None: about as many as its text looks like.
    """

    tokens: int | None = None

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider
        provider.always(Reply("ok", output_tokens=1))

    @property
    def sent(self) -> int:
        """Requests that arrived, whatever became of them."""
        return self.provider.hits

    @property
    def bodies(self) -> list[Mapping[str, Any]]:
        return [served.body for served in self.provider.served]

    @property
    def bill_nanos(self) -> int:
        return self.provider.bill_nanos

    def says(self, *texts: str, **reply: Any) -> None:
        """Answer the next request with a text, or so many with these."""
        for text in texts or ("ok",):
            tokens = self.tokens or max(1, len(text) // 4) + reply.get("reasoning_tokens", 0)
            self.provider.script(Reply(text, **{"output_tokens": tokens, **reply}))

    def calls(self, *tools: tuple[str, dict[str, Any]]) -> None:
        """Answer the next request with calls of tools."""
        self.provider.script(Reply(tool_calls=[ToolCall(*tool) for tool in tools], output_tokens=20))

    def fails(self, status: int, times: int = 1) -> None:
        self.provider.script(*[Reply(status=status)] * times)

    def run(self, *asked: Awaitable[Any]) -> list[Any]:
        """Await these one after the other, in one event loop; a client belongs to one. Nothing may hang."""

        async def one_after_the_other() -> list[Any]:
            return [await asyncio.wait_for(one, 20) for one in asked]

        return asyncio.run(one_after_the_other())

    def assert_exact(self, *payers: Payee | Session) -> None:
        """The provider's bill and the ledger agree to the nano-dollar, and nothing is left held."""
        booked = sum(payer.spent for payer in payers) * 10**9
        assert booked == self.bill_nanos, f"booked {booked}, billed {self.bill_nanos} nano-dollars"
        held = [payer.reserved for payer in payers]
        assert not any(held), f"{held} is held"


def missing(here: Mapping[str, bool]) -> list[str]:
    """What an environment has not, and so why tests are deselected; for the header of the test run."""
    return [f"not in this environment: {', '.join(what for what in here if not here[what]) or 'nothing'}"]


def choose(
    config: pytest.Config,
    items: list[pytest.Item],
    home: Path,
    theirs: Iterable[str],
    here: Mapping[str, bool] | None = None,
) -> None:
    """Prepare the tests of a folder: what a framework warns about by itself is not ours to fail on.

    Args:
        config: of the test run.
        items: the tests; those that need what is not here are taken out, so that one which is collected runs.
        home: the folder.
        theirs: filters of warnings.
        here: what a test may need, by the words of its marker `needs`: is it here?
    """
    mine = [item for item in items if item.path.parent == home]
    for item in mine:
        for warning in theirs:
            item.add_marker(pytest.mark.filterwarnings(warning))
    without = {
        item for item in mine if not all((here or {})[mark.args[0]] for mark in item.iter_markers("needs"))
    }
    if without:
        config.hook.pytest_deselected(items=[item for item in items if item in without])
        items[:] = [item for item in items if item not in without]

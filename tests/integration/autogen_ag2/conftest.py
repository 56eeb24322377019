"""Real agents of AG2 1.x against a provider on this machine that keeps its own bill."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ag2 import Agent
from ag2.config import AnthropicConfig, OpenAIConfig

from bursar import Session
from bursar.integration import Payee
from bursar.testing import Rate, Reply, ScriptedProvider, ToolCall


class Script:
    """What the tests ask of the provider, and the configs that talk to it."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider
        provider.always(Reply("ok", output_tokens=1))

    @property
    def sent(self) -> int:
        return self.provider.hits

    def says(self, *texts: str, **reply: Any) -> None:
        reply.setdefault("output_tokens", 5)
        self.provider.script(*[Reply(text, **reply) for text in texts])

    def calls(self, *tools: tuple[str, dict[str, Any]]) -> None:
        self.provider.script(Reply(tool_calls=[ToolCall(*tool) for tool in tools], output_tokens=20))

    def config(self, brand: str = "openai", **settings: Any) -> OpenAIConfig | AnthropicConfig:
        known = {"api_key": "none", "max_tokens": 50, "max_retries": 0, **settings}
        if brand == "anthropic":
            return AnthropicConfig(
                **{"model": "claude-haiku-4-5", "base_url": self.provider.anthropic_url, **known}
            )
        return OpenAIConfig(**{"model": "gpt-4o", "base_url": self.provider.openai_url, **known})

    def agent(self, name: str = "agent", **settings: Any) -> Agent:
        return Agent(name, "Be brief.", config=self.config(**settings))

    def run(self, *asked: Awaitable[Any]) -> list[Any]:
        """Await these one after the other. Nothing may hang."""

        async def one_after_the_other() -> list[Any]:
            return [await asyncio.wait_for(one, 20) for one in asked]

        return asyncio.run(one_after_the_other())

    def assert_exact(self, payer: Payee | Session) -> None:
        """The provider's bill and the ledger agree to the nano-dollar, and nothing is left held."""
        assert payer.spent * 10**9 == self.provider.bill_nanos
        assert payer.reserved == 0


@pytest.fixture
def provider() -> Iterator[Script]:
    rates = {
        "gpt-4o": Rate("2.50", "10", "1.25"),
        "claude-haiku-4-5": Rate("1", "5", "0.10", "1.25", "2"),
    }
    with ScriptedProvider(rates=rates, snapshots={"gpt-4o": "gpt-4o-2024-08-06"}) as provider:
        yield Script(provider)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What the frameworks warn about among themselves is not ours to fail on."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for category in ("DeprecationWarning", "ResourceWarning", "UserWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{category}"))

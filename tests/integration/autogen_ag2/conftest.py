"""Real agents of AG2 1.x against a provider on this machine that keeps its own bill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ag2 import Agent
from ag2.config import AnthropicConfig, OpenAIConfig

from bursar.testing import Rate, ScriptedProvider

from ..script import Script as AnyScript
from ..script import choose


class Script(AnyScript):
    """What the tests ask of the provider, and the configs that talk to it."""

    tokens = 5

    def config(self, brand: str = "openai", **settings: Any) -> OpenAIConfig | AnthropicConfig:
        known = {"api_key": "none", "max_tokens": 50, "max_retries": 0, **settings}
        if brand == "anthropic":
            return AnthropicConfig(
                **{"model": "claude-haiku-4-5", "base_url": self.provider.anthropic_url, **known}
            )
        return OpenAIConfig(**{"model": "gpt-4o", "base_url": self.provider.openai_url, **known})

    def agent(self, name: str = "agent", **settings: Any) -> Agent:
        return Agent(name, "Be brief.", config=self.config(**settings))


@pytest.fixture
def provider() -> Iterator[Script]:
    rates = {
        "gpt-4o": Rate("2.50", "10", "1.25"),
        "claude-haiku-4-5": Rate("1", "5", "0.10", "1.25", "2"),
    }
    with ScriptedProvider(rates=rates, snapshots={"gpt-4o": "gpt-4o-2024-08-06"}) as provider:
        yield Script(provider)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the frameworks warn about among themselves is not ours to fail on."""
    theirs = (f"ignore::{category}" for category in ("DeprecationWarning", "ResourceWarning", "UserWarning"))
    choose(config, items, Path(__file__).parent, tuple(theirs))

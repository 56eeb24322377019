"""Real agents of the classic autogen against a provider on this machine that keeps its own bill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import autogen
import pytest
from autogen import ConversableAgent, GroupChat, UserProxyAgent

from bursar.testing import Rate, ScriptedProvider

from ..script import Script as AnyScript
from ..script import choose, missing


class Script(AnyScript):
    """What the tests ask of the provider, and the configs that talk to it."""

    tokens = 5

    def config(self, stream: bool = False, **entry: Any) -> dict[str, Any]:
        """An llm_config; without the cache on disk that old versions have by default."""
        model = {"model": "gpt-4o", "base_url": self.provider.openai_url, "api_key": "none", **entry}
        if stream:
            model["stream"] = True
        return {"config_list": [model], "cache_seed": None, "max_tokens": 50}


@pytest.fixture
def provider() -> Iterator[Script]:
    rates = {"gpt-4o": Rate("2.50", "10", "1.25")}
    with ScriptedProvider(rates=rates, snapshots={"gpt-4o": "gpt-4o-2024-08-06"}) as provider:
        yield Script(provider)


def proxy(**settings: Any) -> UserProxyAgent:
    """One that answers for ever."""
    return UserProxyAgent(
        "user",
        human_input_mode="NEVER",
        code_execution_config=False,
        default_auto_reply="go on",
        **settings,
    )


def chat(way: str, starter: Any, other: Any, turns: int | None, message: str = "go", **settings: Any) -> None:
    """Talk, in one of the ways that there are."""
    if way == "sync":
        starter.initiate_chat(other, message=message, max_turns=turns, silent=True, **settings)
    elif way == "async":
        asyncio.run(starter.a_initiate_chat(other, message=message, max_turns=turns, silent=True, **settings))
    else:
        starter.run(other, message=message, max_turns=turns, **settings).process()


WAYS = ["sync", "async", pytest.param("run", marks=pytest.mark.needs("run"))]

HERE = {
    "selection of speakers": hasattr(GroupChat, "_create_internal_agents"),
    "run": hasattr(ConversableAgent, "run"),
    # Before, autogen counts by itself, with a tokenizer from the network.
    "streams that tell their usage": tuple(map(int, autogen.__version__.split(".")[:2])) >= (0, 11),
}


def pytest_configure(config: pytest.Config) -> None:
    """Tests say what they need, and are not collected where it is missing: one that is collected runs."""
    config.addinivalue_line("markers", "needs(what): see HERE in the conftest of the classic tests")


def pytest_report_header() -> list[str]:
    """Say what is missing, and so why tests are deselected."""
    return missing(HERE)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the frameworks warn about among themselves is not ours to fail on."""
    categories = ("DeprecationWarning", "ResourceWarning", "UserWarning", "RuntimeWarning")
    choose(config, items, Path(__file__).parent, [f"ignore::{category}" for category in categories], HERE)

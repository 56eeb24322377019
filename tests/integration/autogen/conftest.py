"""Real agents, teams and clients of AutoGen against a provider on this machine that keeps its own bill."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_core.models import ChatCompletionClient, ModelInfo
from autogen_ext.models.anthropic import AnthropicChatCompletionClient
from autogen_ext.models.openai import OpenAIChatCompletionClient

from bursar.testing import Rate, ScriptedProvider

from ..script import Script as AnyScript
from ..script import choose, missing

os.environ["AUTOGEN_DISABLE_RUNTIME_TRACING"] = "true"

RATES = {
    "gpt-4o": Rate("2.50", "10", "1.25"),
    "claude-haiku-4-5": Rate("1", "5", "0.10", "1.25", "2"),
}
INFO = ModelInfo(
    vision=True, function_calling=True, json_output=True, family="unknown", structured_output=True
)

# What an orchestrator has to be told of its team's progress.
LEDGER = (
    '{"is_request_satisfied": {"reason": "", "answer": false},'
    ' "is_progress_being_made": {"reason": "", "answer": true},'
    ' "is_in_loop": {"reason": "", "answer": false},'
    ' "instruction_or_question": {"reason": "", "answer": "go on"},'
    ' "next_speaker": {"reason": "", "answer": "writer"}}'
)


class Script(AnyScript):
    """What the tests ask of the provider, and the clients that talk to it."""

    tokens = 5

    def openai(self, **settings: Any) -> OpenAIChatCompletionClient:
        return OpenAIChatCompletionClient(
            base_url=self.provider.openai_url,
            api_key="none",
            model_info=INFO,
            **{"model": "gpt-4o", "max_tokens": 50, "max_retries": 0, **settings},
        )

    def anthropic(self, **settings: Any) -> AnthropicChatCompletionClient:
        return AnthropicChatCompletionClient(
            base_url=self.provider.anthropic_url,
            api_key="none",
            model_info={**INFO, "structured_output": False},  # which this client has not
            **{"model": "claude-haiku-4-5", "max_tokens": 50, "max_retries": 0, **settings},
        )

    def client(self, brand: str, **settings: Any) -> ChatCompletionClient:
        return self.openai(**settings) if brand == "openai" else self.anthropic(**settings)


@pytest.fixture
def provider() -> Iterator[Script]:
    with ScriptedProvider(rates=RATES, snapshots={"gpt-4o": "gpt-4o-2024-08-06"}) as provider:
        yield Script(provider)


def agent(name: str, client: ChatCompletionClient, **settings: Any) -> AssistantAgent:
    return AssistantAgent(name, client, description=name, **settings)


def team_of(kind: str, client: ChatCompletionClient, turns: int | None = None, **agents: Any) -> Any:
    """A team of two agents that talks until something stops it."""
    end = MaxMessageTermination(turns + 1 if turns else 60)
    both = [agent(name, client, **agents) for name in ("writer", "critic")]
    if kind == "round robin":
        return RoundRobinGroupChat(both, termination_condition=end)
    if kind == "nested":
        inner = RoundRobinGroupChat(both, max_turns=2)
        middle = RoundRobinGroupChat([inner, agent("reviewer", client)], max_turns=2)
        return RoundRobinGroupChat([middle, agent("editor", client)], termination_condition=end)
    if kind == "selector":
        return SelectorGroupChat(both, client, termination_condition=end, max_selector_attempts=1)
    if kind == "swarm":
        return Swarm(both, termination_condition=end)
    if kind == "magentic one":
        return MagenticOneGroupChat(both, client, termination_condition=end)
    if kind == "graph flow":
        graph = DiGraphBuilder()
        first, second = both
        more = [agent(f"agent_{number}", client) for number in range(8)]
        nodes = [first, second, *more]
        for node in nodes:
            graph.add_node(node)
        for one, next_one in pairwise(nodes):
            graph.add_edge(one, next_one)
        return GraphFlow(nodes, graph=graph.build())
    raise AssertionError(kind)


def play(provider: Script, kind: str) -> None:
    """What the selector and the orchestrator have to be told."""
    if kind == "selector":
        provider.says(*["writer", "ok"] * 10)
    if kind == "magentic one":
        provider.says("facts", "plan", *[LEDGER, "ok"] * 10)


nested = pytest.param("nested", marks=pytest.mark.needs("teams in teams"))
TEAMS = ("round robin", nested, "selector", "swarm", "magentic one", "graph flow")

THEIRS = (
    "ignore::DeprecationWarning",
    "ignore::ResourceWarning",  # clients that are closed by the collector
    "ignore::pytest.PytestUnraisableExceptionWarning",  # the same, in a finaliser
    "ignore::UserWarning",
)


# What a test may need of AutoGen: is it here?
HERE = {"teams in teams": hasattr(RoundRobinGroupChat, "name")}


def pytest_configure(config: pytest.Config) -> None:
    """Tests say what they need, and are not collected where it is missing: one that is collected runs."""
    config.addinivalue_line("markers", "needs(what): see HERE in the conftest of the AutoGen tests")


def pytest_report_header() -> list[str]:
    """Say what is missing, and so why tests are deselected."""
    return missing(HERE)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the frameworks warn about among themselves is not ours to fail on."""
    choose(config, items, Path(__file__).parent, THEIRS, HERE)

"""Each call costs what the provider bills."""

from __future__ import annotations

from decimal import Decimal

import pytest
from autogen_core.models import CreateResult, RequestUsage, UserMessage
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.replay import ReplayChatCompletionClient

from bursar import Budget
from bursar_autogen.agentchat import BudgetedAssistantAgent, BudgetedChatCompletionClient, budgeted

from .conftest import TEAMS, Script, play, team_of

QUESTION = [UserMessage(content="Why is the sky blue?", source="user")]


@pytest.mark.seam
@pytest.mark.parametrize("brand", ["openai", "anthropic"])
@pytest.mark.parametrize(
    "usage", [{}, {"cached_input_tokens": 3}, {"cached_input_tokens": 2, "cache_write_tokens": 3}]
)
def test_answer_is_charged_to_the_nano_dollar(provider: Script, brand: str, usage: dict[str, int]) -> None:
    """Also the tokens of the prompt cache, which AutoGen's own usage leaves out."""
    if brand == "openai":
        usage = {name: count for name, count in usage.items() if name == "cached_input_tokens"}
    provider.says("because", input_tokens=10, **usage)
    client = BudgetedChatCompletionClient(provider.client(brand), "$1")
    (answer,) = provider.run(client.create(QUESTION))
    assert answer.content == "because"
    assert provider.sent == 1
    assert client.spent > 0
    provider.assert_exact(client)


def test_reasoning_tokens_are_charged(provider: Script) -> None:
    """They are part of the output; AutoGen tells nothing of them by themselves."""
    provider.says("because", output_tokens=40, reasoning_tokens=30)
    client = BudgetedChatCompletionClient(provider.openai(), "$1")
    provider.run(client.create(QUESTION))
    provider.assert_exact(client)


@pytest.mark.parametrize("brand", ["openai", "anthropic"])
@pytest.mark.parametrize("kind", TEAMS)
def test_team_is_charged_exactly(provider: Script, kind: str, brand: str) -> None:
    """Requests are charges, the bill is the ledger, and nothing stays reserved, with clients of both SDKs."""
    play(provider, kind)
    team = budgeted(team_of(kind, provider.client(brand), 4), "$1")
    provider.run(team.run(task="go"))
    assert provider.sent == team.session.calls > 0
    provider.assert_exact(team)


@pytest.mark.parametrize("inside", [True, False])
def test_hit_of_the_cache_is_free(provider: Script, inside: bool) -> None:
    """AutoGen's cache, above the budget or below it: two calls, one request, one charge."""
    session = Budget("$1").session()
    if inside:
        client = BudgetedChatCompletionClient(ChatCompletionCache(provider.openai()), session)
        both = [client, client]
    else:
        cache = ChatCompletionCache(BudgetedChatCompletionClient(provider.openai(), session))
        both = [cache, cache]
    answers = provider.run(*(client.create(QUESTION) for client in both))
    assert answers[1].cached
    assert provider.sent == 1
    provider.assert_exact(session)


def test_client_of_no_covered_sdk_is_held_and_settled(provider: Script) -> None:
    """A client that sends by itself is reserved at its worst case, and charged by the usage that it tells."""
    usage = RequestUsage(prompt_tokens=1_000, completion_tokens=100)
    answer = CreateResult(finish_reason="stop", content="ok", usage=usage, cached=False)
    inner = ReplayChatCompletionClient([answer])
    client = BudgetedChatCompletionClient(inner, "$1", model="gpt-4o")
    provider.run(client.create(QUESTION))
    assert client.spent == Decimal("0.0035")
    assert client.reserved == 0


def test_answer_without_usage_costs_the_worst_case(provider: Script) -> None:
    """Where nobody tells the usage, what was held is charged, and not nothing."""
    usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
    answer = CreateResult(finish_reason="stop", content="ok", usage=usage, cached=False)
    inner = ReplayChatCompletionClient([answer])
    client = BudgetedChatCompletionClient(inner, "$1", model="gpt-4o")
    provider.run(client.create(QUESTION))
    assert client.spent > Decimal("0.1")  # the model's own cap of 16,384 tokens, at $10 a million
    assert client.reserved == 0


def test_report_has_the_cost_of_each_agent(provider: Script) -> None:
    """Agents are parts of the session: their costs add up to what the provider bills."""
    team = budgeted(team_of("round robin", provider.openai(), 3), "$1")
    provider.run(team.run(task="go"))
    agents = team.get_report()["agents"]
    assert list(agents) == ["writer", "critic"]
    assert sum(agents.values()) == pytest.approx(float(provider.provider.bill))


def test_agents_name_is_in_the_report_of_an_agent(provider: Script) -> None:
    """An agent that is budgeted by itself is a part of its session, too."""
    writer = BudgetedAssistantAgent("writer", provider.openai(), budget="$1")
    provider.run(writer.run(task="go"))
    assert writer.report()["agents"] == {"writer": pytest.approx(float(writer.spent))}

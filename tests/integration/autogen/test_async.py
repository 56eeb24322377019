"""Many agents at once never pass the limit together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from autogen_core.models import UserMessage

from bursar import Budget, BudgetExceeded
from bursar_autogen.agentchat import BudgetedChatCompletionClient, budgeted

from .conftest import Script, team_of

QUESTION = [UserMessage(content="Why?", source="user")]


@pytest.mark.parametrize("same_messages", [True, False])
def test_parallel_calls_share_one_limit(provider: Script, same_messages: bool) -> None:
    """Ten calls at once with money for three: three requests, also where all send the same list."""
    session = Budget("3 calls", max_repeated_calls=None).session()

    async def ask() -> list[Any]:
        client = BudgetedChatCompletionClient(provider.openai(), session)
        asked = [QUESTION if same_messages else list(QUESTION) for _ in range(10)]
        return await asyncio.gather(*map(client.create, asked), return_exceptions=True)

    (answers,) = provider.run(ask())
    assert sum(isinstance(answer, BudgetExceeded) for answer in answers) == 7
    assert provider.sent == 3
    provider.assert_exact(session)


def test_runs_at_once_get_their_own_refusals(provider: Script) -> None:
    """Two teams of two budgets run at once: the one that is refused raises, and the other one ends."""

    async def both() -> list[Any]:
        poor = budgeted(team_of("round robin", provider.openai(), 4), Budget("2 calls"))
        rich = budgeted(team_of("round robin", provider.openai(), 4), Budget("$1"))
        return await asyncio.gather(poor.run(task="go"), rich.run(task="go"), return_exceptions=True)

    ((poor, rich),) = provider.run(both())
    assert isinstance(poor, BudgetExceeded)
    assert "2 calls" in str(poor)
    assert len(rich.messages) == 5
    assert provider.sent == 6


def test_parallel_branches_of_a_graph_share_one_limit(provider: Script) -> None:
    """A graph that asks three agents at once, with money for two calls: two requests, and the type is kept."""
    from autogen_agentchat.teams import DiGraphBuilder, GraphFlow

    from .conftest import agent

    async def fan_out() -> Any:
        nodes = [agent(name, provider.openai()) for name in "abc"]
        graph = DiGraphBuilder()
        for node in nodes:
            graph.add_node(node)
        team = budgeted(GraphFlow(nodes, graph=graph.build()), Budget("2 calls"))
        with pytest.raises(BudgetExceeded):
            await team.run(task="go")
        return team

    (team,) = provider.run(fan_out())
    assert provider.sent <= 2
    assert team.session.calls <= 2
    assert team.spent >= provider.provider.bill

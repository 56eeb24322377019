"""A selector team with a limit for one agent: it ends with a stop reason, and the report has each one's cost.

Runs against a provider on this machine.
"""

from __future__ import annotations

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import SelectorGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient

from bursar import Budget
from bursar.testing import Reply, ScriptedProvider
from bursar_autogen import budgeted


async def main(url: str) -> None:
    model = OpenAIChatCompletionClient(model="gpt-4o-mini", base_url=url, api_key="none", max_tokens=200)
    agents = [AssistantAgent(name, model, description=name) for name in ("writer", "critic", "editor")]
    team = budgeted(
        SelectorGroupChat(agents, model, allow_repeated_speaker=True),
        Budget("$0.05"),
        agents={"writer": "2 calls"},
        on_budget="stop",
    )
    result = await team.run(task="Write a poem about money.")
    print(result.stop_reason)
    print(team.report()["agents"])
    assert "budget" in str(result.stop_reason)
    assert team.reserved == 0


if __name__ == "__main__":
    with ScriptedProvider() as provider:
        provider.always(Reply("writer", output_tokens=20))
        asyncio.run(main(provider.openai_url))

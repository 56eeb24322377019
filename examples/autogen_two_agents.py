"""Two agents of AgentChat talk, on one budget of a tenth of a cent.

Runs against a provider on this machine.
"""

from __future__ import annotations

import asyncio

from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient

from bursar import Budget
from bursar.testing import ScriptedProvider
from bursar_autogen import BudgetedAssistantAgent, BudgetTermination


async def main(provider: ScriptedProvider) -> None:
    model = OpenAIChatCompletionClient(
        model="gpt-4o-mini", base_url=provider.openai_url, api_key="none", max_tokens=200
    )
    session = Budget("$0.001").session()  # a text for each would be two budgets
    agents = [
        BudgetedAssistantAgent(name, model, budget=session, on_budget="stop") for name in ("writer", "critic")
    ]
    team = RoundRobinGroupChat(agents, termination_condition=BudgetTermination(session))
    result = await team.run(task="Talk about the weather for ever.")
    print(result.stop_reason)
    assert session.spent == provider.bill
    print(session.report()["total_spent"])


if __name__ == "__main__":
    with ScriptedProvider() as provider:
        asyncio.run(main(provider))

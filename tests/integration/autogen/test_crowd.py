"""Fifty different calls at once, without an output cap, on a budget that holds three worst cases."""

from __future__ import annotations

import pytest
from autogen_core.models import UserMessage

from bursar import Budget
from bursar_autogen.agentchat import BudgetedChatCompletionClient

from .. import crowd
from .conftest import Script


@pytest.mark.parametrize("store", crowd.STORES)
def test_fifty_calls_at_once_are_all_served(store: str, provider: Script) -> None:
    """In tasks and at most ten waves; none with a cap below 8,192."""

    async def ask(budget: Budget) -> None:
        model = provider.openai(model="gpt-4o", max_tokens=None)
        client = BudgetedChatCompletionClient(model, budget.session())

        async def call(number: int) -> None:
            await client.create([UserMessage(content=crowd.question(number), source="user")])

        await crowd.in_tasks(call)
        await client.close()

    with crowd.in_waves(provider.provider, "$0.50", store) as budget:
        provider.run(ask(budget))

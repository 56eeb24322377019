"""Fifty different calls at once, without an output cap, on a budget that holds three worst cases."""

from __future__ import annotations

import pytest
from autogen_core.models import UserMessage

from bursar_autogen.agentchat import BudgetedChatCompletionClient

from .. import crowd
from .conftest import Script


@pytest.mark.parametrize("store", crowd.STORES)
def test_fifty_calls_at_once_are_all_served(store: str, provider: Script) -> None:
    """In tasks; none with a cap below 8,192."""
    crowd.scripted(provider.provider)
    session = crowd.budget("$0.50", store).session()

    async def ask() -> None:
        client = BudgetedChatCompletionClient(provider.openai(model="gpt-4o", max_tokens=None), session)

        async def call(number: int) -> None:
            await client.create([UserMessage(content=crowd.question(number), source="user")])

        await crowd.in_tasks(call)
        await client.close()

    provider.run(ask())
    crowd.all_are_served(provider.provider, session)

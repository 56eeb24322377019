"""Fifty different calls at once, without an output cap, on a budget that holds three worst cases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI

from bursar_llamaindex import BudgetCallback

from .. import crowd
from .conftest import Script, managed, run


@pytest.mark.parametrize("store", crowd.STORES)
@pytest.mark.parametrize("how", ["chat", "achat"])
def test_fifty_calls_at_once_are_all_served(how: str, store: str, provider: Script) -> None:
    """In threads or tasks, and at most ten waves; none with a cap below 8,192."""

    def asked(number: int) -> list[ChatMessage]:
        return [ChatMessage(role="user", content=crowd.question(number))]

    with crowd.in_waves(provider.provider, "$0.50", store) as budget:
        model: Any = OpenAI(
            model="gpt-4o",
            api_base=provider.provider.openai_url,
            api_key="none",
            max_retries=0,
            callback_manager=managed(BudgetCallback(budget)),
        )
        if how == "chat":
            crowd.in_threads(lambda number: model.chat(asked(number)))
        else:
            run(asyncio.wait_for(crowd.in_tasks(lambda number: model.achat(asked(number))), 60))

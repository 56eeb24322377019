"""Many calls at once on one budget: as many are sent as fit, and each is charged once."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from tests.integration.llamaindex.conftest import QUESTION, managed, run

from bursar import BudgetExceeded
from bursar.testing import Reply
from bursar_llamaindex import BudgetCallback, install

if TYPE_CHECKING:
    from tests.integration.llamaindex.conftest import Script


@pytest.mark.parametrize("brand", ["openai", "anthropic", "elsewhere"])
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_no_more_tasks_are_served_than_the_budget_has_calls_for(
    streaming: bool, brand: str, provider: Script
) -> None:
    """Of twelve at once four are sent, and eight refused."""
    budget = BudgetCallback("4 calls")
    Settings.callback_manager = managed(budget)
    model = provider.model(brand)

    async def one() -> None:
        if streaming:
            assert [part async for part in await model.astream_chat(QUESTION)]
        else:
            await model.achat(QUESTION)

    async def many() -> list[Any]:
        return await asyncio.gather(*(one() for _ in range(12)), return_exceptions=True)

    outcomes = run(many())
    assert sum(outcome is None for outcome in outcomes) == 4
    assert sum(isinstance(outcome, BudgetExceeded) for outcome in outcomes) == 8
    assert provider.sent == 4
    provider.assert_exact(budget)


@pytest.mark.parametrize("brand", ["openai", "elsewhere"])
@pytest.mark.parametrize("way", ["Settings", "install"])
def test_plain_threads_pay_as_any_other(way: str, brand: str, provider: Script) -> None:
    """They have no context of the caller's: the handler is found without one."""
    if way == "install":
        budget = install("4 calls")
    else:
        budget = BudgetCallback("4 calls")
        Settings.callback_manager = managed(budget)
    model = provider.model(brand)
    refused: list[BudgetExceeded] = []

    def one() -> None:
        try:
            model.chat(QUESTION)
        except BudgetExceeded as refusal:
            refused.append(refusal)

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 8
    assert provider.sent == 4
    provider.assert_exact(budget)


def test_a_cancelled_call_is_booked_for_what_it_may_have_cost(provider: Script) -> None:
    """It was sent, and its answer is not awaited: nothing stays held."""
    budget = BudgetCallback("$1")
    Settings.callback_manager = managed(budget)
    answered = threading.Event()
    provider.provider.script(Reply(gate=answered))

    async def cancelled() -> None:
        task = asyncio.create_task(provider.model().achat(QUESTION))
        await asyncio.to_thread(provider.provider.wait_for, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    answered.set()
    assert budget.reserved == 0
    assert budget.spent > 0

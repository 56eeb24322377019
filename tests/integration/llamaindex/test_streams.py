"""Streams: read to the end, left in the middle, cancelled, or never read at all."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from tests.integration.llamaindex.conftest import QUESTION, managed, run

from bursar import Budget
from bursar.integration import covered_hold
from bursar.testing import Reply
from bursar_llamaindex import BudgetCallback

if TYPE_CHECKING:
    from tests.integration.llamaindex.conftest import Script

LONG = Reply("word " * 40, output_tokens=40)
METHODS = ["stream_chat", "stream_complete"]
SDKS = ["openai", "responses", "anthropic"]


def guarded(limit: str = "$1") -> BudgetCallback:
    budget = BudgetCallback(Budget(limit, unknown_outcome="worst"))
    Settings.callback_manager = managed(budget)
    return budget


def asked(method: str) -> Any:
    return QUESTION if "chat" in method else "Why is the sky blue?"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("brand", "sent"), [("openai", 0), ("responses", 0), ("anthropic", 1)])
def test_a_stream_that_is_never_read_holds_nothing(
    brand: str, sent: int, method: str, provider: Script
) -> None:
    """OpenAI's was never sent and costs nothing; Anthropic's was sent, and is booked at its worst case."""
    budget = guarded()
    stream = getattr(provider.model(brand), method)(asked(method))
    assert provider.sent == sent
    del stream
    gc.collect()
    assert budget.reserved == 0
    assert (budget.spent * 10**9 >= provider.bill_nanos) and (budget.spent > 0) == bool(sent)


def test_the_money_of_an_unread_stream_pays_for_nothing_else(provider: Script) -> None:
    """What is sent afterwards through the SDK is not on the promise that was made for the stream."""
    budget = guarded()
    model = provider.model()
    stream = model.stream_chat(QUESTION)
    del stream
    gc.collect()
    model._get_client().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "a"}]
    )
    assert provider.sent == 1 and budget.spent == 0
    assert covered_hold() is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("brand", SDKS)
def test_a_stream_that_is_left_is_booked_by_the_sdk_alone(brand: str, method: str, provider: Script) -> None:
    """After the first part the SDK has the hold: one call is booked, for at least what is on the bill."""
    provider.provider.always(LONG)
    budget = guarded()
    stream = getattr(provider.model(brand), method)(asked(method))
    next(stream)
    stream.close()
    del stream
    gc.collect()
    assert budget.reserved == 0
    assert budget.report()["breakdown"]["llm"]["calls"] == 1
    assert budget.spent * 10**9 >= provider.bill_nanos > 0


@pytest.mark.parametrize("brand", SDKS)
def test_a_cancelled_stream_is_booked_by_the_sdk_alone(brand: str, provider: Script) -> None:
    """The task that reads it is cancelled: one call is booked, for at least what is on the bill."""
    provider.provider.always(LONG)
    budget = guarded()

    async def read() -> None:
        stream = await provider.model(brand).astream_chat(QUESTION)
        arrived = asyncio.Event()

        async def parts() -> None:
            async for _ in stream:
                arrived.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(parts())
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stream.aclose()

    run(read())
    gc.collect()
    assert budget.reserved == 0
    assert budget.report()["breakdown"]["llm"]["calls"] == 1
    assert budget.spent * 10**9 >= provider.bill_nanos > 0


@pytest.mark.parametrize("brand", ["openai", "anthropic"])
def test_two_streams_at_once_are_charged_once_each(brand: str, provider: Script) -> None:
    """They are made one after the other, and read in turns."""
    budget = guarded()
    model = provider.model(brand)
    one, other = model.stream_chat(QUESTION), model.stream_chat(QUESTION)
    while (next(one, None), next(other, None)) != (None, None):
        pass
    assert provider.sent == 2
    assert budget.report()["breakdown"]["llm"]["calls"] == 2
    provider.assert_exact(budget)


def test_a_call_between_two_parts_of_a_stream_is_another_one(provider: Script) -> None:
    """Also when it is made before the first part, which is when OpenAI's request is sent."""
    budget = guarded()
    model = provider.model()
    stream = model.stream_chat(QUESTION)
    model.chat(QUESTION)
    assert list(stream)
    assert provider.sent == 2
    provider.assert_exact(budget)


@pytest.mark.parametrize("read", [True, False])
def test_a_stream_on_neither_sdk_leaves_no_hold(read: bool, provider: Script) -> None:
    """Read, it is charged exactly; never read, it may have been sent, and is booked at its worst case."""
    budget = guarded()
    stream = provider.model("elsewhere").stream_chat(QUESTION)
    if read:
        assert list(stream)
        provider.assert_exact(budget)
    del stream
    gc.collect()
    assert budget.spent > 0
    assert budget.reserved == 0

"""Streams settle exactly, however they end."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from autogen_core import CancellationToken
from autogen_core.models import CreateResult, UserMessage

from bursar import Budget, BudgetExceeded
from bursar_autogen.agentchat import BudgetedAssistantAgent, BudgetedChatCompletionClient, budgeted

from .conftest import Script, team_of

QUESTION = [UserMessage(content="Why is the sky blue?", source="user")]


@pytest.mark.seam
@pytest.mark.parametrize("brand", ["openai", "anthropic"])
def test_stream_is_charged_exactly(provider: Script, brand: str) -> None:
    """AutoGen's stream tells no usage unless asked; the covered SDK asks, and books."""
    provider.says("one two three four five", input_tokens=20, output_tokens=9)
    client = BudgetedChatCompletionClient(provider.client(brand), "$1")
    (chunks,) = provider.run(_all(client.create_stream(QUESTION)))
    assert "".join(chunk for chunk in chunks if isinstance(chunk, str)) == "one two three four five"
    assert isinstance(chunks[-1], CreateResult)
    assert provider.sent == 1
    provider.assert_exact(client)


def test_stream_that_is_refused_sends_nothing(provider: Script) -> None:
    """A budget of one call: the second stream raises before its request."""
    client = BudgetedChatCompletionClient(provider.openai(), Budget("1 calls"))
    with pytest.raises(BudgetExceeded):
        provider.run(_all(client.create_stream(QUESTION)), _all(client.create_stream(QUESTION)))
    assert provider.sent == 1
    provider.assert_exact(client)


def test_call_in_the_middle_of_a_stream_is_another_one(provider: Script) -> None:
    """Whoever reads a stream may ask models meanwhile: two requests, two charges."""
    provider.says("one two three four five", output_tokens=9)
    client = BudgetedChatCompletionClient(provider.openai(), "$1")

    async def read() -> None:
        asked = False
        async for _ in client.create_stream(QUESTION):
            if not asked:
                asked = True
                await client.create(QUESTION)

    provider.run(read())
    assert provider.sent == client.session.calls == 2
    provider.assert_exact(client)


def test_stream_that_is_left_is_charged(provider: Script) -> None:
    """Its end is not read: the call is booked, at least at the bill, and nothing stays reserved."""
    provider.says("one two three four five", output_tokens=9)
    client = BudgetedChatCompletionClient(provider.openai(), "$1")

    async def leave() -> None:
        stream = client.create_stream(QUESTION)
        await anext(stream)
        await stream.aclose()

    provider.run(leave())
    assert client.spent >= provider.provider.bill > 0
    assert client.reserved == 0


@pytest.mark.parametrize("aclose", [True, False])
def test_run_of_a_team_that_is_left_stops_the_team(provider: Script, aclose: bool) -> None:
    """AutoGen goes on in the background; a budgeted team does not send what nobody reads."""
    team = budgeted(team_of("round robin", provider.openai()), "$1")

    async def leave() -> int:
        stream: Any = team.run_stream(task="go")
        async for message in stream:
            if message.source == "writer":
                break
        if aclose:
            await stream.aclose()
        del stream
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0.01)
        return provider.sent

    (sent,) = provider.run(leave())
    assert sent <= 2
    assert team.reserved == 0
    assert team.spent >= provider.provider.bill


def test_cancelled_call_is_settled(provider: Script) -> None:
    """A token that is cancelled while the provider answers: nothing stays reserved, nothing is free."""
    provider.says("late", delay=5)
    client = BudgetedChatCompletionClient(provider.openai(), "$1")

    async def cancel() -> None:
        token = CancellationToken()
        asking = asyncio.ensure_future(client.create(QUESTION, cancellation_token=token))
        while not provider.sent:  # noqa: ASYNC110 - it arrives in another thread
            await asyncio.sleep(0.01)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    provider.run(cancel())
    assert client.reserved == 0
    assert client.spent >= provider.provider.bill


def test_streaming_agent_is_charged_for_tools_and_reflection(provider: Script) -> None:
    """Two calls with tools, and the reflection: three streams, three charges."""
    provider.calls(("add", {"a": 1, "b": 2}))
    provider.calls(("add", {"a": 3, "b": 4}))
    provider.says("done")

    async def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    one = BudgetedAssistantAgent(
        "adder",
        provider.openai(),
        budget="$1",
        tools=[add],
        max_tool_iterations=2,
        reflect_on_tool_use=True,
        model_client_stream=True,
    )
    (result,) = provider.run(one.run(task="1 + 2 + 3 + 4?"))
    assert result.messages[-1].content == "done"
    assert provider.sent == 3
    provider.assert_exact(one)


async def _all(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]

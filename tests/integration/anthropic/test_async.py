"""Tasks: cancelled once or twice, hundreds at a time, and an event loop that nobody blocks."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest

import bursar
from bursar import Budget, Session
from bursar.testing import Rate, Reply, Request, ScriptedProvider

from ...scale import scaled
from .. import crowd
from ..client_contract.tasks import Tasks

OPUS = Rate("15", "75", "1.50", "18.75", "30", context_window=200_000, max_output_tokens=32_000)
LIMIT = "$0.50"  # five answers of claude-haiku-4-5 at 20,000 tokens


class TestAsync(Tasks):
    """Asynchronous clients among other tasks."""


def asked(number: int, *, stream: bool) -> dict[str, Any]:
    """The arguments of one call."""
    messages = [{"role": "user", "content": crowd.question(number)}]
    more = {"stream": True} if stream else {}
    return {"model": "claude-haiku-4-5", "max_tokens": 20_000, "messages": messages, "timeout": 60, **more}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_fifty_threads_are_served_in_ten_waves(stream: bool, provider: ScriptedProvider) -> None:
    """At the most, although the budget holds five answers of the length that they ask for."""
    with (
        anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none") as client,
        crowd.in_waves(provider, LIMIT, "memory") as budget,
    ):
        bursar.wrap_client(client, budget.session())

        def call(number: int) -> None:
            answer = client.messages.create(**asked(number, stream=stream))
            if stream:
                assert list(answer)

        crowd.in_threads(call)


@pytest.mark.parametrize(
    ("stream", "store"), [(False, "memory"), (False, "sqlite"), (False, "redis"), (True, "memory")]
)
def test_fifty_tasks_are_served_in_ten_waves(stream: bool, store: str, provider: ScriptedProvider) -> None:
    """In every kind of store, and the event loop goes on."""

    async def main(session: Session) -> None:
        async with anthropic.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none") as client:
            bursar.wrap_client(client, session)

            async def call(number: int) -> None:
                answer: Any = await client.messages.create(**asked(number, stream=stream))
                if stream:
                    assert [event async for event in answer]

            await crowd.in_tasks(call)

    with crowd.in_waves(provider, LIMIT, store) as budget:
        asyncio.run(main(budget.session()))


def one_by_one(provider: ScriptedProvider) -> tuple[Session, dict[str, Any], list[int]]:
    """Who pays for calls of which the budget holds one, what is the same in all, and how many were in flight."""
    in_flight: list[int] = []

    def reply(request: Request) -> Reply:
        in_flight.append(provider.in_flight)
        return Reply("Rayleigh.", output_tokens=25, delay=scaled(0.05, 0.2))

    provider.rates["claude-opus-4-1"] = OPUS
    provider.always(reply)
    session = Budget("$1", wait=scaled("2s", "1.2s")).session()
    return session, {"model": "claude-opus-4-1", "max_tokens": 32_000}, in_flight


def test_fifty_threads_are_served_one_at_a_time(provider: ScriptedProvider) -> None:
    """The last one waits for longer than `wait`, which starts anew with each answer."""
    session, dear, in_flight = one_by_one(provider)
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none") as client:
        bursar.wrap_client(client, session)
        crowd.in_threads(lambda number: client.messages.create(**asked(number, stream=False) | dear))
    crowd.all_are_served(provider, session)
    assert max(in_flight) == 1


def test_fifty_tasks_are_served_one_at_a_time(provider: ScriptedProvider) -> None:
    """The same without a thread."""
    session, dear, in_flight = one_by_one(provider)

    async def main() -> None:
        async with anthropic.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none") as client:
            bursar.wrap_client(client, session)

            async def call(number: int) -> None:
                await client.messages.create(**asked(number, stream=False) | dear)

            await crowd.in_tasks(call)

    asyncio.run(main())
    crowd.all_are_served(provider, session)
    assert max(in_flight) == 1

"""Tasks: cancelled once or twice, hundreds at a time, and an event loop that nobody blocks."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest

import bursar
from bursar.testing import ScriptedProvider

from .. import crowd
from ..client_contract.tasks import Tasks

LIMIT = "$0.50"  # five answers of claude-haiku-4-5 at 20,000 tokens


class TestAsync(Tasks):
    """Asynchronous clients among other tasks."""


def asked(number: int, *, stream: bool) -> dict[str, Any]:
    """The arguments of one call."""
    messages = [{"role": "user", "content": crowd.question(number)}]
    more = {"stream": True} if stream else {}
    return {"model": "claude-haiku-4-5", "max_tokens": 20_000, "messages": messages, "timeout": 60, **more}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_fifty_threads_are_all_served(stream: bool, provider: ScriptedProvider) -> None:
    """On a budget that holds a tenth of what they could cost."""
    crowd.scripted(provider)
    with anthropic.Anthropic(base_url=provider.anthropic_url, api_key="none") as client:
        session = crowd.budget(LIMIT, "memory").session()
        bursar.wrap_client(client, session)

        def call(number: int) -> None:
            answer = client.messages.create(**asked(number, stream=stream))
            if stream:
                assert list(answer)

        crowd.in_threads(call)
    crowd.all_are_served(provider, session)


@pytest.mark.parametrize("store", crowd.STORES)
def test_fifty_tasks_are_all_served(store: str, provider: ScriptedProvider) -> None:
    """In every kind of store, and the event loop goes on."""
    crowd.scripted(provider)
    session = crowd.budget(LIMIT, store).session()

    async def main() -> None:
        async with anthropic.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none") as client:
            bursar.wrap_client(client, session)

            async def call(number: int) -> None:
                await client.messages.create(**asked(number, stream=False))

            await crowd.in_tasks(call)

    asyncio.run(main())
    crowd.all_are_served(provider, session)

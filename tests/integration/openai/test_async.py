"""Tasks: cancelled once or twice, hundreds at a time, and an event loop that nobody blocks."""

from __future__ import annotations

import asyncio
import importlib
import sys
from contextlib import suppress
from contextvars import Context
from decimal import Decimal
from typing import Any

import openai
import pytest
import trio

import bursar
from bursar import Budget, BudgetExceeded, Hold, Session
from bursar.testing import Rate, ScriptedProvider

from .. import crowd
from ..client_contract.tasks import Tasks

uvloop: Any = None if sys.platform == "win32" else importlib.import_module("uvloop")
MODEL = "gpt-5.2"  # writes up to 128,000 tokens, for $1.79
RATE = Rate("1.75", "14", "0.175", context_window=400_000, max_output_tokens=128_000)


class TestAsync(Tasks):
    """Asynchronous clients among other tasks."""


def asked(surface: str, number: int) -> tuple[list[str], dict[str, Any]]:
    """The method of a client, and its arguments: no cap is set."""
    stream = {"stream": True} if surface.endswith("stream") else {}
    if surface.startswith("responses"):
        return ["responses"], {"model": MODEL, "input": crowd.question(number), **stream}
    messages = [{"role": "user", "content": crowd.question(number)}]
    return ["chat", "completions"], {"model": MODEL, "messages": messages, **stream}


DEAR = {"model": "gpt-4o", "max_tokens": 10_000, "messages": [{"role": "user", "content": "Why?"}]}


def half_is_held() -> tuple[Session, Hold]:
    """Who pays for a call that does not fit until a hold of others has ended."""
    budget = Budget("$0.11/total", clamp=False)
    return budget.session(), Context().run(budget.session().reserve, cost="$0.06")


def create(client: Any, place: list[str]) -> Any:
    for name in place:
        client = getattr(client, name)
    return client.create


@pytest.mark.parametrize("surface", ["chat", "chat-stream", "responses", "responses-stream"])
@pytest.mark.parametrize("limit", ["$1", "$5"])
def test_fifty_threads_are_served_in_ten_waves(surface: str, limit: str, provider: ScriptedProvider) -> None:
    """At the most, on a budget that holds half of a worst case, or less than three."""
    provider.rates[MODEL] = RATE
    with (
        openai.OpenAI(base_url=provider.openai_url, api_key="none") as client,
        crowd.in_waves(provider, limit, "memory") as budget,
    ):
        bursar.wrap_client(client, budget.session())

        def call(number: int) -> None:
            place, arguments = asked(surface, number)
            answer = create(client, place)(**arguments)
            if "stream" in arguments:
                assert list(answer)

        crowd.in_threads(call)


@pytest.mark.parametrize(
    ("surface", "limit", "store"),
    [
        ("chat", "$1", "memory"), ("chat", "$1", "sqlite"), ("chat", "$1", "redis"), ("chat", "$5", "memory"),
        ("chat-stream", "$1", "memory"), ("responses", "$1", "memory"), ("responses-stream", "$1", "memory"),
    ],
)  # fmt: skip
def test_fifty_tasks_are_served_in_ten_waves(
    surface: str, limit: str, store: str, provider: ScriptedProvider
) -> None:
    """In every kind of store, and the event loop goes on."""
    provider.rates[MODEL] = RATE

    async def main(session: Session) -> None:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none") as client:
            bursar.wrap_client(client, session)

            async def call(number: int) -> None:
                place, arguments = asked(surface, number)
                answer = await create(client, place)(**arguments)
                if "stream" in arguments:
                    assert [event async for event in answer]

            await crowd.in_tasks(call)

    with crowd.in_waves(provider, limit, store) as budget:
        asyncio.run(main(budget.session()))


@pytest.mark.skipif(uvloop is None, reason="uvloop is not made for this system")
def test_a_call_waits_in_uvloop(provider: ScriptedProvider) -> None:
    """As in the loop of asyncio: until there is room, and while others go on."""
    session, hold = half_is_held()

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none") as client:
            bursar.wrap_client(client, session)
            call = asyncio.ensure_future(create(client, ["chat", "completions"])(**DEAR))
            for _ in range(3_000):
                if session._ledger.queue(session._path)._lines:
                    break
                await asyncio.sleep(0.01)
            assert not call.done() and provider.hits == 0
            hold.release()
            await call

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert provider.hits == session.calls == 1 and session.report()["refusals"] == 0


@pytest.mark.parametrize("held", [True, False], ids=["held", "free"])
def test_a_call_in_trio_never_waits(held: bool, provider: ScriptedProvider) -> None:
    """It is refused at once, and says so; where there is room it is sent."""
    session, hold = half_is_held()
    if not held:
        hold.release()

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none") as client:
            bursar.wrap_client(client, session)
            await create(client, ["chat", "completions"])(**DEAR)

    if held:
        with pytest.raises(BudgetExceeded, match="it cannot wait in a running event loop"):
            trio.run(main)
    else:
        trio.run(main)
    assert provider.hits == session.calls == (not held)


@pytest.mark.parametrize("store", crowd.STORES)
def test_fifty_answers_as_long_as_allowed_never_pass_the_limit(
    store: str, provider: ScriptedProvider
) -> None:
    """What is left in the end is less than the smallest call; all refusals are real ones."""
    provider.rates[MODEL] = RATE
    crowd.scripted(provider, writes_all=True)
    session, refused = crowd.budget("$1", store).session(), list[BudgetExceeded]()
    with openai.OpenAI(base_url=provider.openai_url, api_key="none") as client:
        bursar.wrap_client(client, session)

        def call(number: int) -> None:
            place, arguments = asked("chat", number)
            with suppress(BudgetExceeded):
                create(client, place)(**arguments)
                return
            refused.append(BudgetExceeded(str(number)))

        crowd.in_threads(call)
    sent = len(provider.served)
    assert sent + len(refused) == crowd.CALLS and refused
    bound = len(crowd.question(99)) + 600  # tokens of input, at the most one a byte
    crowd.none_is_overspent(provider, session, Decimal(1), Decimal(bound * 175 + 16 * 1_400) / 10**8)


def test_a_call_within_the_loop_over_a_stream_does_not_wait_for_it(provider: ScriptedProvider) -> None:
    """The stream is open in the same thread: the second call is served beside it, or refused at once."""
    provider.rates[MODEL] = RATE
    crowd.scripted(provider)
    session = crowd.budget("$0.20", "memory").session()
    with openai.OpenAI(base_url=provider.openai_url, api_key="none") as client:
        bursar.wrap_client(client, session)
        place, arguments = asked("chat-stream", 1)
        stream = create(client, place)(**arguments, max_completion_tokens=10_000)
        next(stream)
        with pytest.raises(BudgetExceeded, match="this thread or task holds too much of it itself"):
            session.reserve(cost="$0.19")
        create(client, place)(**asked("chat", 2)[1], max_completion_tokens=1_000)
        list(stream)
    assert session.calls == 2 and session.reserved == 0

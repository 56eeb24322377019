"""Tasks: cancelled once or twice, hundreds at a time, and an event loop that nobody blocks."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest

import bursar
from bursar import Budget, BudgetExceeded, Session
from bursar.store.memory import MemoryStore
from bursar.testing import Reply, ScriptedProvider

from .surfaces import CHAT, RESPONSE

httpx: Any = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
WORST_NANOS = 50 * 10_000


def run(
    provider: ScriptedProvider,
    session: Session | None,
    main: Callable[[openai.AsyncOpenAI], Awaitable[None]],
) -> None:
    """Run it with a client that the session pays for; None: that of the process."""

    async def with_client() -> None:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as client:
            await main(client if session is None else bursar.wrap_client(client, session))

    asyncio.run(with_client())


async def arrived(provider: ScriptedProvider, hits: int = 1) -> None:
    await asyncio.to_thread(provider.wait_for, hits)


@pytest.mark.parametrize("cancels", [1, 2])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_cancelled_call_is_in_doubt(stream: bool, cancels: int, provider: ScriptedProvider) -> None:
    """It was sent, so it may be on the bill: the worst is booked, also when the cancellation is repeated."""
    session = Budget("$1").session()

    async def main(client: openai.AsyncOpenAI) -> None:
        provider.pause()
        task = asyncio.create_task(client.chat.completions.create(**CHAT, stream=stream))
        await arrived(provider)
        for _ in range(cancels):
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        provider.resume()

    run(provider, session, main)
    assert (session.reserved, session.report()["estimated"]) == (0, 1)
    assert session.spent * 10**9 >= max(WORST_NANOS, provider.bill_nanos)


@pytest.mark.parametrize("cancels", [1, 2])
def test_a_stream_that_is_cancelled_while_it_waits(cancels: int, provider: ScriptedProvider) -> None:
    """In the middle of the events nobody knows what the rest costs."""
    session = Budget("$1").session()
    provider.script(Reply("a long answer", chunk_delay=0.2))

    async def main(client: openai.AsyncOpenAI) -> None:
        begun = asyncio.Event()

        async def read() -> None:
            stream: Any = await client.responses.create(**RESPONSE, stream=True)
            async for _ in stream:
                begun.set()

        task = asyncio.create_task(read())
        await begun.wait()
        for _ in range(cancels):
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(provider, session, main)
    assert session.reserved == 0
    assert session.spent * 10**9 >= max(WORST_NANOS, provider.bill_nanos)


class Slow(MemoryStore):
    """A store that takes its time, as one on a disk or in a network does."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = asyncio.Event()
        self.go_on = asyncio.Event()
        self.slow: str | None = None

    async def acall(self, verb: str, *arguments: Any) -> Any:
        if verb == self.slow:
            self.waiting.set()
            await self.go_on.wait()
        return await super().acall(verb, *arguments)


@pytest.mark.parametrize(("verb", "booked"), [("reserve", False), ("settle", True)])
def test_cancelled_while_the_store_works(verb: str, booked: bool, provider: ScriptedProvider) -> None:
    """Before the hold is granted nothing is sent; a settle that is interrupted is carried out all the same."""

    async def main() -> Session:
        store = Slow()
        session = Budget("$1", store=store).session()
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none") as client:
            bursar.wrap_client(client, session)
            store.slow = verb
            task = asyncio.create_task(client.chat.completions.create(**CHAT))
            await store.waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return session

    session = asyncio.run(main())
    assert provider.arrivals == (1 if booked else 0)
    assert session.spent == provider.bill and session.reserved == 0


def test_the_event_loop_is_not_blocked(provider: ScriptedProvider) -> None:
    """While one task waits for the store, another makes its call."""

    async def main() -> None:
        store = Slow()
        slow, quick = Budget("$1", store=store).session(), Budget("$1").session()
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none") as client:
            store.slow = "reserve"
            waits = bursar.wrap_client(client.copy(), slow)
            task = asyncio.create_task(waits.chat.completions.create(**CHAT))
            await store.waiting.wait()
            await bursar.wrap_client(client, quick).chat.completions.create(**CHAT)
            assert (quick.calls, provider.arrivals, task.done()) == (1, 1, False)
            store.go_on.set()
            await task

    asyncio.run(main())
    assert provider.arrivals == 2


@pytest.mark.parametrize("cover", ["wrap", "init"])
def test_two_hundred_tasks_over_one_client(cover: str, provider: ScriptedProvider) -> None:
    """The bill never passes the limit, the ledger is the bill, and what was refused was not sent."""
    limit, setting = "$0.05", {"clamp": False}
    session = bursar.init(limit, **setting) if cover == "init" else Budget(limit, **setting).session()
    refused = 0

    async def main(client: openai.AsyncOpenAI) -> None:
        async def call(number: int) -> None:
            nonlocal refused
            try:
                if number % 2:
                    stream: Any = await client.chat.completions.create(**CHAT, stream=True)
                    async for _ in stream:
                        pass
                else:
                    await client.responses.create(**RESPONSE)
            except BudgetExceeded:
                refused += 1

        await asyncio.gather(*map(call, range(200)))

    run(provider, None if cover == "init" else session, main)
    assert provider.calls == provider.arrivals == 200 - refused == session.calls
    assert 0 < refused < 200
    assert session.spent == provider.bill <= 0.05
    assert session.reserved == 0


class Interrupting(httpx.BaseTransport):  # type: ignore[misc]
    """Somebody ends the program while the answer is on its way."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def handle_request(self, request: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupted_call_is_in_doubt(error: type[BaseException], provider: ScriptedProvider) -> None:
    """Whatever ends the call from outside, its hold is not left open, and nothing is swallowed."""
    session = Budget("$1").session()
    with httpx.Client(transport=Interrupting(error)) as http_client:
        client = openai.OpenAI(base_url=provider.openai_url, api_key="none", http_client=http_client)
        bursar.wrap_client(client, session)
        with pytest.raises(error):
            client.chat.completions.create(**CHAT)
    assert session.reserved == 0 and session.spent * 10**9 >= WORST_NANOS

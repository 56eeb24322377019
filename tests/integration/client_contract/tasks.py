"""Tasks: cancelled once or twice, hundreds at a time, and an event loop that nobody blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import bursar
from bursar import Budget, BudgetExceeded, Session
from bursar.store import MemoryStore
from bursar.testing import Reply, ScriptedProvider

from .sdk import ClientSdk

PATIENCE_S = 10  # with what should have happened at once


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


Run = Callable[[Session | None, Callable[[Any], Awaitable[None]]], None]


class Tasks:
    """Asynchronous clients among other tasks."""

    @pytest.fixture
    def run(self, provider: ScriptedProvider, sdk: ClientSdk) -> Run:
        """Run something with a client that a session pays for; None: that of the process."""

        def run(session: Session | None, main: Callable[[Any], Awaitable[None]]) -> None:
            async def with_client() -> None:
                async with sdk.client(provider, asynchronous=True) as client:
                    await main(client if session is None else bursar.wrap_client(client, session))

            asyncio.run(with_client())

        return run

    @pytest.mark.parametrize("cancels", [1, 2])
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    def test_a_cancelled_call_is_in_doubt(
        self, stream: bool, cancels: int, run: Run, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """It was sent, so it may be on the bill: the worst is booked, also when the cancellation is repeated."""
        session = Budget("$1").session()

        async def main(client: Any) -> None:
            provider.pause()
            task = asyncio.create_task(sdk.ask(client, stream=stream))
            await asyncio.to_thread(provider.wait_for, 1)
            for _ in range(cancels):
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            provider.resume()

        run(session, main)
        assert (session.reserved, session.report()["estimated"]) == (0, 1)
        assert session.spent * 10**9 >= max(next(iter(sdk.worst_nanos.values())), provider.bill_nanos)

    @pytest.mark.parametrize("cancels", [1, 2])
    def test_a_stream_that_is_cancelled_while_it_waits(
        self, cancels: int, run: Run, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """In the middle of the events nobody knows what the rest costs."""
        session = Budget("$1").session()
        provider.script(Reply("a long answer", chunk_delay=0.1))
        name = list(sdk.streams)[-1]

        async def main(client: Any) -> None:
            begun = asyncio.Event()

            async def read() -> None:
                async for _ in await sdk.streams[name].call(client):
                    begun.set()

            task = asyncio.create_task(read())
            await asyncio.wait_for(begun.wait(), PATIENCE_S)
            for _ in range(cancels):
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(session, main)
        assert session.reserved == 0
        assert session.spent * 10**9 >= max(sdk.worst_nanos[name], provider.bill_nanos)

    @pytest.mark.parametrize(("verb", "booked"), [("reserve", False), ("settle", True)])
    def test_cancelled_while_the_store_works(
        self, verb: str, booked: bool, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """Before the hold is granted nothing is sent; a settle that is interrupted is carried out all the same."""

        async def main() -> Session:
            store = Slow()
            session = Budget("$1", store=store).session()
            async with sdk.client(provider, asynchronous=True) as client:
                bursar.wrap_client(client, session)
                store.slow = verb
                task = asyncio.create_task(sdk.ask(client))
                await asyncio.wait_for(store.waiting.wait(), PATIENCE_S)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            return session

        session = asyncio.run(main())
        assert provider.arrivals == (1 if booked else 0)
        assert session.spent == provider.bill and session.reserved == 0

    def test_the_event_loop_is_not_blocked(self, provider: ScriptedProvider, sdk: ClientSdk) -> None:
        """While one task waits for the store, another makes its call."""

        async def main() -> None:
            store = Slow()
            slow, quick = Budget("$1", store=store).session(), Budget("$1").session()
            async with sdk.client(provider, asynchronous=True) as client:
                store.slow = "reserve"
                waits = bursar.wrap_client(client.copy(), slow)
                task = asyncio.create_task(sdk.ask(waits))
                await asyncio.wait_for(store.waiting.wait(), PATIENCE_S)
                await sdk.ask(bursar.wrap_client(client, quick))
                assert (quick.calls, provider.arrivals, task.done()) == (1, 1, False)
                store.go_on.set()
                await task

        asyncio.run(main())
        assert provider.arrivals == 2

    @pytest.mark.parametrize("cover", ["wrap", "init"])
    def test_two_hundred_tasks_over_one_client(
        self, cover: str, run: Run, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """The bill never passes the limit, the ledger is the bill, and what was refused was not sent."""
        limit, setting = "$0.05", {"clamp": False}
        session = bursar.init(limit, **setting) if cover == "init" else Budget(limit, **setting).session()
        *_, other = sdk.calls.values()
        refused = 0

        async def main(client: Any) -> None:
            async def call(number: int) -> None:
                nonlocal refused
                try:
                    if number % 2:
                        async for _ in await sdk.ask(client, stream=True):
                            pass
                    else:
                        await other.call(client)
                except BudgetExceeded:
                    refused += 1

            await asyncio.gather(*map(call, range(200)))

        run(None if cover == "init" else session, main)
        assert provider.calls == provider.arrivals == 200 - refused == session.calls
        assert 0 < refused < 200
        assert session.spent == provider.bill <= 0.05
        assert session.reserved == 0

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_an_interrupted_call_is_in_doubt(
        self, error: type[BaseException], provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """Whatever ends the call from outside, its hold is not left open, and nothing is swallowed."""

        class Interrupting(sdk.httpx.BaseTransport):  # type: ignore[misc, name-defined]
            """Somebody ends the program while the answer is on its way."""

            def handle_request(self, request: Any) -> Any:
                raise error

        session = Budget("$1").session()
        with sdk.client(provider, http_client=sdk.httpx.Client(transport=Interrupting())) as client:
            bursar.wrap_client(client, session)
            with pytest.raises(error):
                sdk.ask(client)
        assert session.reserved == 0 and session.spent * 10**9 >= next(iter(sdk.worst_nanos.values()))

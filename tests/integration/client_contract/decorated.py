"""Functions that cover the process while they run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import bursar
from bursar import BudgetExceeded
from bursar.testing import ScriptedProvider

from .process import methods
from .sdk import ClientSdk


class Decorated:
    """Each call has a budget of its own."""

    @pytest.mark.parametrize("requests", [3, 1])
    @pytest.mark.parametrize("kind", ["function", "generator", "coroutine", "async generator"])
    def test_each_call_of_a_decorated_function_has_its_own_budget(
        self, kind: str, requests: int, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """Whatever kind it is; nobody pays after it. The SDK stays covered until `teardown`."""
        before, limit = methods(sdk), "$1" if requests == 3 else sdk.one_hold

        @bursar.budgeted(limit, clamp=False)
        def function() -> list[Any]:
            with sdk.client(provider) as client:
                return [sdk.ask(client) for _ in range(3)]

        @bursar.budgeted(limit, clamp=False)
        def generator() -> Any:
            with sdk.client(provider) as client:
                for _ in range(3):
                    yield sdk.ask(client)

        @bursar.budgeted(limit, clamp=False)
        async def coroutine() -> list[Any]:
            async with sdk.client(provider, asynchronous=True) as client:
                return [await sdk.ask(client) for _ in range(3)]

        @bursar.budgeted(limit, clamp=False)
        async def async_generator() -> Any:
            async with sdk.client(provider, asynchronous=True) as client:
                for _ in range(3):
                    yield await sdk.ask(client)

        async def collect() -> list[Any]:
            return [answer async for answer in async_generator()]

        runs = {
            "function": function,
            "generator": lambda: list(generator()),
            "coroutine": lambda: asyncio.run(coroutine()),
            "async generator": lambda: asyncio.run(collect()),
        }
        for times in (1, 2):
            if requests == 3:
                assert len(runs[kind]()) == 3
            else:
                with pytest.raises(BudgetExceeded):
                    runs[kind]()
            assert provider.arrivals == times * requests
        assert methods(sdk) != before and bursar.get_session() is None
        bursar.teardown()
        assert methods(sdk) == before

    def test_a_decorated_generator_is_nobodys_business_while_it_waits(
        self, client: Any, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """Between its steps the consumer's own session pays; and what is sent in and thrown in arrives."""
        heard = []

        @bursar.budgeted("$1")
        def talk() -> Any:
            try:
                while True:
                    heard.append((yield bursar.get_session()))
            except ZeroDivisionError:
                yield "caught"
            return "done"

        of_process = bursar.init("$1")
        generator = talk()
        inside = next(generator)
        assert bursar.get_session() is of_process and inside is not of_process
        sdk.ask(client)
        assert generator.send("hello") is inside and heard == ["hello"]
        assert generator.throw(ZeroDivisionError) == "caught"
        with pytest.raises(StopIteration, match="done"):
            next(generator)
        assert (inside.calls, of_process.calls) == (0, 1)
        bursar.teardown()

    def test_within_a_covered_process_a_decorated_function_pays_by_itself(
        self, client: Any, sdk: ClientSdk
    ) -> None:
        """Its session wins over that of the process, which stays covered when the function is done."""
        of_process = bursar.init("$1")
        sessions = []

        @bursar.budgeted("$1")
        def function() -> None:
            sessions.append(bursar.get_session())
            sdk.ask(client)

        function()
        sdk.ask(client)
        (own,) = sessions
        assert (own.calls, of_process.calls) == (1, 1)

"""What a covered SDK adds to a call that nobody pays for: a program that has entered a session keeps the cover."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from rows import OURS, Row, figure, goal, minus
from timing import Case, by_turns

from bursar.sdk import Demand, Patching

OPTIONS = SimpleNamespace(method="post", url="/chat/completions", json_data={"model": "gpt-4o"})
RESPONSE = SimpleNamespace(status_code=200)


class Client:
    """The methods of an SDK's client that a request passes; nothing is sent, so that only the cover is timed."""

    def post(self, path: str, *, cast_to: Any, body: Any) -> Any:
        return self.request(cast_to, OPTIONS)

    def request(self, cast_to: Any, options: Any) -> Any:
        self._build_request(options)
        return self._process_response(response=RESPONSE, stream=False)

    def _build_request(self, options: Any) -> Any:
        return options

    def _process_response(self, *, response: Any, stream: bool) -> Any:
        return response

    def _sleep_for_retry(self) -> None:
        """Between two attempts."""


class AsyncClient:
    """The same, for asyncio."""

    async def post(self, path: str, *, cast_to: Any, body: Any) -> Any:
        return await self.request(cast_to, OPTIONS)

    async def request(self, cast_to: Any, options: Any) -> Any:
        return options

    def _build_request(self, options: Any) -> Any:
        return options

    async def _process_response(self, *, response: Any, stream: bool) -> Any:
        return response

    async def _sleep_for_retry(self) -> None:
        """Between two attempts."""


class Covered(Client):
    """A class of its own, so that the other stays as it is."""

    def request(self, cast_to: Any, options: Any) -> Any:
        return Client.request(self, cast_to, options)


def run(done: Callable[[int], object]) -> Iterator[Row]:
    """The same call, with and without the cover; the difference is what the cover costs."""
    paid = SimpleNamespace(free=False)

    def read(client: Any, options: Any) -> Demand:
        return paid  # type: ignore[return-value] # it is only asked whether the call is free

    Patching(Covered, AsyncClient, read, question=("/chat/completions", {})).patch()
    plain, covered = Client(), Covered()
    cases = (
        Case("plain", lambda _: plain.request(None, OPTIONS)),
        Case(OURS, lambda _: covered.request(None, OPTIONS)),
    )
    found = by_turns(cases, 1_000, 2_000, done)
    added = figure(OURS, minus(found[OURS], found["plain"]))
    yield Row(
        "a covered SDK call that nobody pays for adds",
        "us",
        [added],
        [goal("at most +2 us", 2, added.median)],
    )

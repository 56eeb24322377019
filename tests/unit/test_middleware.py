"""Middleware of an SDK sends as often as it likes, and what it likes: each attempt is held before it is sent."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeAlias

import pytest

from bursar import Budget, BudgetExceeded, Session
from bursar.ledger.context import pays_for_process
from bursar.testing import Reply, ScriptedProvider

from .sdk import AsyncClient, Client, Failed, Options, patching

CHAT: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    "max_tokens": 50,
}
WORST_NANOS = 50 * 10_000
ONE_HOLD, TWO_HOLDS = "$0.0008", "$0.0016"

# Yields what to send, gets the answers and the errors, and returns what the caller gets.
Chain: TypeAlias = Callable[[Any], Generator[Any, Any, Any]]


class Chained:
    """A client whose requests pass middleware on their way to each attempt."""

    _middleware: tuple[Chain, ...] = ()
    trouble: BaseException | None = None

    def copied(self, options: Any) -> Any:
        return copy.copy(options)

    def sent(self, options: Any, stream: bool) -> Any:
        self._build_request(options)  # type: ignore[attr-defined]
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble
        return self._attempt(options, stream, False), options  # type: ignore[attr-defined]


class ChainedClient(Chained, Client):
    def request(self, cast_to: Any, options: Any, *, stream: bool = False) -> Any:
        if not self._middleware:
            return self.call_next(options, stream)
        chain = self._middleware[0](options)
        step, value = chain.send, None
        while True:
            try:
                made = step(value)
            except StopIteration as end:
                return end.value
            try:
                step, value = chain.send, self.call_next(made, stream)
            except BaseException as error:
                step, value = chain.throw, error

    def call_next(self, options: Any, stream: bool = False) -> Any:
        response, _ = self._attempt_request(self.copied(options), stream=stream)
        return self._process_response(response=response, stream=stream)

    def _attempt_request(self, options: Any, *, stream: bool) -> Any:
        return self.sent(options, stream)


class AsyncChainedClient(Chained, AsyncClient):
    async def request(self, cast_to: Any, options: Any, *, stream: bool = False) -> Any:
        if not self._middleware:
            return await self.call_next(options, stream)
        chain = self._middleware[0](options)
        step, value = chain.send, None
        while True:
            try:
                made = step(value)
            except StopIteration as end:
                return end.value
            try:
                step, value = chain.send, await self.call_next(made, stream)
            except BaseException as error:
                step, value = chain.throw, error

    async def call_next(self, options: Any, stream: bool = False) -> Any:
        response, _ = await self._attempt_request(self.copied(options), stream=stream)
        return await self._process_response(response=response, stream=stream)

    async def _attempt_request(self, options: Any, *, stream: bool) -> Any:
        return self.sent(options, stream)


class Caller:
    """Blocking and awaited calls, by one name."""

    def __init__(self, provider: ScriptedProvider, asynchronous: bool) -> None:
        self.provider = provider
        self.kind = AsyncChainedClient if asynchronous else ChainedClient

    def wrapped(self, chain: Chain | None, *limits: Any) -> tuple[Any, Session]:
        client = self.kind(self.provider.openai_url)
        client._middleware = () if chain is None else (chain,)
        session = Budget(*limits, clamp=False).session()
        return patching.wrap(client, session), session

    def ask(self, client: Any, options: Any = None) -> Any:
        return self.wait(client.request(object, options or Options(**CHAT)))

    def wait(self, call: Any) -> Any:
        async def awaited() -> Any:
            return await call

        return asyncio.run(awaited()) if asyncio.iscoroutine(call) else call


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider
    pays_for_process(None)
    patching.unpatch()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def caller(request: pytest.FixtureRequest, provider: ScriptedProvider) -> Caller:
    return Caller(provider, request.param)


def assert_exact(session: Session, provider: ScriptedProvider) -> None:
    assert (session.spent, session.reserved) == (provider.bill, 0)


def once(options: Any) -> Generator[Any, Any, Any]:
    return (yield options)


def twice(options: Any) -> Generator[Any, Any, Any]:
    yield options
    return (yield options)


def until_good(options: Any) -> Generator[Any, Any, Any]:
    """Repeats errors and error answers, whatever they are."""
    for _ in range(3):
        try:
            answer = yield options
        except BudgetExceeded:
            raise
        except BaseException:
            continue
        if b"usage" in answer:
            return answer
    return None


def larger(options: Any) -> Generator[Any, Any, Any]:
    return (yield Options(**{**CHAT, "max_tokens": 500}))


def kept(options: Any) -> Generator[Any, Any, Any]:
    yield from ()
    return b"kept"


def free(options: Any) -> Generator[Any, Any, Any]:
    return (yield Options("/models", "GET"))


@pytest.mark.parametrize("chain", [None, once])
@pytest.mark.parametrize(("limit", "requests"), [("$1", 1), ("$0.0001", 0)])
def test_a_request_is_paid_or_not_sent(
    chain: Chain | None, limit: str, requests: int, caller: Caller
) -> None:
    """With middleware or without."""
    client, session = caller.wrapped(chain, limit)
    if requests:
        caller.ask(client)
    else:
        with pytest.raises(BudgetExceeded):
            caller.ask(client)
    assert caller.provider.arrivals == requests
    assert_exact(session, caller.provider)


@pytest.mark.parametrize(("limit", "requests"), [("$1", 2), (ONE_HOLD, 1)])
def test_each_attempt_is_paid(limit: str, requests: int, caller: Caller) -> None:
    """Two of them cost two; where one fits, the other is not sent."""
    client, session = caller.wrapped(twice, limit)
    if requests == 2:
        caller.ask(client)
    else:
        with pytest.raises(BudgetExceeded):
            caller.ask(client)
    assert (caller.provider.arrivals, session.calls) == (requests, requests)
    assert_exact(session, caller.provider)


@pytest.mark.parametrize(("limit", "requests"), [("$0.0055", 1), ("$0.0050", 0)])
def test_what_is_sent_is_what_is_held(limit: str, requests: int, caller: Caller) -> None:
    """The hold of the request that the caller made is given back first."""
    client, session = caller.wrapped(larger, limit)
    if requests:
        caller.ask(client)
    else:
        with pytest.raises(BudgetExceeded):
            caller.ask(client)
    assert caller.provider.arrivals == requests
    assert_exact(session, caller.provider)


def test_what_becomes_free_costs_nothing(caller: Caller) -> None:
    """The hold is given back."""
    client, session = caller.wrapped(free, "$1")
    caller.ask(client)
    assert (caller.provider.arrivals, caller.provider.calls) == (1, 0)
    assert_exact(session, caller.provider)


@pytest.mark.parametrize("limit", [ONE_HOLD, "$0.0001"])
def test_an_answer_without_a_request_costs_nothing(limit: str, caller: Caller) -> None:
    """From a cache of the middleware's, say: it is held before anybody knows, and given back."""
    client, session = caller.wrapped(kept, limit)
    for _ in range(3):
        if limit == ONE_HOLD:
            assert caller.ask(client) == b"kept"
        else:
            with pytest.raises(BudgetExceeded):
                caller.ask(client)
    assert (session.spent, session.reserved, caller.provider.arrivals) == (0, 0, 0)


def test_error_answers_leave_the_hold(caller: Caller) -> None:
    """They cost nothing, so the next attempt is sent on it."""
    client, session = caller.wrapped(until_good, ONE_HOLD)
    caller.provider.script(Reply(status=500), Reply(status=429))
    assert b"usage" in caller.ask(client)
    assert (caller.provider.arrivals, session.calls) == (3, 1)
    assert_exact(session, caller.provider)


@pytest.mark.parametrize(("limit", "requests"), [(TWO_HOLDS, 2), (ONE_HOLD, 1)])
@pytest.mark.parametrize(
    "reply", [Reply(drop="before_headers"), Reply(status=504, billed=True)], ids=["lost", "504"]
)
def test_an_attempt_in_doubt_stays_counted(reply: Reply, limit: str, requests: int, caller: Caller) -> None:
    """The next one needs a hold of its own."""
    client, session = caller.wrapped(until_good, limit)
    caller.provider.script(reply)
    if requests == 2:
        assert b"usage" in caller.ask(client)
    else:
        with pytest.raises(BudgetExceeded):
            caller.ask(client)
    assert (caller.provider.arrivals, session.calls, session.reserved) == (requests, requests, 0)
    assert session.spent * 10**9 >= max(WORST_NANOS, caller.provider.bill_nanos)


@pytest.mark.parametrize(("limit", "requests"), [(TWO_HOLDS, 1), (ONE_HOLD, 0)])
def test_an_attempt_that_was_interrupted_stays_counted(limit: str, requests: int, caller: Caller) -> None:
    """Also where middleware swallows what interrupted it."""
    client, session = caller.wrapped(until_good, limit)
    client.trouble = KeyboardInterrupt()
    if requests:
        assert b"usage" in caller.ask(client)
    else:
        with pytest.raises(BudgetExceeded):
            caller.ask(client)
    assert (caller.provider.arrivals, session.reserved) == (requests, 0)
    assert session.spent * 10**9 >= WORST_NANOS + caller.provider.bill_nanos


def test_an_answer_that_is_fetched_needs_no_hold_of_its_own(caller: Caller) -> None:
    """It settles that of the answer, through middleware as well."""
    client, session = caller.wrapped(once, "$1")
    caller.provider.script(Reply(polls=0))
    body = {"model": "gpt-4o", "input": "sky", "max_output_tokens": 50, "background": True}
    made = Options("/responses", **body, max_tokens=50)
    assert b"queued" in caller.ask(client, made)
    assert session.reserved > 0
    id = f"resp_{caller.provider.number() - 2}"
    assert b"completed" in caller.ask(client, Options(f"/responses/{id}", "GET"))
    assert_exact(session, caller.provider)


# -- after the request --------------------------------------------------------------------------------

LATE: dict[str, tuple[Reply | None, int, bool]] = {
    "good": (Reply("ok"), 1, True),
    "error": (Reply(status=500), 1, True),
    "gateway": (Reply(status=504, billed=True), 1, False),
    "lost": (Reply(drop="before_headers"), 1, False),
}


@pytest.mark.parametrize("limit", ["$1", "$0.0001"])
@pytest.mark.parametrize("case", LATE)
def test_what_is_sent_while_a_stream_is_read(case: str, limit: str, caller: Caller) -> None:
    """The request is over, so this is another one: held, sent and booked by itself, or refused."""
    reply, requests, exact = LATE[case]
    assert reply is not None
    client, session = caller.wrapped(once, limit)
    caller.provider.script(reply)
    if limit == "$1":
        try:
            caller.wait(client.call_next(Options(**CHAT)))
        except Failed:
            assert case == "lost"
        assert caller.provider.arrivals == requests and session.reserved == 0
        if exact:
            assert_exact(session, caller.provider)
        else:
            assert session.spent * 10**9 >= max(WORST_NANOS, caller.provider.bill_nanos)
    else:
        with pytest.raises(BudgetExceeded):
            caller.wait(client.call_next(Options(**CHAT)))
        assert (caller.provider.arrivals, session.spent, session.reserved) == (0, 0, 0)


def test_what_is_interrupted_while_a_stream_is_read(caller: Caller) -> None:
    """It may be on the bill: in doubt."""
    client, session = caller.wrapped(once, "$1")
    client.trouble = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        caller.wait(client.call_next(Options(**CHAT)))
    assert session.reserved == 0 and session.spent * 10**9 >= WORST_NANOS


def test_what_is_free_while_a_stream_is_read(caller: Caller) -> None:
    """Nothing is held for it, and it is read by its caller alone; a stream is read as it passes."""
    client, session = caller.wrapped(once, "$1")
    caller.wait(client.call_next(Options("/models", "GET")))
    assert (caller.provider.arrivals, session.report()["events"]) == (1, [])
    response = caller.wait(client.call_next(Options(**CHAT), stream=True))
    assert session.reserved > 0
    response.close()
    caller.wait(response.aclose())
    assert session.reserved == 0 and session.spent * 10**9 >= caller.provider.bill_nanos


def test_what_never_left_costs_nothing(caller: Caller) -> None:
    """However often middleware tries: nobody listens there, and one hold is enough for all of it."""
    client, session = caller.wrapped(until_good, ONE_HOLD)
    listening, client.base_url = client.base_url, "http://127.0.0.1:9/v1"
    assert caller.ask(client) is None
    assert (session.spent, session.reserved, session.calls) == (0, 0, 0)
    client.base_url = listening
    assert b"usage" in caller.ask(client)
    assert_exact(session, caller.provider)

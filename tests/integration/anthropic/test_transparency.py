"""Whoever uses a covered client sees what the bare SDK shows, to the byte."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anthropic
import pytest

import bursar
from bursar import Budget
from bursar.testing import Reply, ScriptedProvider, ToolCall

from .conftest import RATES, WORD
from .surfaces import CHAT, SURFACES, Async, Sync

httpx: Any = importlib.import_module(anthropic.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])


def shown(value: Any) -> Any:
    """All that can be seen of a value."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    dump = getattr(value, "model_dump", None)
    members = dump(exclude_unset=True, warnings=False) if dump else None
    return type(value), repr(value), members, getattr(value, "_request_id", None)


def twice(watch: Callable[[Any], Any], way: Sync | Async, *replies: Reply) -> list[Any]:
    """What is seen with a bare client, and with a covered one, each at a provider of its own."""
    seen = []
    for covered in (False, True):
        with ScriptedProvider(rates=RATES) as provider:
            provider.always(Reply(WORD, output_tokens=9))
            provider.script(*replies)
            client = way.kind(base_url=provider.anthropic_url, api_key="none", max_retries=0)
            session = Budget("$1").session()
            if covered:
                bursar.wrap_client(client, session)
            seen.append(watch(client))
            way.run(client.close())
            assert session.spent == (provider.bill if covered else 0)
    return seen


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> Iterator[Sync | Async]:
    way = Sync() if request.param == "sync" else Async()
    yield way
    way.close()


@pytest.mark.parametrize("surface", SURFACES)
def test_every_value_and_every_event(surface: str, way: Sync | Async) -> None:
    """Type, repr, the members that were set, and the id of the request."""
    bare, covered = twice(lambda client: shown(way.take(SURFACES[surface], client)), way)
    assert covered == bare


@pytest.mark.parametrize("surface", ["messages-stream", "messages-stream-helper", "beta-stream"])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(tool_calls=[ToolCall("look_up", {"place": "Oslo"})]),
        Reply('a "usage": null in, "usage":null the text'),
        Reply("", output_tokens=0),
        Reply(usage="absent"),
    ],
    ids=["tools", "usage-in-text", "empty", "no-usage"],
)
def test_events_of_odd_answers(reply: Reply, surface: str, way: Sync | Async) -> None:
    """Also where the text looks like what we take out, and where what we asked for does not come."""

    def watch(client: Any) -> Any:
        try:
            return shown(way.take(SURFACES[surface], client))
        except AttributeError as error:  # of the SDK's own helper, where the usage is missing
            return repr(error)

    seen = []
    for covered in (False, True):
        with ScriptedProvider(rates=RATES) as provider:
            provider.always(reply)
            client = way.kind(base_url=provider.anthropic_url, api_key="none")
            if covered:
                bursar.wrap_client(client, Budget("$1").session())
            seen.append(watch(client))
            way.run(client.close())
    assert seen[0] == seen[1]


BODIES = {
    "stream": lambda c: c.messages.with_streaming_response.create(**CHAT, stream=True),
    "beta": lambda c: c.beta.messages.with_streaming_response.create(**CHAT, stream=True),
    "document": lambda c: c.messages.with_streaming_response.create(**CHAT),
}


@pytest.mark.parametrize("body", BODIES)
def test_raw_bytes_and_headers(body: str, way: Sync | Async) -> None:
    """Of a response that is read by hand: status, headers, and all bytes of the body."""

    def watch(client: Any) -> Any:
        if isinstance(way, Async):
            return way.run(read(client))
        with BODIES[body](client) as response:
            return seen_of(response), b"".join(response.iter_bytes())

    async def read(client: Any) -> Any:
        async with BODIES[body](client) as response:
            return seen_of(response), b"".join([piece async for piece in response.iter_bytes()])

    def seen_of(response: Any) -> Any:
        headers = {name: value for name, value in response.headers.items() if name != "date"}
        return (
            type(response),
            response.status_code,
            headers,
            response.request_id,
            type(response.http_response),
        )

    bare, covered = twice(watch, way)
    assert covered == bare and bare[1]


ERRORS = [Reply(status=400), Reply(status=401), Reply(status=429), Reply(status=500), Reply(status=529)]


@pytest.mark.parametrize("reply", ERRORS, ids=lambda reply: str(reply.status))
@pytest.mark.parametrize("surface", ["messages", "messages-stream", "messages-open", "beta"])
def test_errors(surface: str, reply: Reply, way: Sync | Async) -> None:
    """Type, text, body, status and the id of the request; and what the SDK said was the cause."""

    def watch(client: Any) -> Any:
        with pytest.raises(anthropic.APIStatusError) as failed:
            way.take(SURFACES[surface], client)
        error = failed.value
        return type(error), str(error), error.body, error.status_code, error.request_id, repr(error.__cause__)

    bare, covered = twice(watch, way, reply)
    assert covered == bare


def test_a_lost_connection_raises_what_it_raises(way: Sync | Async) -> None:
    """The SDK's own error, with the cause that it names."""

    def watch(client: Any) -> Any:
        with pytest.raises(anthropic.APIConnectionError) as failed:
            way.take(SURFACES["messages"], client)
        return type(failed.value), str(failed.value), repr(failed.value.__cause__)

    seen = []
    for covered in (False, True):
        with ScriptedProvider(rates=RATES) as provider:
            provider.script(Reply(drop="before_headers"))
            client = way.kind(base_url=provider.anthropic_url, api_key="none", max_retries=0)
            if covered:
                bursar.wrap_client(client, Budget("$1").session())
            seen.append(watch(client))
            way.run(client.close())
    assert seen[0] == seen[1]


def test_the_client_looks_the_same() -> None:
    """Its class by name, its methods by signature, its repr, what it is an instance of, and what it tells servers."""
    bare, covered = anthropic.Anthropic(api_key="none"), anthropic.Anthropic(api_key="none")
    bursar.wrap_client(covered, Budget("$1").session())

    def look(client: Any) -> Any:
        kind = type(client)
        return (
            *(repr(kind), kind.__name__, kind.__qualname__, kind.__module__, kind.__doc__),
            *(str(inspect.signature(getattr(client, name))) for name in ("request", "post", "with_options")),
            *(client.user_agent, sorted(client.default_headers), isinstance(client, anthropic.Anthropic)),
            *sorted(vars(client)),
        )

    assert look(covered) == look(bare)
    bare.close()
    covered.close()


# -- no event is held back ----------------------------------------------------------------------------


def named(kind: str, **members: Any) -> bytes:
    """A server-sent event of Anthropic's."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def piece(text: str) -> bytes:
    """An event with a piece of the answer."""
    return named("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [],
    "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 1},
}  # fmt: skip
START = [
    named("message_start", message=MESSAGE),
    named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
]
PIECES = [piece("0"), piece("1"), piece("2")]
END = [
    named("content_block_stop", index=0),
    named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 3}),
]
STOP = named("message_stop")
WHOLE = b"".join([*START, *PIECES, *END, STOP])
BILL_NANOS = 5 * 3_000 + 3 * 15_000


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):  # type: ignore[misc]
    """A body that notes when each of its pieces is asked for."""

    def __init__(self, pieces: list[bytes], log: list[str]) -> None:
        self.pieces = pieces
        self.log = log

    def __iter__(self) -> Iterator[bytes]:
        for number, piece in enumerate(self.pieces):
            self.log.append(f"asked {number}")
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class Fixed(httpx.BaseTransport, httpx.AsyncBaseTransport):  # type: ignore[misc]
    """Answers every request with one body."""

    def __init__(self, body: Body) -> None:
        self.body = body

    def handle_request(self, request: Any) -> Any:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=self.body)

    async def handle_async_request(self, request: Any) -> Any:
        return self.handle_request(request)


def streamed(pieces: list[bytes], asynchronous: bool) -> tuple[list[str], list[Any], Any]:
    """The order in which pieces are asked for and events are got; the events; and the session that paid."""
    log: list[str] = []
    got: list[Any] = []
    session = Budget("$1").session()
    transport = Fixed(Body(pieces, log))

    def got_one(event: Any) -> None:
        log.append(f"got {len(got)}")
        got.append(event)

    async def main() -> None:
        async with httpx.AsyncClient(transport=transport) as http_client:
            client = anthropic.AsyncAnthropic(api_key="none", http_client=http_client)
            bursar.wrap_client(client, session)
            stream: Any = await client.messages.create(**CHAT, stream=True)
            async for event in stream:
                got_one(event)

    if asynchronous:
        asyncio.run(main())
    else:
        with httpx.Client(transport=transport) as http_client:
            client = anthropic.Anthropic(api_key="none", http_client=http_client)
            for event in bursar.wrap_client(client, session).messages.create(**CHAT, stream=True):
                got_one(event)
    return log, got, session


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_an_event_is_there_before_the_next_is_asked_for(asynchronous: bool) -> None:
    """A server may wait as long as it likes after an event: its reader has it already."""
    log, got, session = streamed([*START, *PIECES, *END, STOP], asynchronous)
    assert log == [f"{what} {number}" for number in range(8) for what in ("asked", "got")]
    assert len(got) == 8 and session.spent * 10**9 == BILL_NANOS


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 3, 100, 10_000])
def test_events_may_be_cut_anywhere(size: int, newline: bytes, asynchronous: bool) -> None:
    """However the bytes are cut on their way, and whatever ends their lines."""
    body = WHOLE.replace(b"\n", newline)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    _, got, session = streamed(pieces, asynchronous)
    assert [event.delta.text for event in got if event.type == "content_block_delta"] == ["0", "1", "2"]
    assert session.spent * 10**9 == BILL_NANOS and session.reserved == 0


@pytest.mark.parametrize("end", [[], [STOP.rstrip()], [named("ping"), STOP]], ids=["none", "cut", "ping"])
def test_a_stream_may_end_without_its_marks(end: list[bytes]) -> None:
    """Without ``message_stop``, or without the blank line after it: the usage was told, and is booked."""
    _, got, session = streamed([*START, *PIECES, *END, *end], asynchronous=False)
    assert len(got) >= 7
    assert session.spent * 10**9 == BILL_NANOS and session.reserved == 0

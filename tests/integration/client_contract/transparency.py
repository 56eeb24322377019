"""Whoever uses a covered client sees what the bare SDK shows, to the byte."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

import bursar
from bursar import Budget, Session
from bursar.testing import Reply, ScriptedProvider, ToolCall

from .bench import Async, Sync
from .fixtures import WORD
from .sdk import ClientSdk
from .surface import Surface

WAIT_S = 10


def shown(value: Any) -> Any:
    """All that can be seen of a value."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    dump = getattr(value, "model_dump", None)
    members = dump(exclude_unset=True, warnings=False) if dump else None
    return type(value), repr(value), members, getattr(value, "_request_id", None)


class Waiting(BaseHTTPRequestHandler):
    """Sends one event, and the rest once its reader has that one, or after a long while."""

    protocol_version = "HTTP/1.0"  # the end of the connection is that of the answer
    has_it: threading.Event
    pieces: list[bytes]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(self.pieces[0])
        self.has_it.wait(WAIT_S)
        self.wfile.write(b"".join(self.pieces[1:]))

    def log_message(self, format: str, *args: Any) -> None:
        """Tests have their own output."""


Twice = Callable[..., list[Any]]


class Transparency:
    """Values, events, bytes, errors, the client itself, and when all of it comes."""

    @pytest.fixture(autouse=True)
    def _time_stands_still(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The provider stamps its answers with one moment."""
        for module in ("_openai", "_responses"):
            monkeypatch.setattr(f"bursar.testing.{module}.time", SimpleNamespace(time=lambda: 1_790_000_000))

    @pytest.fixture
    def twice(self, way: Sync | Async, sdk: ClientSdk) -> Twice:
        """What is seen with a bare client, and with a covered one, each at a provider of its own."""

        def twice(watch: Callable[[Any], Any], *replies: Reply, exact: bool = True) -> list[Any]:
            seen = []
            for covered in (False, True):
                with ScriptedProvider(rates=sdk.rates) as provider:
                    provider.always(Reply(WORD, output_tokens=9))
                    provider.script(*replies)
                    client = sdk.client(provider, asynchronous=way.asynchronous)
                    session = Budget("$1", prices=sdk.prices).session()
                    if covered:
                        bursar.wrap_client(client, session)
                    seen.append(watch(client))
                    way.run(client.close())
                    assert session.reserved == 0
                    if exact or not covered:
                        assert session.spent == (provider.bill if covered else 0)
            return seen

        return twice

    def test_every_value_and_every_event(
        self, surface: str, way: Sync | Async, twice: Twice, sdk: ClientSdk
    ) -> None:
        """Type, repr, the members that were set, and the id of the request."""
        bare, covered = twice(lambda client: shown(way.take(sdk.surfaces[surface], client)))
        assert covered == bare

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
    def test_events_of_odd_answers(
        self, odd: str, reply: Reply, way: Sync | Async, twice: Twice, sdk: ClientSdk
    ) -> None:
        """Also where the text looks like what we take out, and where what we asked for does not come."""

        def watch(client: Any) -> Any:
            try:
                return shown(way.take(sdk.surfaces[odd], client))
            except AttributeError as error:  # of an SDK's own helper, where the usage is missing
                return repr(error)

        bare, covered = twice(watch, reply, exact=reply.usage != "absent")
        assert covered == bare

    def test_raw_bytes_and_headers(self, body: str, way: Sync | Async, twice: Twice, sdk: ClientSdk) -> None:
        """Of a response that is read by hand: status, headers, and all bytes of the body."""

        def watch(client: Any) -> Any:
            if isinstance(way, Async):
                return way.run(read(client))
            with sdk.opened[body](client) as response:
                return seen_of(response), b"".join(response.iter_bytes())

        async def read(client: Any) -> Any:
            async with sdk.opened[body](client) as response:
                return seen_of(response), b"".join([piece async for piece in response.iter_bytes()])

        def seen_of(response: Any) -> Any:
            headers = {name: value for name, value in response.headers.items() if name != "date"}
            http_response = type(response.http_response)
            return type(response), response.status_code, headers, response.request_id, http_response

        bare, covered = twice(watch)
        assert covered == bare and bare[1]

    def test_body_that_is_read_after_its_close(
        self, body: str, way: Sync | Async, twice: Twice, sdk: ClientSdk
    ) -> None:
        """By a method that was taken before: it raises what it raises."""

        def watch(client: Any) -> Any:
            return way.run(read(client)) if isinstance(way, Async) else read_at_once(client)

        def read_at_once(client: Any) -> Any:
            with sdk.opened[body](client) as response:
                pieces = response.http_response.iter_bytes
            with pytest.raises(Exception) as failed:  # noqa: PT011 - of httpx
                list(pieces())
            return type(failed.value), str(failed.value)

        async def read(client: Any) -> Any:
            async with sdk.opened[body](client) as response:
                pieces = response.http_response.aiter_bytes
            with pytest.raises(Exception) as failed:  # noqa: PT011 - of httpx
                [piece async for piece in pieces()]
            return type(failed.value), str(failed.value)

        bare, covered = twice(watch, exact=False)
        assert covered == bare

    def test_errors(
        self, erring: str, status_of_error: int, way: Sync | Async, twice: Twice, sdk: ClientSdk
    ) -> None:
        """Type, text, body, status and the id of the request; and what the SDK said was the cause."""

        def watch(client: Any) -> Any:
            with pytest.raises(sdk.module.APIStatusError) as failed:
                way.take(sdk.surfaces[erring], client)
            error: Any = failed.value
            told = str(error), error.body, error.status_code, error.request_id
            return type(error), *told, repr(error.__cause__)

        bare, covered = twice(watch, Reply(status=status_of_error))
        assert covered == bare

    def test_a_lost_connection_raises_what_it_raises(
        self, way: Sync | Async, twice: Twice, sdk: ClientSdk
    ) -> None:
        """The SDK's own error, with the cause that it names."""

        def watch(client: Any) -> Any:
            with pytest.raises(sdk.module.APIConnectionError) as failed:
                way.take(Surface(sdk.ask), client)
            return type(failed.value), str(failed.value), repr(failed.value.__cause__)

        bare, covered = twice(watch, Reply(drop="before_headers"), exact=False)
        assert covered == bare

    def test_the_client_looks_the_same(self, provider: ScriptedProvider, sdk: ClientSdk) -> None:
        """Its class by name, its methods by signature, its repr, what it is an instance of, and what it tells servers."""

        def look(client: Any) -> Any:
            kind = type(client)
            return (
                *(repr(kind), kind.__name__, kind.__qualname__, kind.__module__, kind.__doc__),
                *(
                    str(inspect.signature(getattr(client, name)))
                    for name in ("request", "post", "with_options")
                ),
                *(client.user_agent, sorted(client.default_headers), isinstance(client, sdk.kind())),
                *sorted(vars(client)),
            )

        with sdk.client(provider) as bare, sdk.client(provider) as covered:
            bursar.wrap_client(covered, Budget("$1").session())
            assert look(covered) == look(bare)

    # -- time ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize("limit", [None, "$1"], ids=["bare", "covered"])
    def test_the_first_event_comes_while_the_server_waits(
        self, limit: str | None, way: Sync | Async, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """Over HTTP, from a server that goes on when the first event has been read: as with the bare SDK, nobody waits."""
        has_it = threading.Event()
        pieces = [*sdk.stream.pieces, sdk.stream.end]
        handler = type("Handler", (Waiting,), {"has_it": has_it, "pieces": pieces})

        async def read(client: Any) -> int:
            got = 0
            async for _ in await sdk.ask(client, stream=True):
                got += 1
                has_it.set()
            return got

        def read_blocking(client: Any) -> int:
            got = 0
            for _ in sdk.ask(client, stream=True):
                got += 1
                has_it.set()
            return got

        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            serving = threading.Thread(target=server.serve_forever, args=(0.02,))
            serving.start()
            try:
                base_url = f"http://127.0.0.1:{server.server_port}/v1"
                client = sdk.client(provider, asynchronous=way.asynchronous, base_url=base_url)
                session = Budget("$1").session()
                if limit is not None:
                    bursar.wrap_client(client, session)
                begun = time.perf_counter()
                events = way.run(read(client)) if isinstance(way, Async) else read_blocking(client)
                took_s = time.perf_counter() - begun
                way.run(client.close())
            finally:
                server.shutdown()
                serving.join()
        assert took_s < WAIT_S  # else an event was held back until the server was tired of waiting
        assert events == (sdk.stream.got_bare if limit is None else sdk.stream.got)
        assert session.spent * 10**9 == (0 if limit is None else sdk.stream.bill_nanos)

    # -- no event is held back ----------------------------------------------------------------------

    @pytest.mark.seam
    @pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
    def test_an_event_is_there_before_the_next_is_asked_for(self, asynchronous: bool, sdk: ClientSdk) -> None:
        """A server may wait as long as it likes after an event: its reader has it already."""
        log, got, session = streamed(sdk, [*sdk.stream.pieces, sdk.stream.end], asynchronous)
        turns = [f"{what} {number}" for number in range(sdk.stream.got) for what in ("asked", "got")]
        assert log[: len(turns)] == turns
        assert len(got) == sdk.stream.got and session.spent * 10**9 == sdk.stream.bill_nanos

    @pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
    @pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
    @pytest.mark.parametrize("size", [1, 3, 100, 10_000])
    def test_events_may_be_cut_anywhere(
        self, size: int, newline: bytes, asynchronous: bool, sdk: ClientSdk
    ) -> None:
        """However the bytes are cut on their way, and whatever ends their lines."""
        body = b"".join([*sdk.stream.pieces, sdk.stream.end]).replace(b"\n", newline)
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        _, got, session = streamed(sdk, pieces, asynchronous)
        assert sdk.stream.texts(got) == ["0", "1", "2"] and len(got) == sdk.stream.got
        assert session.spent * 10**9 == sdk.stream.bill_nanos and session.reserved == 0

    def test_a_stream_may_end_without_its_marks(self, odd_end: str, sdk: ClientSdk) -> None:
        """Without the mark of its end, or without the blank line after it: the usage was told, and is booked."""
        pieces = [*sdk.stream.pieces, *sdk.stream.odd_ends[odd_end]]
        _, got, session = streamed(sdk, pieces, asynchronous=False)
        assert sdk.stream.texts(got) == ["0", "1", "2"]
        assert session.spent * 10**9 == sdk.stream.bill_nanos and session.reserved == 0


def streamed(sdk: ClientSdk, pieces: list[bytes], asynchronous: bool) -> tuple[list[str], list[Any], Session]:
    """The order in which pieces are asked for and events are got; the events; and the session that paid."""
    log: list[str] = []
    got: list[Any] = []
    session = Budget("$1").session()
    httpx = sdk.httpx

    class Body(httpx.SyncByteStream, httpx.AsyncByteStream):  # type: ignore[misc, name-defined]
        """A body that notes when each of its pieces is asked for."""

        def __iter__(self) -> Iterator[bytes]:
            for number, piece in enumerate(pieces):
                log.append(f"asked {number}")
                yield piece

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self:
                yield piece

    class Fixed(httpx.BaseTransport, httpx.AsyncBaseTransport):  # type: ignore[misc, name-defined]
        """Answers every request with one body."""

        def handle_request(self, request: Any) -> Any:
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

        async def handle_async_request(self, request: Any) -> Any:
            return self.handle_request(request)

    def got_one(event: Any) -> None:
        log.append(f"got {len(got)}")
        got.append(event)

    async def main() -> None:
        async with httpx.AsyncClient(transport=Fixed()) as http_client:
            client = sdk.kind(asynchronous=True)(api_key="none", http_client=http_client)
            async for event in await sdk.ask(bursar.wrap_client(client, session), stream=True):
                got_one(event)

    if asynchronous:
        asyncio.run(main())
    else:
        with httpx.Client(transport=Fixed()) as http_client:
            client = sdk.kind()(api_key="none", http_client=http_client)
            for event in sdk.ask(bursar.wrap_client(client, session), stream=True):
                got_one(event)
    return log, got, session

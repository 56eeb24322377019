"""Streams settle by what passes through them, and by policy when they are left; nobody sees a difference."""

from __future__ import annotations

import contextlib
import gc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import openai
import pytest

import bursar
from bursar import Budget
from bursar.testing import Reply, ToolCall

from .surfaces import CHAT, RESPONSE, TEXT, Surface

if TYPE_CHECKING:
    from .conftest import Bench

STREAMS = {
    "chat": Surface(lambda c: c.chat.completions.create(**CHAT, stream=True), "events"),
    "completions": Surface(lambda c: c.completions.create(**TEXT, stream=True), "events"),
    "responses": Surface(lambda c: c.responses.create(**RESPONSE, stream=True), "events"),
}
LOOK_UP: Any = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
WORST_NANOS = {"chat": 50 * 10_000, "completions": 50 * 2_000, "responses": 50 * 10_000}


@pytest.fixture(autouse=True)
def _no_host_is_known_to_refuse() -> Any:
    """What one test teaches about a host is forgotten for the next, which may get its port."""
    from bursar_openai import _demands

    _demands._hosts_without_usage.clear()
    yield
    _demands._hosts_without_usage.clear()


# -- usage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [None, {"include_usage": True}, {"include_usage": False}, {}])
@pytest.mark.parametrize("surface", ["chat", "completions"])
def test_usage_is_asked_for_unless_the_caller_says_something(
    surface: str, options: Any, bench: Bench
) -> None:
    """Asked for and hidden again, so that seven events stay seven; whatever the caller says, stands."""
    client, session = bench.paid("$1")
    given = {} if options is None else {"stream_options": options}
    body = CHAT if surface == "chat" else TEXT
    home = (lambda c: c.chat.completions) if surface == "chat" else (lambda c: c.completions)
    events = bench.take(lambda c: home(c).create(**body, **given, stream=True), client, "events")
    asked = options == {"include_usage": True}
    assert len([event for event in events if not event.choices]) == (1 if asked else 0)
    assert bench.provider.served[0].body["stream_options"] == (
        {"include_usage": True} if options is None else options
    )
    if options is None or asked:
        bench.assert_exact(session)
    else:
        assert session.spent * 10**9 >= bench.provider.bill_nanos
        assert session.report()["estimated"] == 1


def test_a_host_that_rejects_the_question_is_not_asked_again(bench: Bench) -> None:
    """The rejected request is repeated without it, on the same hold, and the host is remembered."""
    client, session = bench.paid("$0.001")  # one hold fits, two do not
    bench.provider.script(Reply(refuse_stream_options=True), Reply("ok"))
    events = bench.take(STREAMS["chat"], client)
    assert events and bench.provider.arrivals == 2
    assert "stream_options" not in bench.provider.served[-1].body
    bench.provider.script(Reply("ok", output_tokens=1))
    spent = session.spent
    bursar.teardown()
    other = bench.pay(client, "$1")
    bench.take(STREAMS["chat"], client)
    assert bench.provider.arrivals == 3 and "stream_options" not in bench.provider.served[-1].body
    assert (spent + other.spent) * 10**9 >= bench.provider.bill_nanos
    assert session.reserved == other.reserved == 0


@pytest.mark.parametrize("body", [{"stream_options": {}}, {}])
def test_another_rejection_stands(body: dict[str, Any], sync_bench: Bench) -> None:
    """What is wrong with the request itself is not repeated, whether or not we asked for usage."""
    client, session = sync_bench.paid("$1")
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**{**CHAT, "n": 1_000, **body}, stream=True)
    assert sync_bench.provider.arrivals == 1
    sync_bench.assert_exact(session)


# -- the end ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", STREAMS)
def test_a_stream_is_booked_when_its_last_event_passes(surface: str, sync_bench: Bench) -> None:
    """Not when it is closed or collected: whoever has read the last event finds the charge."""
    client, session = sync_bench.paid("$1")
    stream = STREAMS[surface].call(client)
    for _ in stream:
        assert session.reserved > 0 or session.spent > 0
    sync_bench.assert_exact(session)
    stream.close()
    sync_bench.assert_exact(session)


def _within(stream: Any) -> None:
    with stream:
        next(stream)


def _fail(stream: Any) -> None:
    with contextlib.suppress(ZeroDivisionError), stream:
        for _ in stream:
            _ = 1 / 0


LEAVE: dict[str, Any] = {
    "break": lambda stream: next(iter(stream)),
    "close": lambda stream: (next(stream), stream.close()),
    "with": _within,
    "error": _fail,
    "never": lambda stream: None,
}


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("surface", STREAMS)
def test_a_stream_that_is_left_costs_the_worst(surface: str, leave: str, sync_bench: Bench) -> None:
    """By break, close, an error of the reader's, or never read at all: in doubt, above the bill, not held for ever."""
    client, session = sync_bench.paid("$1")
    stream = STREAMS[surface].call(client)
    LEAVE[leave](stream)
    del stream
    gc.collect()
    sync_bench.provider.wait_for(calls=1)
    assert session.reserved == 0
    assert session.spent * 10**9 >= max(WORST_NANOS[surface], sync_bench.provider.bill_nanos)
    assert session.report()["estimated"] == 1


@pytest.mark.parametrize("leave", ["break", "close", "never"])
@pytest.mark.parametrize("surface", STREAMS)
def test_an_asynchronous_stream_that_is_left(surface: str, leave: str, provider: Any) -> None:
    """The same for tasks, where the loop finalises what was left."""
    import asyncio

    session = Budget("$1").session()

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="none") as client:
            bursar.wrap_client(client, session)
            stream: Any = await STREAMS[surface].call(client)
            if leave != "never":
                await stream.__anext__()
            if leave == "close":
                await stream.close()
            del stream
            gc.collect()
            await asyncio.sleep(0)

    asyncio.run(main())
    gc.collect()
    assert session.reserved == 0
    assert session.spent * 10**9 >= max(WORST_NANOS[surface], provider.bill_nanos)


SHAPES: dict[str, tuple[Surface, Reply]] = {
    **{name: (surface, Reply("a longer answer")) for name, surface in STREAMS.items()},
    "choices": (
        Surface(lambda c: c.chat.completions.create(**CHAT, n=3, stream=True), "events"),
        Reply("a longer answer"),
    ),
    "tools": (
        Surface(
            lambda c: c.chat.completions.create(**{**CHAT, "max_tokens": 500}, tools=[LOOK_UP], stream=True),
            "events",
        ),
        Reply(tool_calls=[ToolCall("look_up", {"place": "Oslo"})] * 3),
    ),
}


@pytest.mark.parametrize("policy", ["worst", "observed", "release"])
@pytest.mark.parametrize("leave", [*LEAVE, "lost"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_left_stream_costs_is_a_policy(shape: str, leave: str, policy: str, sync_bench: Bench) -> None:
    """The whole hold; what was seen of it and all of its input; or no more than what was seen: whoever left it, and how."""
    surface, reply = SHAPES[shape]
    sync_bench.provider.script(replace(reply, drop="mid_stream" if leave == "lost" else None))
    client, session = sync_bench.paid("$1", unknown_outcome=policy)
    stream = surface.call(client)
    held = session.reserved
    if leave == "lost":
        with contextlib.suppress(Exception):
            list(stream)
    else:
        LEAVE[leave](stream)
    del stream
    gc.collect()
    assert session.reserved == 0 and session.report()["estimated"] == 1
    if policy == "worst":
        assert session.spent == held >= sync_bench.provider.bill
    elif policy == "observed":
        assert 0 < session.spent < held
    else:
        assert 0 <= session.spent < held


@pytest.mark.parametrize("shape", ["choices", "tools"])
def test_streams_of_every_shape_settle_exactly(shape: str, bench: Bench) -> None:
    """Of several choices, and of calls of tools, as of plain text."""
    surface, reply = SHAPES[shape]
    bench.provider.script(reply)
    client, session = bench.paid("$1")
    events = bench.take(surface, client)
    assert all(event.choices for event in events)
    bench.assert_exact(session)
    bench.provider.script(reply)
    stopped = [event.choices[0].finish_reason for event in bench.take(surface, client)]
    assert len([reason for reason in stopped if reason]) == (3 if shape == "choices" else 1)
    bench.assert_exact(session)


@pytest.mark.parametrize("surface", STREAMS)
@pytest.mark.parametrize("drop", ["mid_stream", "after_final_usage"])
def test_a_lost_connection(surface: str, drop: str, bench: Bench) -> None:
    """In the middle nobody knows, so the worst is booked; after the final usage it is known to the nano-dollar."""
    bench.provider.script(Reply("a longer answer", drop=drop))
    client, session = bench.paid("$1")
    with contextlib.suppress(Exception):
        bench.take(STREAMS[surface], client)
    assert session.reserved == 0
    if drop == "after_final_usage":
        bench.assert_exact(session)
    else:
        assert session.spent * 10**9 >= max(WORST_NANOS[surface], bench.provider.bill_nanos)


def test_leaving_after_the_output_is_complete(sync_bench: Bench) -> None:
    """Who stops at the finish reason has seen all of the output: it costs what was seen, not the worst."""
    client, session = sync_bench.paid("$9")
    sync_bench.provider.script(Reply("ok", output_tokens=1))
    stream = client.chat.completions.create(**{**CHAT, "max_tokens": 10_000}, stream=True)
    for event in stream:
        if event.choices[0].finish_reason:
            break
    stream.close()
    assert sync_bench.provider.bill_nanos <= session.spent * 10**9 < 1_000 * 10_000
    assert session.report()["estimated"] == 1


# -- pieces -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 4_096, None])
def test_raw_readers_choose_their_pieces(size: int | None, sync_bench: Bench) -> None:
    """Of the size that was asked for, and without the event that only we had asked for."""
    client, session = sync_bench.paid("$1")
    call = client.chat.completions.with_streaming_response.create(**CHAT, stream=True)
    with call as response:
        pieces = list(response.iter_bytes(size))
    assert all(len(piece) == size for piece in pieces[:-1]) or size is None
    body = b"".join(pieces)
    assert body.endswith(b"data: [DONE]\n\n") and b'"usage"' not in body
    sync_bench.assert_exact(session)


def test_a_body_that_is_read_by_other_means(sync_bench: Bench) -> None:
    """Around the bytes that we read nothing is known, and the worst is booked once the response is closed."""
    client, session = sync_bench.paid("$1")
    with client.chat.completions.with_streaming_response.create(**CHAT) as response:
        assert b"choices" in b"".join(response.http_response.iter_raw())
    assert session.spent * 10**9 >= WORST_NANOS["chat"] >= sync_bench.provider.bill_nanos
    assert session.reserved == 0


@pytest.mark.parametrize("how", ["read", "text", "json", "lines"])
def test_a_document_that_is_read_piece_by_piece(how: str, sync_bench: Bench) -> None:
    """However the body of an open response is read, it settles exactly."""
    client, session = sync_bench.paid("$1")
    with client.chat.completions.with_streaming_response.create(**CHAT) as response:
        if how == "lines":
            assert list(response.iter_lines())
        else:
            assert getattr(response, how)()
    sync_bench.assert_exact(session)

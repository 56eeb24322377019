"""Streams settle by what passes through them, and by policy when they are left; nobody sees a difference."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

import bursar
from bursar import Budget
from bursar.testing import Reply

from .surfaces import CHAT, Surface

if TYPE_CHECKING:
    from .conftest import Bench

STREAMS = {
    "messages": Surface(lambda c: c.messages.create(**CHAT, stream=True), "events"),
    "beta": Surface(lambda c: c.beta.messages.create(**CHAT, stream=True), "events"),
}
WORST_NANOS = 50 * 15_000


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
    assert session.spent * 10**9 >= max(WORST_NANOS, sync_bench.provider.bill_nanos)
    assert session.report()["estimated"] == 1


@pytest.mark.parametrize("leave", ["break", "close", "never"])
@pytest.mark.parametrize("surface", STREAMS)
def test_an_asynchronous_stream_that_is_left(surface: str, leave: str, provider: Any) -> None:
    """The same for tasks, where the loop finalises what was left."""
    import asyncio

    session = Budget("$1").session()

    async def main() -> None:
        async with anthropic.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none") as client:
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
    assert session.spent * 10**9 >= max(WORST_NANOS, provider.bill_nanos)


@pytest.mark.parametrize("policy", ["worst", "observed", "release"])
@pytest.mark.parametrize("surface", STREAMS)
def test_what_a_left_stream_costs_is_a_policy(surface: str, policy: str, sync_bench: Bench) -> None:
    """The whole hold; what was seen of it and its input; or no more than what was seen."""
    client, session = sync_bench.paid("$1", unknown_outcome=policy)
    stream = STREAMS[surface].call(client)
    for _ in range(4):
        next(stream)
    stream.close()
    spent_nanos = session.spent * 10**9
    if policy == "worst":
        assert spent_nanos >= WORST_NANOS
    else:
        assert 0 < spent_nanos < WORST_NANOS + 400_000
    assert session.reserved == 0


@pytest.mark.parametrize("surface", STREAMS)
@pytest.mark.parametrize("drop", ["mid_stream", "error_event", "after_final_usage"])
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
        assert session.spent * 10**9 >= max(WORST_NANOS, bench.provider.bill_nanos)


@pytest.mark.parametrize("surface", STREAMS)
def test_leaving_after_the_usage_was_told(surface: str, sync_bench: Bench) -> None:
    """Who stops at the reason of the end has been told all counts: the charge is exact, without the last event."""
    client, session = sync_bench.paid("$1")
    stream = STREAMS[surface].call(client)
    for event in stream:
        if event.type == "message_delta":
            break
    stream.close()
    sync_bench.assert_exact(session)
    assert session.report()["estimated"] == 0


@pytest.mark.parametrize("policy", ["observed", "release"])
def test_the_first_event_tells_the_input(policy: str, sync_bench: Bench) -> None:
    """A stream that is left at once has told its input exactly: that, and some output, is the least it costs."""
    client, session = sync_bench.paid("$1", unknown_outcome=policy)
    sync_bench.provider.script(Reply("ok", input_tokens=9_000))
    stream = STREAMS["messages"].call(client)
    next(stream)
    stream.close()
    assert 9_000 * 3_000 <= session.spent * 10**9 < 9_000 * 3_000 + 40 * 15_000
    assert session.reserved == 0


@pytest.mark.parametrize("reply", [Reply(), Reply("sky", drop="error_event")], ids=["good", "overloaded"])
def test_an_error_in_the_middle_of_a_stream(reply: Reply, bench: Bench) -> None:
    """The SDK's own error reaches the caller, with its body; nobody knows the bill, so the worst is booked."""
    client, session = bench.paid("$1", client={"max_retries": 2})
    bench.provider.script(reply)
    if reply.drop is None:
        bench.take(STREAMS["messages"], client)
        bench.assert_exact(session)
    else:
        with pytest.raises(anthropic.APIStatusError, match="Overloaded") as failed:
            bench.take(STREAMS["messages"], client)
        assert failed.value.body["error"]["type"] == "overloaded_error"  # type: ignore[index]
        assert session.spent * 10**9 >= max(WORST_NANOS, bench.provider.bill_nanos)
        assert session.report()["estimated"] == 1
    assert (bench.provider.arrivals, session.reserved) == (1, 0)


# -- pieces -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 4_096, None])
def test_raw_readers_choose_their_pieces(size: int | None, sync_bench: Bench) -> None:
    """Of the size that was asked for, and all of them."""
    client, session = sync_bench.paid("$1")
    call = client.messages.with_streaming_response.create(**CHAT, stream=True)
    with call as response:
        pieces = list(response.iter_bytes(size))
    assert all(len(piece) == size for piece in pieces[:-1]) or size is None
    body = b"".join(pieces)
    assert body.startswith(b"event: message_start") and body.endswith(b"\n\n") and b"message_stop" in body
    sync_bench.assert_exact(session)


def test_a_body_that_is_read_by_other_means(sync_bench: Bench) -> None:
    """Around the bytes that we read nothing is known, and the worst is booked once the response is closed."""
    client, session = sync_bench.paid("$1")
    with client.messages.with_streaming_response.create(**CHAT) as response:
        assert b"content" in b"".join(response.http_response.iter_raw())
    assert session.spent * 10**9 >= WORST_NANOS >= sync_bench.provider.bill_nanos
    assert session.reserved == 0


@pytest.mark.parametrize("how", ["read", "text", "json", "lines"])
def test_a_document_that_is_read_piece_by_piece(how: str, sync_bench: Bench) -> None:
    """However the body of an open response is read, it settles exactly."""
    client, session = sync_bench.paid("$1")
    with client.messages.with_streaming_response.create(**CHAT) as response:
        if how == "lines":
            assert list(response.iter_lines())
        else:
            assert getattr(response, how)()
    sync_bench.assert_exact(session)

"""Streams settle by what passes through them, and by policy when they are left; nobody sees a difference."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bursar
from bursar.testing import Reply
from bursar_openai._usage import CompletionReading

from ..client_contract.bench import Bench
from ..client_contract.streams import Streams
from .sdk import SHAPES, STREAMS
from .surfaces import CHAT, TEXT


class TestStreams(Streams):
    """Read to their end, left, lost, and read in pieces."""


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


# -- events that are not parsed ---------------------------------------------------------------------

DELTAS = st.one_of(
    st.builds(lambda text: {"content": text}, st.sampled_from(["", "In June.", "zwölf", 'a "b"', "x\ny"])),
    st.sampled_from([{}, {"role": "assistant", "content": ""}, {"reasoning": "so", "content": "In June."}]),
)
CHUNKS = st.fixed_dictionaries({
    "choices": st.lists(
        st.builds(
            lambda index, delta, reason: {"index": index, "delta": delta, "finish_reason": reason},
            st.integers(0, 1), DELTAS, st.sampled_from([None, None, None, "stop", "length"]),
        ),
        min_size=0, max_size=2,
    ),
    "usage": st.sampled_from([None, None, None, {"prompt_tokens": 5, "completion_tokens": 7}]),
    "obfuscation": st.sampled_from(["a", "aB3"]),
})  # fmt: skip


@given(st.lists(CHUNKS, max_size=8), st.booleans(), st.booleans(), st.booleans())
def test_events_that_are_alike_say_what_they_say_when_they_are_parsed(
    chunks: list[dict[str, Any]], twice: bool, spaced: bool, unasked: bool
) -> None:
    """Text, end, usage and what the caller gets are the same; the other reading parses each event."""
    readings = [CompletionReading(choices=2, unasked=unasked) for _ in range(2)]
    for chunk in [one for one in chunks for _ in range(1 + twice)]:
        text = json.dumps({"id": "1", **chunk}, ensure_ascii=False, separators=None if spaced else (",", ":"))
        readings[1]._alike.forget()
        got = [reading.event(f"data: {text}\n\n".encode()) for reading in readings]
        said = [{**vars(reading), "_alike": None} for reading in readings]
        assert got[0] == got[1]
        assert said[0] == said[1]

"""Events are cut out of a stream of bytes, and no byte is lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.sdk.sse import Events, data_of, parsed


@given(st.lists(st.integers(1, 40)), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.booleans())
def test_however_it_is_cut_the_events_are_the_same(sizes: list[int], newline: bytes, ended: bool) -> None:
    """Three events, in pieces of any size, with any end of line; the rest is what has no blank line yet."""
    stream = b"event: a\ndata: 1\n\ndata: 2\ndata: 3\n\n: ping\n\n" + (b"" if ended else b"data: 4\n")
    stream = stream.replace(b"\n", newline)
    events, found, at = Events(), [], 0
    for size in [*sizes, len(stream)]:
        found += events.feed(stream[at : at + size])
        at += size
    assert b"".join(found) + events.rest == stream
    assert [data_of(event) for event in found] == [b"1", b"2\n3", b""]
    assert data_of(events.rest) == (b"" if ended else b"4")


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\n\n", b"x"),
        (b"data:  x\n\n", b" x"),
        (b"data\n\n", b""),
        (b"id: 1\ndata: x\nretry: 5\n\n", b"x"),
        (b"", b""),
    ],
)
def test_data(event: bytes, data: bytes) -> None:
    """One space after the colon is not part of it; other fields are not data."""
    assert data_of(event) == data


@given(st.lists(st.sampled_from([b"data:", b"data: ", b"data", b" ", b"x", b"id: 1", b"\n", b"\r", b"\r\n"])))
def test_data_of_one_line_is_that_of_many(parts: list[bytes]) -> None:
    """An event of one line is looked at as a whole; a comment before it, which is no data, has it cut by lines."""
    event = b"".join(parts)

    assert data_of(event) == data_of(b":\n" + event)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
)


@given(
    JSON,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16"]),
    st.sampled_from(["", " ", "\t", "x"]),
)
def test_data_is_parsed_as_by_the_library(document: object, encoding: str, around: str) -> None:
    """Whatever its encoding, with spaces around it or with rubbish, as `json.loads` would."""
    text = around + json.dumps(document, ensure_ascii=False) + around
    data = text.encode(encoding, "surrogatepass")
    try:
        expected = repr(json.loads(data))
    except ValueError as error:
        with pytest.raises(type(error)):
            parsed(data)
    else:
        assert repr(parsed(data)) == expected

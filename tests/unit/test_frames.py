"""Amazon's frames are cut out of a stream of bytes, and no byte is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.sdk import data_of, object_of
from bursar.sdk.eventstream import Frames
from bursar.testing._shapes import Event

EVENTS = [Event({"type": "message_start", "n": n}, named=True) for n in range(3)]
FRAMES = [event.framed() for event in EVENTS]


@given(st.lists(st.integers(1, 200)))
def test_however_they_are_cut_the_frames_are_the_same(sizes: list[int]) -> None:
    """Three frames, in pieces of any size; the rest is what is not whole yet."""
    frames, body, found = Frames(), b"".join(FRAMES) + FRAMES[0][:9], []
    for size in [*sizes, len(body)]:
        found += frames.feed(body[:size])
        body = body[size:]
    assert found == FRAMES and frames.rest == FRAMES[0][:9]
    assert [object_of(frame) for frame in found] == [{"type": "message_start", "n": n} for n in range(3)]


@pytest.mark.parametrize("odd", [b"\0\0\0\1 is no length", b"\0\0\0\0\0"])
def test_what_is_no_frame_is_not_held_back(odd: bytes) -> None:
    """Its bytes are passed on as they came."""
    frames = Frames()
    assert frames.feed(FRAMES[0] + odd) == [FRAMES[0], odd] and frames.rest == b""
    assert object_of(odd) == {}


@pytest.mark.parametrize("payload", [b'{"message": "slow down"}', b"[]", b"no JSON", b'{"bytes": 5}'])
def test_a_frame_that_wraps_nothing(payload: bytes) -> None:
    """An error, say: its payload is its data."""
    frame = (16 + len(payload)).to_bytes(4, "big") + b"\0" * 8 + payload + b"\0" * 4
    assert Frames().feed(frame) == [frame] and data_of(frame) == payload


def test_a_frame_that_is_cut_off_has_no_data() -> None:
    """As an event without its blank line that has no line of data."""
    assert data_of(FRAMES[0][:-1]) == b"" == data_of(b"\0")


@pytest.mark.parametrize(
    ("event", "found"),
    [(b'data: {"a": 1}\n\n', {"a": 1}), (b"data: [1]\n\n", {}), (b"data: {\n\n", {}), (b": ping\n\n", {})],
)
def test_an_object_in_an_event(event: bytes, found: dict[str, int]) -> None:
    """Or an empty one, where the data is something else."""
    assert object_of(event) == found
    assert object_of(b"data: " + b"[" * 100_000) == {}

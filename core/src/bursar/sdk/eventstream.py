"""Cuts Amazon's binary event streams into events, without changing a byte.

A frame is its length and that of its headers, four bytes each, and a checksum of both; then
the headers, the payload, and a checksum. A payload wraps the event of whoever made the model.
"""

from __future__ import annotations

import base64
import json

_LENGTH = 4
_PRELUDE = 12
_CHECKSUM = 4


class Frames:
    """Collects bytes until a frame is whole.

    Attributes:
        rest: what came after the last whole frame.
    """

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The frames that this chunk completes; what cannot be a frame is passed on at once."""
        waiting = self.rest + chunk
        frames = []
        begin = 0
        while len(waiting) - begin >= _LENGTH:
            length = int.from_bytes(waiting[begin : begin + _LENGTH], "big")
            if length < _PRELUDE + _CHECKSUM:
                length = len(waiting) - begin
            if begin + length > len(waiting):
                break
            frames.append(waiting[begin : begin + length])
            begin += length
        self.rest = waiting[begin:]
        return frames


def is_frame(event: bytes) -> bool:
    """True for a whole frame; text never begins with the length of anything."""
    return event[:1] == b"\0" and int.from_bytes(event[:_LENGTH], "big") == len(event) > _PRELUDE


def data_of_frame(frame: bytes) -> bytes:
    """The event that is wrapped in the payload; the payload itself where none is."""
    headers = int.from_bytes(frame[_LENGTH : 2 * _LENGTH], "big")
    payload = frame[_PRELUDE + headers : -_CHECKSUM]
    try:
        return base64.b64decode(json.loads(payload)["bytes"])
    except (ValueError, TypeError, KeyError):
        return payload

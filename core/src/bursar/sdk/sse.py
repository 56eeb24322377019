"""Cuts server-sent events out of a stream of bytes, without changing a byte."""

from __future__ import annotations

import json
import re
from typing import Any

from .eventstream import data_of_frame, is_frame

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DECODER = json.JSONDecoder()
_LINE = re.compile(rb"\r\n|\n|\r")


class Events:
    """Collects bytes until an event is whole.

    Attributes:
        rest: what came after the last whole event.
    """

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that this chunk completes, each with the blank line that ends it."""
        looked_at = max(0, len(self.rest) - 3)  # the end of an event may be cut in two
        waiting = self.rest + chunk
        if b"\r" not in waiting:  # as in most streams
            *whole, self.rest = waiting.split(b"\n\n")
            return [event + b"\n\n" for event in whole]
        events = []
        begin = 0
        while (end := _END.search(waiting, max(begin, looked_at))) is not None:
            events.append(waiting[begin : end.end()])
            begin = end.end()
        self.rest = waiting[begin:]
        return events


def data_of(event: bytes) -> bytes:
    """The data of an event: its ``data:`` lines, joined; or what a frame of Amazon's wraps."""
    line = event.rstrip(b"\r\n")
    if line.startswith(b"data:") and b"\n" not in line and b"\r" not in line:  # as most are
        return line[6:] if line.startswith(b"data: ") else line[5:]
    if is_frame(event):
        return data_of_frame(event)
    lines = [line[5:] for line in _LINE.split(event) if line.startswith(b"data:")]
    return b"\n".join(line[1:] if line.startswith(b" ") else line for line in lines)


def object_of(event: bytes) -> dict[str, Any]:
    """The JSON object in the data of an event; an empty one if there is none."""
    data = data_of(event)
    try:
        document = parsed(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def parsed(data: bytes) -> object:
    """What ``json.loads`` makes of it; text without a space around it, as most is, at once."""
    try:
        text = data.decode()
        document, end = _DECODER.raw_decode(text)
    except ValueError:
        return json.loads(data)
    return document if end == len(text) else json.loads(data)

"""Reads the body of a response while its caller does.

The methods are replaced on this very response, so its type, its headers and whatever the
caller does with it stay as they are. It is an ``httpx.Response`` of whichever httpx the SDK
uses; only the methods named here are relied on.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from .settlement import Meter


def attach(response: Any, meter: Meter, *, document: bool, events: bool, client: object) -> None:
    """Let a meter read a body that its caller has not read yet.

    Whoever leaves the body before its end abandons the meter, also if only the garbage
    collector notices.

    Args:
        response: an open response.
        meter: books the call.
        document: True for a body that is one JSON document.
        events: True for a stream of server-sent events.
        client: of the SDK, whose helpers close the response when they fail on the answer.
    """
    tap = _Tap(meter, document, events)
    its = weakref.ref(response)
    own = {name: getattr(response, name) for name in ("iter_bytes", "aiter_bytes", "close", "aclose")}
    tapped = {
        "iter_bytes": lambda chunk_size=None: tap.read(unmetered("iter_bytes"), chunk_size),
        "aiter_bytes": lambda chunk_size=None: tap.aread(unmetered("aiter_bytes"), chunk_size),
    }

    def unmetered(name: str) -> Any:
        """The method of this name that we replaced; after the close, the one that the response has again."""
        return own.get(name) or getattr(its(), name)

    def leaving() -> None:
        meter.explain(sys.exc_info()[1], client)
        if not tap.pulling:  # else the end of the body, which the tap itself will notice
            meter.abandon()

    def left() -> None:
        """It is closed, once and for all: what holds itself would be left to the garbage collector."""
        own.clear()
        response = its()  # None where the garbage collector has it closed
        members = {} if response is None else vars(response)
        for name, method in tapped.items():
            if members.get(name) is method:
                del members[name]

    def closing() -> None:
        leaving()
        if own:
            own["close"]()
            left()

    async def aclosing() -> None:
        leaving()
        if own:
            await own["aclose"]()
            left()

    vars(response).update(tapped, close=closing, aclose=aclosing)
    weakref.finalize(response, meter.abandon).atexit = False


class _Tap:
    """Where the bytes pass.

    Attributes:
        pulling: True while the next bytes are waited for.
    """

    def __init__(self, meter: Meter, document: bool, events: bool) -> None:
        self.pulling = False
        self._meter = meter
        self._document = document
        self._events = events
        self._kept: list[bytes] = []

    def read(self, source: Any, chunk_size: int | None) -> Iterator[bytes]:
        meter, body = self._meter, source()
        sizes = _Sizes(chunk_size)
        try:
            while True:
                self.pulling = True
                chunk = next(body, None)
                self.pulling = False
                out = self._take(chunk)
                if chunk is None or meter.due:
                    meter.book()
                yield from sizes.cut(out)
                if chunk is None:
                    break
        except BaseException:
            self.pulling = False
            meter.abandon()
            raise
        yield from sizes.rest()

    async def aread(self, source: Any, chunk_size: int | None) -> AsyncIterator[bytes]:
        meter, body = self._meter, source()
        sizes = _Sizes(chunk_size)
        try:
            while True:
                self.pulling = True
                chunk = await anext(body, None)
                self.pulling = False
                out = self._take(chunk)
                if chunk is None or meter.due:
                    await meter.abook()
                for piece in sizes.cut(out):
                    yield piece
                if chunk is None:
                    break
        except BaseException:
            self.pulling = False
            meter.abandon()
            raise
        for piece in sizes.rest():
            yield piece

    def _take(self, chunk: bytes | None) -> bytes:
        """Read a piece of the body, None for its end; returns what the caller gets of it."""
        if not self._events:
            if chunk is None:
                self._meter.reading.body(b"".join(self._kept))
            elif self._document:
                self._kept.append(chunk)
            return chunk or b""
        return self._meter.pass_rest() if chunk is None else self._meter.pass_on(chunk)


class _Sizes:
    """Cuts bytes into pieces of one size, if one was asked for."""

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._waiting = b""

    def cut(self, out: bytes) -> Iterable[bytes]:
        """The pieces that are whole."""
        size = self._size
        if size is None:
            return (out,) if out else ()
        waiting = self._waiting + out
        end = len(waiting) // size * size
        self._waiting = waiting[end:]
        return [waiting[begin : begin + size] for begin in range(0, end, size)]

    def rest(self) -> Iterator[bytes]:
        """What is left at the end."""
        if self._waiting:
            yield self._waiting

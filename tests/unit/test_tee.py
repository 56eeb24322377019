"""A body is read while its caller reads it, in the caller's own pieces."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from bursar import Budget, Hold, Session
from bursar.sdk import Reading
from bursar.sdk.body import attach
from bursar.sdk.settlement import Background, Meter
from bursar.values.amounts import Amounts

EVENTS = [
    b"data: {}\n\n",
    b"data: secret\n\n",
    b'data: {"usage": {"input_tokens": 3, "output_tokens": 2}}\n\n',
]


class Words(Reading):
    """Hides what is secret, ends with what has usage."""

    def whole(self, document: Any) -> None:
        from bursar.integration import read_answer

        self.answer = read_answer({"model": "gpt-4o", **document})

    def event(self, raw: bytes) -> bytes:
        if b"usage" in raw:
            self.body(raw.removeprefix(b"data: "))
        return b"" if b"secret" in raw else raw


class Body:
    """A response whose body comes in pieces, and perhaps breaks."""

    def __init__(self, pieces: list[bytes], error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.closed = 0

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        yield from self.pieces
        if self.error is not None:
            raise self.error
        self.close()

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        if self.error is not None:
            raise self.error
        await self.aclose()

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


class Client:
    """Of an SDK, by the name of its module."""

    __module__ = "their_sdk._base_client"

    def _build_request(self) -> None:
        raise NotImplementedError


class Case:
    """A response with a meter on it."""

    def __init__(
        self, response: Any, *, document: bool = False, events: bool = False, limit: str = "$1", cap: int = 10
    ) -> None:
        self.session: Session = Budget(limit, name="support").session()
        self.hold: Hold = self.session.reserve("gpt-4o", input_tokens=10, max_output_tokens=cap)
        self.meter = Meter(self.hold, Words(hidden=True), Background())
        self.meter.sent = True
        self.response = response
        attach(response, self.meter, document=document, events=events, client=Client())

    def read(self, asynchronous: bool, size: int | None = None, most: int = 10**6) -> list[bytes]:
        if not asynchronous:
            pieces = []
            for piece in self.response.iter_bytes(size):
                pieces.append(piece)
                if len(pieces) == most:
                    break
            return pieces

        async def read() -> list[bytes]:
            pieces = []
            async for piece in self.response.aiter_bytes(size):
                pieces.append(piece)
                if len(pieces) == most:
                    break
            return pieces

        return asyncio.run(read())


KINDS = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


@KINDS
@pytest.mark.parametrize("most", [1, 10**6], ids=["left and closed", "read to its end"])
def test_closed_response_is_freed_without_the_garbage_collector(most: int, asynchronous: bool) -> None:
    """It does not hold itself any more; closed twice, it is closed once."""
    case = Case(Body(EVENTS), events=True)

    async def read() -> None:
        async with aclosing(case.response.aiter_bytes()) as pieces:
            async for _ in pieces:
                if most == 1:
                    break
        for _ in range(2):
            await case.response.aclose()
        await asyncio.sleep(0.01)  # in which the event loop closes what is left: one that ends holds it

    gc.disable()
    try:
        if asynchronous:
            asyncio.run(read())
        else:
            case.read(asynchronous, most=most)
            for _ in range(2):
                case.response.close()
        assert case.response.closed == 1
        freed = weakref.ref(case.response)
        del case.response
        assert freed() is None
    finally:
        gc.enable()


def test_response_that_the_garbage_collector_has_closed_is_closed_once() -> None:
    """Somebody in a circle with it closes it at their end, where nothing refers to it weakly any more."""
    closed = []

    class Owner:
        def __init__(self, response: Body) -> None:
            self.response = response

        def __del__(self) -> None:
            self.response.close()
            closed.append(self.response.closed)

    case = Case(Body(EVENTS), events=True)
    case.response.owner = Owner(case.response)
    del case.response
    gc.collect()

    assert closed == [1]
    assert case.session.reserved == 0


@KINDS
@pytest.mark.parametrize("size", [None, 1, 5, 1_000])
@pytest.mark.parametrize("cut", [1, 4, 1_000])
def test_events_pass_and_the_last_one_books(cut: int, size: int | None, asynchronous: bool) -> None:
    """In pieces of the size that was asked for; what is hidden leaves no gap."""
    stream = b"".join(EVENTS)
    case = Case(Body([stream[at : at + cut] for at in range(0, len(stream), cut)]), events=True)
    pieces = case.read(asynchronous, size)
    assert b"".join(pieces) == EVENTS[0] + EVENTS[2]
    assert all(pieces) and (size is None or all(len(piece) == size for piece in pieces[:-1]))
    assert (case.hold.state, case.response.closed) == ("settled", 1)
    assert case.session.spent * 10**9 == 3 * 2_500 + 2 * 10_000


@KINDS
@pytest.mark.parametrize("end", [b"data: secret", b"", b": ping"])
def test_a_stream_that_ends_without_its_usage(end: bytes, asynchronous: bool) -> None:
    """Nobody said that it is over: in doubt. What came without a blank line passes all the same."""
    case = Case(Body([EVENTS[0], end]), events=True)
    assert b"".join(case.read(asynchronous)) == EVENTS[0] + (b"" if b"secret" in end else end)
    assert case.hold.state == "in_doubt"


@KINDS
@pytest.mark.parametrize(("document", "state"), [(True, "settled"), (False, "settled")])
def test_a_document_is_kept_together(document: bool, state: str, asynchronous: bool) -> None:
    """One that is JSON is read at its end; of anything else nothing is known but that it came."""
    case = Case(Body([b'{"usage": {"input_', b'tokens": 3, "output_tokens": 2}}']), document=document)
    assert len(case.read(asynchronous)) == 2
    assert case.hold.state == state
    assert (case.session.spent * 10**9 == 27_500) == document
    assert case.session.report()["estimated"] == (not document)


@KINDS
@pytest.mark.parametrize("hidden", [False, True])
def test_an_output_that_is_complete_without_its_usage(hidden: bool, asynchronous: bool) -> None:
    """Left after its last word: by what was seen, or at the hold where more may be billed than is shown."""
    case = Case(Body([EVENTS[0], EVENTS[0]]), events=True)
    case.meter.reading.hidden, case.meter.reading.stopped = hidden, True
    case.read(asynchronous, most=1)
    case.response.close()
    assert case.session.report()["estimated"] == 1 and case.hold.state == "settled"
    assert case.session.spent == case.hold.amount  # 10 tokens of input, and no more of output than the cap


class Reports(Words):
    """A report of the usage so far with each event; no last one."""

    def event(self, raw: bytes) -> bytes:
        self.visible_bytes += 1
        self.report({"model": "gpt-4o"}, json.loads(raw.removeprefix(b"data: ")))
        return raw


@KINDS
@pytest.mark.parametrize(("told", "output"), [(40, 40), (5, 17)])
def test_an_output_that_was_reported_and_cut_off(told: int, output: int, asynchronous: bool) -> None:
    """What was reported so far counts where it is more than what was seen: a byte, and the marks around it."""
    event = b'data: {"input_tokens": 10, "output_tokens": %d}\n\n' % told
    case = Case(Body([event, event]), events=True, cap=50)
    case.meter.reading = Reports()
    case.meter.reading.stopped = True
    case.read(asynchronous, most=1)
    case.response.close()
    assert case.session.report()["estimated"] == 1 and case.hold.state == "settled"
    assert case.session.spent * 10**9 == 10 * 2_500 + output * 10_000


@KINDS
def test_a_hold_that_was_settled_meanwhile(asynchronous: bool) -> None:
    """By its owner, before the answer had passed: the owner's word stands."""
    case = Case(Body(list(EVENTS)), events=True)
    case.hold._ledger.store.settle(
        case.hold._entry(Amounts(1, 1, 1), None, False), case.hold._ledger.policy.terms
    )
    assert case.read(asynchronous)
    assert case.session.spent * 10**9 == 1


@KINDS
def test_a_body_that_breaks(asynchronous: bool) -> None:
    """The reader gets the error, the ledger a call in doubt."""
    case = Case(Body([EVENTS[0]], ConnectionError("cut")), events=True)
    with pytest.raises(ConnectionError):
        case.read(asynchronous)
    assert case.session.reserved == 0 and case.hold.state == "in_doubt"


@KINDS
@pytest.mark.parametrize("close", [True, False])
def test_a_body_that_is_left(close: bool, asynchronous: bool) -> None:
    """Closed, or only forgotten: in doubt at the ledger's next step, and once."""
    case = Case(Body(list(EVENTS)), events=True)
    case.read(asynchronous, most=1)
    if close:
        asyncio.run(case.response.aclose()) if asynchronous else case.response.close()
        assert case.response.closed == 1
    else:
        del case.response
        gc.collect()
    assert case.session.reserved == 0 and case.hold.state == "in_doubt"
    assert case.session.spent == case.hold.amount


def raise_(error: Exception) -> None:
    """The caller's own code."""
    raise error


THEIRS: dict[str, Any] = {"__name__": "their_sdk.lib.parsing"}
exec("def parse(error):\n    raise error", THEIRS)


@KINDS
@pytest.mark.parametrize(
    ("error", "raised_by", "said", "note"),
    [
        pytest.param(RuntimeError, THEIRS["parse"], {"cut": True}, "was cut", id="said-that-it-was-cut"),
        pytest.param(ValueError, THEIRS["parse"], {}, "may have been cut", id="has-not-said-why-it-ends"),
        pytest.param(ValueError, THEIRS["parse"], {"stopped": True}, None, id="ended-by-itself"),
        pytest.param(RuntimeError, THEIRS["parse"], {}, None, id="no-parser"),
        pytest.param(ValueError, raise_, {"cut": True}, None, id="error-of-the-caller"),
    ],
)
@pytest.mark.parametrize("limit", ["$0.0005", "$1"])
def test_an_error_of_the_sdks_helper_is_explained(
    limit: str,
    error: type[Exception],
    raised_by: Any,
    said: dict[str, bool],
    note: str | None,
    asynchronous: bool,
) -> None:
    """Once, where the budget had lowered the cap, and only where that may be why the helper failed."""
    case = Case(Body(list(EVENTS)), events=True, limit=limit, cap=1_000)
    case.read(asynchronous, most=1) if not asynchronous else None
    for name, value in said.items():
        setattr(case.meter.reading, name, value)

    async def aleave() -> None:
        await case.response.aclose()

    with pytest.raises(error) as failed:
        try:
            raised_by(error("no JSON"))
        finally:
            for _ in range(2):
                asyncio.run(aleave()) if asynchronous else case.response.close()
    notes = getattr(failed.value, "__notes__", [])
    expected = 1 if note and limit != "$1" and sys.version_info >= (3, 11) else 0
    assert len(notes) == expected
    assert all(
        f"{note} at " in text and "the budget 'support' had lowered the cap from 1,000" in text
        for text in notes
    )
    case.response.close()
    assert case.session.reserved == 0 and case.session.spent > 0

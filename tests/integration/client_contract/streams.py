"""Streams settle by what passes through them, and by policy when they are left; nobody sees a difference."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import bursar
from bursar import Budget
from bursar.testing import Reply, ScriptedProvider

from .bench import Bench
from .fixtures import crossed
from .sdk import ClientSdk


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


class Streams:
    """Read to their end, left, lost, and read in pieces."""

    @pytest.fixture(autouse=True, scope="class")
    def _quick_collections(self) -> Iterator[None]:
        """What is there already need not be looked through each time that garbage is collected."""
        gc.collect()
        gc.freeze()
        yield
        gc.unfreeze()

    # -- the end ------------------------------------------------------------------------------------

    @pytest.mark.seam
    def test_a_stream_is_booked_when_its_last_event_passes(
        self, stream: str, sync_bench: Bench, sdk: ClientSdk
    ) -> None:
        """Not when it is closed or collected: whoever has read the last event finds the charge."""
        client, session = sync_bench.paid("$1")
        events = sdk.streams[stream].call(client)
        for _ in events:
            assert session.reserved > 0 or session.spent > 0
        sync_bench.assert_exact(session)
        events.close()
        sync_bench.assert_exact(session)

    @pytest.mark.parametrize("leave", LEAVE)
    def test_a_stream_that_is_left_costs_the_worst(
        self, stream: str, leave: str, sync_bench: Bench, sdk: ClientSdk
    ) -> None:
        """By break, close, an error of the reader's, or never read at all: in doubt, above the bill, not held for ever."""
        client, session = sync_bench.paid("$1")
        events = sdk.streams[stream].call(client)
        LEAVE[leave](events)
        del events
        gc.collect()
        sync_bench.provider.wait_for(calls=1)
        assert session.reserved == 0
        assert session.spent * 10**9 >= max(sdk.worst_nanos[stream], sync_bench.provider.bill_nanos)
        assert session.report()["estimated"] == 1

    @pytest.mark.parametrize("leave", ["break", pytest.param("close", marks=pytest.mark.seam), "never"])
    def test_an_asynchronous_stream_that_is_left(
        self, stream: str, leave: str, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """The same for tasks, where the loop finalises what was left."""
        session = Budget("$1").session()

        async def main() -> None:
            async with sdk.client(provider, asynchronous=True) as client:
                bursar.wrap_client(client, session)
                events: Any = await sdk.streams[stream].call(client)
                if leave != "never":
                    await events.__anext__()
                if leave == "close":
                    await events.close()
                del events
                gc.collect()
                await asyncio.sleep(0)

        asyncio.run(main())
        gc.collect()
        assert session.reserved == 0
        assert session.spent * 10**9 >= max(sdk.worst_nanos[stream], provider.bill_nanos)

    @pytest.mark.parametrize("policy", ["worst", "observed", "release"])
    @pytest.mark.parametrize("leave", [*LEAVE, "lost"])
    def test_what_a_left_stream_costs_is_a_policy(
        self, shape: str, leave: str, policy: str, sync_bench: Bench, sdk: ClientSdk
    ) -> None:
        """The whole hold; what was seen of it and all of its input; or no more than what was seen: whoever left it, and how."""
        surface, reply = sdk.shapes[shape]
        sync_bench.provider.script(replace(reply, drop="mid_stream" if leave == "lost" else None))
        client, session = sync_bench.paid("$1", unknown_outcome=policy)
        events = surface.call(client)
        held = session.reserved
        if leave == "lost":
            with contextlib.suppress(Exception):
                list(events)
        else:
            LEAVE[leave](events)
        del events
        gc.collect()
        assert session.reserved == 0 and session.report()["estimated"] == 1
        if policy == "worst":
            assert session.spent == held >= sync_bench.provider.bill
        elif policy == "observed":
            assert 0 < session.spent < held
        else:
            assert 0 <= session.spent < held

    @crossed
    def test_a_lost_connection(self, stream: str, drop: str, bench: Bench, sdk: ClientSdk) -> None:
        """In the middle nobody knows, so the worst is booked; after the final usage it is known to the nano-dollar."""
        bench.provider.script(Reply("a longer answer", drop=drop))
        client, session = bench.paid("$1")
        with contextlib.suppress(Exception):
            bench.take(sdk.streams[stream], client)
        assert session.reserved == 0
        if drop == "after_final_usage":
            bench.assert_exact(session)
        else:
            assert session.spent * 10**9 >= max(sdk.worst_nanos[stream], bench.provider.bill_nanos)

    # -- pieces -------------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [1, 7, 4_096, None])
    def test_raw_readers_choose_their_pieces(
        self, size: int | None, sync_bench: Bench, sdk: ClientSdk
    ) -> None:
        """Of the size that was asked for, all of them, and without what only we had asked for."""
        client, session = sync_bench.paid("$1")
        with sdk.open(client, stream=True) as response:
            pieces = list(response.iter_bytes(size))
        assert all(len(piece) == size for piece in pieces[:-1]) or size is None
        assert sdk.stream.is_whole(b"".join(pieces))
        sync_bench.assert_exact(session)

    def test_a_body_that_is_read_by_other_means(self, sync_bench: Bench, sdk: ClientSdk) -> None:
        """Around the bytes that we read nothing is known, and the worst is booked once the response is closed."""
        client, session = sync_bench.paid("$1")
        with sdk.open(client) as response:
            assert sdk.model.encode() in b"".join(response.http_response.iter_raw())
        worst_nanos = next(iter(sdk.worst_nanos.values()))
        assert session.spent * 10**9 >= worst_nanos >= sync_bench.provider.bill_nanos
        assert session.reserved == 0

    @pytest.mark.parametrize("how", ["read", "text", "json", "lines"])
    def test_a_document_that_is_read_piece_by_piece(
        self, how: str, sync_bench: Bench, sdk: ClientSdk
    ) -> None:
        """However the body of an open response is read, it settles exactly."""
        client, session = sync_bench.paid("$1")
        with sdk.open(client) as response:
            if how == "lines":
                assert list(response.iter_lines())
            else:
                assert getattr(response, how)()
        sync_bench.assert_exact(session)

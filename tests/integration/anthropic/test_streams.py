"""Streams settle by what passes through them, and by policy when they are left; nobody sees a difference."""

from __future__ import annotations

import anthropic
import pytest

from bursar.testing import Reply

from ..client_contract.bench import Bench
from ..client_contract.sdk import ClientSdk
from ..client_contract.streams import Streams

WORST_NANOS = 50 * 15_000


class TestStreams(Streams):
    """Read to their end, left, lost, and read in pieces."""


def test_leaving_after_the_usage_was_told(stream: str, sync_bench: Bench, sdk: ClientSdk) -> None:
    """Who stops at the reason of the end has been told all counts: the charge is exact, without the last event."""
    client, session = sync_bench.paid("$1")
    events = sdk.streams[stream].call(client)
    for event in events:
        if event.type == "message_delta":
            break
    events.close()
    sync_bench.assert_exact(session)
    assert session.report()["estimated"] == 0


@pytest.mark.parametrize("policy", ["observed", "release"])
def test_the_first_event_tells_the_input(policy: str, sync_bench: Bench, sdk: ClientSdk) -> None:
    """A stream that is left at once has told its input exactly: that, and some output, is the least it costs."""
    client, session = sync_bench.paid("$1", unknown_outcome=policy)
    sync_bench.provider.script(Reply("ok", input_tokens=9_000))
    stream = sdk.ask(client, stream=True)
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
        bench.ask(client, stream=True)
        bench.assert_exact(session)
    else:
        with pytest.raises(anthropic.APIStatusError, match="Overloaded") as failed:
            bench.ask(client, stream=True)
        assert failed.value.body["error"]["type"] == "overloaded_error"  # type: ignore[index]
        assert session.spent * 10**9 >= max(WORST_NANOS, bench.provider.bill_nanos)
        assert session.report()["estimated"] == 1
    assert (bench.provider.arrivals, session.reserved) == (1, 0)

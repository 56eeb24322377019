"""Each attempt that the SDK makes is held by itself; one in doubt stays counted, and the next may be refused."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import openai
import pytest

import bursar
from bursar import Budget, BudgetExceeded
from bursar.testing import Reply

from .surfaces import CHAT, RESPONSE, Surface

if TYPE_CHECKING:
    from .conftest import Bench

CALLS = {
    "chat": Surface(lambda c: c.chat.completions.create(**CHAT)),
    "chat-stream": Surface(lambda c: c.chat.completions.create(**CHAT, stream=True), "events"),
    "responses": Surface(lambda c: c.responses.create(**RESPONSE)),
}
ONE_HOLD, TWO_HOLDS = "$0.0008", "$0.0016"  # a call is 50 tokens of output and less than 100 of input


@pytest.mark.parametrize("status", [409, 429, 500, 502, 503, 529])
@pytest.mark.parametrize("call", CALLS)
def test_error_answers_cost_nothing_and_the_hold_is_kept(call: str, status: int, bench: Bench) -> None:
    """Two error answers and a good one: three requests, one hold, one exact charge."""
    client, session = bench.paid(ONE_HOLD, clamp=False, client={"max_retries": 2})
    bench.provider.script(Reply(status=status), Reply(status=status))
    bench.take(CALLS[call], client)
    assert (bench.provider.arrivals, bench.provider.calls, session.calls) == (3, 1, 1)
    bench.assert_exact(session)


@pytest.mark.parametrize(("limit", "sent"), [(TWO_HOLDS, 2), (ONE_HOLD, 1)])
@pytest.mark.parametrize("trouble", ["lost", "timeout", 408, 504])
@pytest.mark.parametrize("call", CALLS)
def test_an_attempt_in_doubt_stays_counted(
    call: str, trouble: Any, limit: str, sent: int, bench: Bench
) -> None:
    """The answer may be on the bill, so its hold is spent, and the next attempt needs another one or is refused."""
    timeout = 0.3 if trouble == "timeout" else 30
    client, session = bench.paid(limit, clamp=False, client={"max_retries": 2, "timeout": timeout})
    reply = {"lost": Reply(drop="before_headers"), "timeout": Reply(delay=5)}.get(trouble)
    bench.provider.script(reply or Reply(status=trouble, billed=True))
    if sent == 2:
        bench.take(CALLS[call], client)
    else:
        with pytest.raises(BudgetExceeded) as refused:
            bench.take(CALLS[call], client)
        assert type(refused.value) is BudgetExceeded
    assert (bench.provider.arrivals, session.reserved) == (sent, 0)
    assert session.spent * 10**9 >= bench.provider.bill_nanos > 0
    assert session.spent <= bursar.Limit(limit).amount
    assert session.calls == sent


@pytest.mark.parametrize("call", CALLS)
def test_the_next_attempt_is_clamped_to_what_the_doubt_leaves(call: str, sync_bench: Bench) -> None:
    """What is left after an attempt in doubt lowers the cap of the next one, which then fits."""
    client, session = sync_bench.paid("$0.0012", client={"max_retries": 2})
    sync_bench.provider.script(Reply(drop="before_headers"))
    sync_bench.take(CALLS[call], client)
    caps = [
        served.body.get("max_tokens") or served.body.get("max_output_tokens")
        for served in sync_bench.provider.served
    ]
    assert caps[0] == 50 and 16 <= caps[1] < 50
    assert sync_bench.provider.bill_nanos <= session.spent * 10**9 <= 1_200_000
    assert session.reserved == 0


@pytest.mark.parametrize("retries", [0, 2])
def test_a_refused_connection_costs_nothing(retries: int, bench: Bench) -> None:
    """What never left is released, also between attempts."""
    nowhere = "http://127.0.0.1:9/v1"  # nothing listens there
    client, session = bench.paid(ONE_HOLD, clamp=False, client={"max_retries": retries, "base_url": nowhere})
    with pytest.raises(openai.APIConnectionError):
        bench.take(CALLS["chat"], client)
    assert (session.spent, session.reserved, session.calls) == (0, 0, 0)


def test_a_request_that_cannot_be_built_costs_nothing(bench: Bench) -> None:
    """An error before anything is sent gives the hold back."""
    client, session = bench.paid("$1")
    call = Surface(lambda c: c.chat.completions.create(**CHAT, extra_headers={"x-odd": "\udcff"}))
    with pytest.raises(Exception, match="encode|surrogate|header"):
        bench.take(call, client)
    assert (bench.provider.arrivals, session.spent, session.reserved) == (0, 0, 0)


@pytest.mark.parametrize(
    ("status", "known"), [(400, True), (401, True), (404, True), (503, True), (504, False)]
)
def test_the_last_error_reaches_the_caller(status: int, known: bool, bench: Bench) -> None:
    """As the SDK's own, with its body; a complete error answer is free, that of a gateway is in doubt."""
    client, session = bench.paid("$1", client={"max_retries": 1})
    bench.provider.always(Reply(status=status))
    with pytest.raises(openai.APIStatusError) as failed:
        bench.take(CALLS["chat"], client)
    assert failed.value.status_code == status and failed.value.body["message"].endswith(f"{status}.")
    assert session.reserved == 0
    assert (session.spent == 0) == known


@pytest.mark.parametrize("limit", ["$1", "$0.0001"])
def test_a_refusal_that_is_swallowed_stays_a_refusal(limit: str, sync_bench: Bench) -> None:
    """However often a framework tries again, the ledger decides each time."""
    client, session = sync_bench.paid(limit)
    answers = 0
    for _ in range(5):
        with contextlib.suppress(Exception):
            client.chat.completions.create(**CHAT)
            answers += 1
    assert (answers, sync_bench.provider.arrivals) == ((5, 5) if limit == "$1" else (0, 0))
    sync_bench.assert_exact(session)


def test_a_stopped_session_sends_no_further_attempt(sync_bench: Bench) -> None:
    """A kill switch that is thrown while an attempt is under way refuses the next one."""
    session = Budget("$1").session()
    client = bursar.wrap_client(sync_bench.client(max_retries=2), session)

    def throw(request: Any) -> Reply:
        session.trip("enough")
        return Reply(drop="before_headers")

    sync_bench.provider.script(throw)
    with pytest.raises(bursar.Tripped):
        client.chat.completions.create(**CHAT)
    assert sync_bench.provider.arrivals == 1

"""What a call is charged: exactly what the provider bills, or a bound above it."""

from __future__ import annotations

import copy
from typing import Any

import anthropic
import pytest

import bursar
from bursar import Budget, BudgetExceeded, UnknownModel, UnpriceableCall
from bursar.testing import Rate, Reply, ScriptedProvider

from ..client_contract.bench import Bench
from ..client_contract.sdk import ClientSdk
from ..client_contract.settles import Settles
from .surfaces import ASKED, CHAT, MODEL, TEXT, Surface


class TestSettles(Settles):
    """Usage, caps, models and bodies."""


DETAILED = Reply(
    input_tokens=2_000,
    output_tokens=40,
    cached_input_tokens=1_500,
    cache_write_tokens=100,
    cache_write_1h_tokens=200,
)
OPUS = "claude-opus-4-8"  # has a price for fast mode


def test_cached_tokens_are_told_beside_the_input(settled: str, bench: Bench, sdk: ClientSdk) -> None:
    """Read, written for minutes and written for an hour: each is charged at its own price, none of them twice."""
    bench.provider.script(DETAILED)
    client, session = bench.paid("$1")
    bench.take(sdk.settled[settled], client)
    assert bench.provider.bill_nanos == 200 * 3_000 + 1_500 * 300 + 100 * 3_750 + 200 * 6_000 + 40 * 15_000
    bench.assert_exact(session)
    tokens = session.report()["breakdown"]["llm"]["tokens"]
    assert (tokens["input"], tokens["cached_input"], tokens["cache_write"]) == (2_000, 1_500, 300)


@pytest.mark.parametrize("served", ["standard", "priority", "batch"])
def test_the_tier_that_answered_sets_the_price(
    settled: str, served: str, bench: Bench, sdk: ClientSdk
) -> None:
    """Priority is paid for beforehand and costs what the standard tier does; batch is half of it."""
    if served == "batch":
        bench.provider.rates[MODEL] = Rate("1.50", "7.50")
    bench.provider.script(Reply(service_tier=served))
    client, session = bench.paid("$1")
    bench.take(sdk.settled[settled], client)
    bench.assert_exact(session)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("limit", "requests"), [("$0.0033", 1), ("$0.0020", 0)])
@pytest.mark.parametrize("served", ["fast", "standard"])
def test_fast_mode_is_held_at_its_price(
    served: str, limit: str, requests: int, stream: bool, bench: Bench
) -> None:
    """Twice the standard one at the reserve; charged is the speed that the answer tells."""
    bench.provider.rates[OPUS] = Rate("10", "50") if served == "fast" else Rate("5", "25")
    bench.provider.script(Reply(service_tier=served))
    client, session = bench.paid(limit, clamp=False)
    body = {**CHAT, "model": OPUS, "stream": stream}
    call = Surface(
        lambda c: c.messages.create(**body, extra_body={"speed": "fast"}), "events" if stream else "value"
    )
    if requests:
        bench.take(call, client)
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(call, client)
    assert bench.provider.arrivals == requests
    bench.assert_exact(session)


def test_fast_mode_without_a_price_is_refused(sync_bench: Bench) -> None:
    """Its price is never that of the standard speed."""
    client, _ = sync_bench.paid("$1")
    with pytest.raises(UnknownModel, match="fast"):
        client.messages.create(**CHAT, extra_body={"speed": "fast"})
    assert sync_bench.provider.arrivals == 0
    client.messages.create(**CHAT, extra_body={"speed": "standard"})
    assert sync_bench.provider.arrivals == 1


@pytest.mark.parametrize(
    ("odd", "what"),
    [
        ({"inference_geo": "us"}, "surcharge of 'us'"),
        ({"service_tier": "express"}, "service tier 'express'"),
        ({"speed": "ludicrous"}, "speed 'ludicrous'"),
    ],
)
@pytest.mark.parametrize("how", ["refused", "covered", "usual"])
def test_what_has_a_price_that_nobody_knows(
    how: str, odd: dict[str, str], what: str, sync_bench: Bench
) -> None:
    """Refused with the way out, which is to name a cost; the usual values of the same members pass."""
    client, session = sync_bench.paid("$1")
    usual = {"inference_geo": "global", "service_tier": "standard_only", "speed": "standard"}
    if how == "refused":
        with pytest.raises(UnpriceableCall, match=f"{what}.*session.reserve\\(cost="):
            client.messages.create(**CHAT, extra_body=odd)
        assert (sync_bench.provider.arrivals, session.spent) == (0, 0)
        return
    if how == "covered":
        with session.reserve(MODEL, cost="$0.10"):
            client.messages.create(**CHAT, extra_body=odd)
    else:
        client.messages.create(**CHAT, extra_body={name: usual[name] for name in odd})
    assert sync_bench.provider.arrivals == 1
    if how == "covered" and "inference_geo" in odd:
        assert session.spent * 10 == 1  # nobody knows better
    else:
        sync_bench.assert_exact(session)


@pytest.mark.parametrize("answered", ["us", "not_available"])
def test_a_price_of_the_users_own_holds_at_its_place(answered: str, bench: Bench) -> None:
    """With its surcharge in it, the call is held, sent and settled by it."""
    bench.provider.rates[MODEL] = Rate("3.30", "16.50")
    usage = {"input_tokens": 20, "output_tokens": 40, "inference_geo": answered}
    bench.provider.script(Reply(input_tokens=20, output_tokens=40, usage=usage))
    prices = {MODEL: bursar.Price("3.30", "16.50", context_window=200_000, max_output_tokens=64_000)}
    client, session = bench.paid("$1", prices=prices)
    bench.take(lambda c: c.messages.create(**CHAT, extra_body={"inference_geo": "us"}), client)
    bench.assert_exact(session)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "more",
    [
        {"inference_geo": "us"},
        {"iterations": [{"type": "compaction", "input_tokens": 900_000, "output_tokens": 9_000}]},
        {"iterations": [{"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 9}]},
    ],
    ids=["surcharge", "compaction", "advisor"],
)
def test_an_answer_that_tells_of_more_costs_its_hold(
    more: dict[str, Any], stream: bool, sync_bench: Bench
) -> None:
    """A surcharge, or work that the counts of the answer leave out: the hold is charged, marked as estimated."""
    sync_bench.provider.script(Reply(usage={"input_tokens": 9, "output_tokens": 9, **more}))
    client, session = sync_bench.paid("$1")
    with session.reserve(MODEL, input_tokens=100, max_output_tokens=50) as hold:
        held = hold.amount
        answer = client.messages.create(**CHAT, stream=stream)
        if stream:
            list(answer)
    assert session.spent == held and session.report()["estimated"] == 1
    sync_bench.provider.script(
        Reply(usage={"input_tokens": 9, "output_tokens": 9, "inference_geo": "global"})
    )
    client.messages.create(**CHAT)
    assert session.spent == held + bursar.Limit("$0.000162").amount / type(held)(10**9)


@pytest.mark.parametrize("thinking", [None, {"type": "disabled"}, {"type": "adaptive"}])
@pytest.mark.parametrize("model", [MODEL, "claude-opus-5-5"])
def test_an_estimate_goes_by_the_visible_answer(model: str, thinking: Any, sync_bench: Bench) -> None:
    """A long cap does not cost what it might have cost, unless the model may have thought out of sight."""
    sync_bench.provider.rates[model] = Rate("3", "15")
    sync_bench.provider.always(Reply("ok", output_tokens=1, usage="absent"))
    client, session = sync_bench.paid("$9")
    extra = {} if thinking is None else {"thinking": thinking}
    client.messages.create(**{**CHAT, "model": model, "max_tokens": 10_000}, extra_body=extra)
    shows_all = thinking == {"type": "disabled"} or (thinking is None and model == MODEL)
    assert (session.spent < bursar.Limit("$0.01").amount / type(session.spent)(10**9)) == shows_all


# -- caps -------------------------------------------------------------------------------------------


THINKING = {"type": "enabled", "budget_tokens": 2_000}


@pytest.mark.parametrize("place", ["body", "extra_body"])
@pytest.mark.parametrize(
    ("limit", "cap"),
    [("$1", 3_000), ("$0.0415", 2_800), ("$0.039", None), ("$0.012", None)],
    ids=["fits", "cap", "too-little-answer", "refused"],
)
def test_a_lowered_cap_leaves_a_quarter_of_it_to_the_answer(
    limit: str, cap: int | None, place: str, bench: Bench
) -> None:
    """The budget of the thinking stays as it is; where no room for an answer is left beside it, nothing is sent."""
    client, session = bench.paid(limit)
    body: dict[str, Any] = {**CHAT, "max_tokens": 3_000}
    extra = {"thinking": dict(THINKING)}

    def ask(client: Any) -> Any:
        if place == "body":  # early versions know it as a part of the body only
            return client.post("/v1/messages", body={**body, **extra}, cast_to=object)
        return client.messages.create(**body, extra_body=extra)

    if cap is None:
        with pytest.raises(BudgetExceeded):
            bench.take(ask, client)
        assert bench.provider.arrivals == 0
    else:
        bench.take(ask, client)
        sent = bench.provider.served[0].body
        assert cap - 100 <= sent["max_tokens"] <= cap
        assert sent["thinking"] == THINKING and (sent["max_tokens"] - 2_000) * 4 >= sent["max_tokens"]
    assert extra == {"thinking": THINKING} and body["max_tokens"] == 3_000
    bench.assert_exact(session)


def test_a_hold_too_small_for_thinking_sends_nothing(sync_bench: Bench) -> None:
    """The caller's own hold pays for fewer tokens than thinking needs: said so, instead of an invalid request."""
    client, session = sync_bench.paid("$1")
    for cap, requests in ((500, 0), (2_666, 0), (2_667, 1)):
        with session.reserve(MODEL, input_tokens=200, max_output_tokens=cap):
            try:
                client.messages.create(**{**CHAT, "max_tokens": 3_000}, extra_body={"thinking": THINKING})
            except UnpriceableCall as refused:
                assert "with its thinking budget the call needs 2,667" in str(refused)
        assert sync_bench.provider.arrivals == requests


def test_what_belongs_to_the_caller_stays_as_it_was(sync_bench: Bench) -> None:
    """Neither a body nor an `extra_body` of the caller's is changed when what is sent differs."""
    client, session = sync_bench.paid("$0.0009")
    body: dict[str, Any] = {**CHAT, "max_tokens": 5_000}
    extra = {"max_tokens": 4_000, "metadata": {"user_id": "me"}}
    before = copy.deepcopy((body, extra))
    client.post("/v1/messages", body=body, cast_to=object, options={"extra_json": extra})
    assert (body, extra) == before
    sent = sync_bench.provider.served[-1].body
    assert sent["max_tokens"] < 100 and sent["metadata"] == {"user_id": "me"}
    sync_bench.assert_exact(session)


def test_what_can_be_read_only_once_is_sent(bench: Bench) -> None:
    """Messages and tools that are generators are counted and sent, not used up by the counting."""
    client, session = bench.paid("$1")
    tools = [{"name": "look_up", "description": "x" * 400, "input_schema": {"type": "object"}}]
    bench.take(
        lambda c: c.messages.create(
            **{**CHAT, "messages": (one for one in ASKED)}, tools=(tool for tool in tools)
        ),
        client,
    )
    assert bench.provider.served[0].body["messages"] == ASKED
    assert bench.provider.served[0].body["tools"] == tools
    bench.assert_exact(session)
    assert session.report()["overruns"]["count"] == 0


def test_the_bound_holds_for_the_harshest_tokenizer(sdk: ClientSdk) -> None:
    """Where each byte is a token, no call costs more than was held for it."""
    tools: Any = [{"name": "f", "description": "Looks it up.", "input_schema": {"type": "object"}}]
    system: Any = [{"type": "text", "text": "Be brief. " * 50, "cache_control": {"type": "ephemeral"}}]
    with ScriptedProvider(bytes_per_token=1, output_tokens=10_000) as provider:
        session = Budget("$9", clamp=False).session()
        with bursar.wrap_client(sdk.client(provider), session) as client:
            client.messages.create(**CHAT, tools=tools, system=system)
            client.messages.create(**CHAT, system="Be brief. " * 50)
            list(client.messages.create(**CHAT, stream=True, stop_sequences=["\n"]))
        assert session.spent == provider.bill
        assert session.report()["overruns"]["count"] == 0


@pytest.mark.parametrize(
    "mark",
    [
        {"system": [{"type": "text", "text": "sky", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"cache_control": {"type": "ephemeral"}},
        {
            "tools": [
                {"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}
            ]
        },
    ],
    ids=["system", "request", "tools"],
)
def test_writes_to_the_cache_are_held_where_they_are_asked_for(mark: Any, sync_bench: Bench) -> None:
    """Written tokens cost up to twice the input: held so where anything asks for a cache, and only there."""
    asked: list[Any] = []
    for extra in (mark, {}):
        client, session = sync_bench.paid("$0.0000001", clamp=False)
        with pytest.raises(BudgetExceeded) as refused:
            client.messages.create(**{**CHAT, "max_tokens": 1}, extra_body=extra)
        asked.append(refused.value.asked)
        assert session.spent == 0
    assert asked[0] > 1.8 * float(asked[1])
    client, session = sync_bench.paid("$1")
    sync_bench.provider.script(Reply(input_tokens=60, cache_write_1h_tokens=60))
    client.messages.create(**CHAT, extra_body=mark)
    sync_bench.assert_exact(session)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("limit", "requests"), [("$1", 1), ("$0.001", 0)])
def test_text_completions_never_tell_their_usage(
    limit: str, requests: int, stream: bool, bench: Bench
) -> None:
    """So they are charged by a bound of what was seen: never below the bill, and marked as estimated."""
    client, session = bench.paid(limit, clamp=False)
    body = {**TEXT, "stream": stream}
    if stream:
        types = getattr(anthropic.types, "Completion", object)
        kind = anthropic.AsyncStream if bench.way.asynchronous else anthropic.Stream
        call = Surface(
            lambda c: c.post("/v1/complete", body=body, cast_to=types, stream=True, stream_cls=kind[types]),
            "events",
        )
    else:
        call = Surface(lambda c: c.post("/v1/complete", body=body, cast_to=object))
    if requests:
        bench.take(call, client)
        assert session.spent * 10**9 >= bench.provider.bill_nanos > 0
        assert session.report()["estimated"] == 1
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(call, client)
    assert (bench.provider.arrivals, session.reserved) == (requests, 0)


# -- models and bodies --------------------------------------------------------------------------------


def test_a_body_that_contains_itself_is_refused(sync_bench: Bench) -> None:
    """With an error of ours, not one of the recursion."""
    client, _ = sync_bench.paid("$1")
    body: dict[str, Any] = {**CHAT}
    body["metadata"] = body
    with pytest.raises(UnpriceableCall):
        client.post("/v1/messages", body=body, cast_to=object)
    assert sync_bench.provider.arrivals == 0

"""The output cap that is sent is the one that is held, by the provider's own bill."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

import bursar
from bursar import BudgetExceeded, Price
from bursar.testing import Rate, Reply

from ..client_contract.surface import Surface
from .surfaces import CHAT, MODEL, SURFACES, TEXT, Word

if TYPE_CHECKING:
    from ..client_contract.bench import Bench

_MOST = Reply(output_tokens="most")
WAYS: dict[str, tuple[Callable[[Any, dict[str, Any]], Any], str]] = {
    "messages": (lambda c, body: c.messages.create(**body), "value"),
    "messages-stream": (lambda c, body: c.messages.create(**body, stream=True), "events"),
    "messages-helper": (lambda c, body: c.messages.stream(**body), "manager"),
    "completions": (lambda c, body: c.post("/v1/complete", body=body, cast_to=object), "value"),
}


def asks(surface: str, cap: int, **more: Any) -> Surface:
    """A request with a cap, which the API demands."""
    base = {"max_tokens_to_sample": cap} if surface.startswith("completions") else {"max_tokens": cap}
    body = {**(TEXT if surface.startswith("completions") else CHAT), **base, **more}
    call, taken = WAYS[surface]
    # The SDK refuses at once what may take longer than ten minutes, without a timeout of the caller's.
    return Surface(lambda client: call(client.with_options(timeout=60), body), taken)


def cap_of(body: Any) -> int:
    """The cap that a request carried."""
    cap: int = body.get("max_tokens") or body.get("max_tokens_to_sample")
    return cap


@pytest.mark.parametrize(("limit", "whole"), [("$1", False), ("$3", True)])
@pytest.mark.parametrize("surface", WAYS)
def test_a_cap_above_the_table_is_held_or_lowered(
    surface: str, limit: str, whole: bool, bench: Bench
) -> None:
    """A model that writes more than the table knows stays within the limit; where the money suffices its cap is sent."""
    model = "claude-2.1" if surface.startswith("completions") else MODEL
    bench.provider.rates[model] = Rate("3", "15", context_window=400_000, max_output_tokens=200_000)
    bench.provider.always(_MOST)
    prices = {model: Price(3, 15, context_window=200_000, max_output_tokens=8_192)}
    client, session = bench.paid(limit, prices=prices, max_share=1)
    bench.take(asks(surface, 150_000), client)
    sent = cap_of(bench.provider.served[0].body)
    assert (sent == 150_000) is whole and sent > 8_192
    assert session.spent <= Decimal(limit[1:]) and session.report()["overruns"]["count"] == 0
    assert session.report()["clamped"] == int(not whole)


@pytest.mark.parametrize(
    "sizes", [{"max_output_tokens": 700}, {"context_window": 1_000}], ids=["maximum", "window"]
)
@pytest.mark.parametrize("surface", [way for way in WAYS if way.startswith("messages")])
def test_a_cap_of_ours_that_is_too_large_is_lowered_once(
    surface: str, sizes: dict[str, int], bench: Bench
) -> None:
    """On the same hold, to what the error answer says: beside the prompt, or at the most that the model writes."""
    model = "claude-3-5-haiku-20241022"  # of those that refuse a cap beyond their window
    bench.provider.rates["claude-3-5-haiku"] = Rate("0.80", "4", **sizes)
    bench.provider.rates[model] = Rate("0.80", "4", **sizes)
    bench.provider.always(_MOST)
    prices = {model: Price("0.80", 4, context_window=200_000, max_output_tokens=8_192)}
    client, session = bench.paid("$0.02", prices=prices)
    bench.take(asks(surface, 8_000, model=model), client)
    assert (bench.provider.arrivals, bench.provider.calls, session.calls) == (2, 1, 1)
    assert 700 <= cap_of(bench.provider.served[-1].body) < 1_000
    assert (session.report()["clamped"], session.report()["truncated"]) == (1, 1)
    bench.assert_exact(session)


@pytest.mark.parametrize("surface", [way for way in WAYS if way.startswith("messages")])
def test_a_cap_of_the_callers_that_is_too_large_is_his_error(surface: str, bench: Bench) -> None:
    """He learns of it as without a budget, and nothing is repeated or charged."""
    bench.provider.rates[MODEL] = Rate("3", "15", max_output_tokens=700)
    client, session = bench.paid("$9")
    with pytest.raises(anthropic.BadRequestError, match="maximum allowed number of output tokens"):
        bench.take(asks(surface, 8_000), client)
    assert bench.provider.arrivals == 1 and session.spent == 0
    bench.assert_exact(session)


@pytest.mark.parametrize("surface", WAYS)
def test_an_answer_that_ended_at_a_lowered_cap_is_told(surface: str, bench: Bench) -> None:
    """Counted, also where the API tells no usage."""
    bench.provider.always(Reply("x" * 3_000, output_tokens="most"))
    client, session = bench.paid("$0.01")
    bench.take(asks(surface, 2_000), client)
    report = session.report()
    assert (report["clamped"], report["truncated"]) == (1, 1)
    (lowered,) = [event for event in report["events"] if event["event"] == "clamp"]
    assert lowered["max_output_tokens"] == cap_of(bench.provider.served[0].body) < 2_000
    assert session.spent * 10**9 >= bench.provider.bill_nanos and session.reserved == 0


@pytest.mark.parametrize("surface", WAYS)
def test_an_answer_that_ended_by_itself_is_not_cut(surface: str, bench: Bench) -> None:
    """Although the cap was lowered."""
    bench.provider.always(Reply(output_tokens=20))
    client, session = bench.paid("$0.01")
    bench.take(asks(surface, 2_000), client)
    assert (session.report()["clamped"], session.report()["truncated"]) == (1, 0)


@pytest.mark.skipif("messages-parse" not in SURFACES, reason="younger than the floor")
@pytest.mark.parametrize("settings", [{}, {"clamp": "text"}], ids=["lowered", "text"])
@pytest.mark.parametrize("limit", ["$0.01", "$1"])
def test_a_parser_that_fails_on_a_cut_answer_names_the_budget(
    limit: str, settings: dict[str, Any], bench: Bench
) -> None:
    """In a note on its error; with `clamp="text"` the call is refused, or sent as it is where the money suffices."""
    bench.provider.always(Reply('{"word": "bl', output_tokens="most"))
    client, session = bench.paid(limit, **settings)
    call = Surface(lambda c: c.messages.parse(**{**CHAT, "max_tokens": 2_000}, output_format=Word))
    refused = limit == "$0.01" and settings
    with pytest.raises(BudgetExceeded if refused else Exception) as failed:
        bench.take(call, client)
    assert isinstance(failed.value, bursar.BursarError) is bool(refused)
    lowered = limit == "$0.01" and not settings
    notes = getattr(failed.value, "__notes__", [])
    told = ["the budget" in note and "had lowered the cap from 2,000" in note for note in notes]
    assert told == ([True] if lowered and sys.version_info >= (3, 11) else [])
    assert bench.provider.arrivals == (0 if refused else 1)
    assert session.report()["truncated"] == int(lowered)
    bench.assert_exact(session)


@pytest.mark.skipif("messages-parse" not in SURFACES, reason="younger than the floor")
@pytest.mark.parametrize(("limit", "lowered"), [("$0.01", True), ("$1", False)])
def test_a_helper_of_streams_that_fails_on_a_cut_answer_names_the_budget(
    limit: str, lowered: bool, bench: Bench
) -> None:
    """In one note, where it was the budget that had the answer cut, and not the caller's own cap."""
    bench.provider.always(Reply('{"word": "bl', output_tokens="most"))
    client, session = bench.paid(limit)
    body = {**CHAT, "max_tokens": 2_000}
    with pytest.raises(ValueError, match="(?i)json") as failed:
        bench.take(Surface(lambda c: c.messages.stream(**body, output_format=Word), "manager"), client)
    notes = getattr(failed.value, "__notes__", [])
    told = ["the budget" in note and "had lowered the cap from 2,000" in note for note in notes]
    assert told == ([True] if lowered and sys.version_info >= (3, 11) else [])
    assert bench.provider.bill <= session.spent and session.reserved == 0


@pytest.mark.parametrize(
    ("limit", "budget", "sent"),
    [
        ("$1", 6_000, 20_000),
        ("$0.15", 6_000, "less"),
        ("$0.121", 6_000, "less"),
        ("$0.119", 6_000, None),
        ("$0.119", 5_000, "less"),
    ],
)
def test_a_lowered_cap_leaves_room_beside_the_thinking(
    limit: str, budget: int, sent: int | str | None, bench: Bench
) -> None:
    """A quarter of the cap at the least is for the answer: else the call is refused, rather than sent to be useless."""
    bench.provider.always(_MOST)
    client, session = bench.paid(limit)
    thinking = {"type": "enabled", "budget_tokens": budget}
    call = asks("messages", 20_000, extra_body={"thinking": thinking})
    if sent is None:
        with pytest.raises(BudgetExceeded, match="with its output cap lowered to 8,000 tokens"):
            bench.take(call, client)
        assert bench.provider.arrivals == 0
    else:
        bench.take(call, client)
        body = bench.provider.served[0].body
        assert body["thinking"] == thinking
        assert body["max_tokens"] == sent or body["max_tokens"] < 20_000
        assert (body["max_tokens"] - budget) * 4 >= body["max_tokens"]
    assert session.report()["clamped"] == int(sent == "less")
    bench.assert_exact(session)


def test_a_small_cap_of_the_callers_is_his_choice(bench: Bench) -> None:
    """A cap that leaves less to the answer is not lowered: it is held whole, or refused."""
    thinking = {"type": "enabled", "budget_tokens": 1_900}
    client, session = bench.paid("$0.05")
    bench.take(asks("messages", 2_000, extra_body={"thinking": thinking}), client)
    assert bench.provider.served[0].body["max_tokens"] == 2_000
    bench.assert_exact(session)

"""The output cap that is sent is the one that is held, by the provider's own bill."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openai
import pytest

import bursar
from bursar import BudgetExceeded, Price
from bursar.testing import Rate, Reply

from ..client_contract.surface import Surface
from .surfaces import ASKED, CHAT, RESPONSE, TEXT, Word, parsing

if TYPE_CHECKING:
    from ..client_contract.bench import Bench

_MOST = Reply(output_tokens="most")
_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
WAYS: dict[str, tuple[Callable[[Any, dict[str, Any]], Any], str]] = {
    "chat": (lambda c, body: c.chat.completions.create(**body), "value"),
    "chat-stream": (lambda c, body: c.chat.completions.create(**body, stream=True), "events"),
    "chat-helper": (lambda c, body: parsing(c).stream(**body), "manager"),
    "responses": (lambda c, body: c.responses.create(**body), "value"),
    "responses-stream": (lambda c, body: c.responses.create(**body, stream=True), "events"),
    "completions": (lambda c, body: c.completions.create(**body), "value"),
    "completions-stream": (lambda c, body: c.completions.create(**body, stream=True), "events"),
}


def asks(
    surface: str, model: str | None = None, cap: int | None = None, said: str = "hi", **more: Any
) -> Surface:
    """A request with or without a cap."""
    base, name = {
        "chat": ({**CHAT, "messages": [{"role": "user", "content": said}]}, "max_tokens"),
        "responses": ({**RESPONSE, "input": said}, "max_output_tokens"),
        "completions": ({**TEXT, "prompt": said}, "max_tokens"),
    }[surface.partition("-")[0]]
    body = {key: value for key, value in base.items() if key not in _CAPS} | more
    body |= ({"model": model} if model else {}) | ({name: cap} if cap else {})
    call, taken = WAYS[surface]
    return Surface(lambda client: call(client, body), taken)


def caps(body: Any) -> dict[str, int]:
    """The caps that a request carried."""
    return {name: body[name] for name in _CAPS if name in body}


@pytest.mark.parametrize(("limit", "whole"), [("$0.4", False), ("$2", True)])
@pytest.mark.parametrize("surface", WAYS)
def test_a_cap_above_the_table_is_held_or_lowered(
    surface: str, limit: str, whole: bool, bench: Bench
) -> None:
    """A model that writes more than the table knows stays within the limit; where the money suffices its cap is sent."""
    model = "gpt-3.5-turbo-instruct" if surface.startswith("completions") else "gpt-4-turbo"
    bench.provider.rates[model] = Rate("10", "30", context_window=200_000, max_output_tokens=50_000)
    bench.provider.always(_MOST)
    prices = {"gpt-3.5-turbo-instruct": Price(10, 30, context_window=4_097, max_output_tokens=4_096)}
    client, session = bench.paid(limit, prices=prices, max_share=1)
    bench.take(asks(surface, model, 40_000), client)
    (sent,) = caps(bench.provider.served[0].body).values()
    assert (sent == 40_000) is whole and sent > 4_096
    assert session.spent <= Decimal(limit[1:]) and session.report()["overruns"]["count"] == 0
    assert session.report()["clamped"] == int(not whole)
    bench.assert_exact(session)


@pytest.mark.parametrize(("limit", "sent"), [("$0.02", 0), ("$0.05", 1)])
def test_bytes_bound_the_input_above_the_window(limit: str, sent: int, bench: Bench) -> None:
    """An input longer than the window of the table is held by its bytes, and refused where they do not fit."""
    bench.provider.rates["gpt-4o"] = Rate("2.50", "10", context_window=500_000, max_output_tokens=16_384)
    bench.provider.always(Reply(input_tokens=12_000))
    prices = {"gpt-4o": Price("2.50", 10, context_window=4_096)}
    client, session = bench.paid(limit, prices=prices, clamp=False)
    call = asks("chat", cap=16, said="x" * 12_000)
    if sent:
        bench.take(call, client)
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(call, client)
    assert bench.provider.arrivals == sent and session.report()["overruns"]["count"] == 0
    bench.assert_exact(session)


@pytest.mark.parametrize("surface", WAYS)
def test_no_cap_is_put_in_where_nothing_was_lowered(surface: str, bench: Bench) -> None:
    """The provider enforces the maximum of a model that it has published, so the request goes as it is."""
    client, session = bench.paid("$9")
    bench.take(asks(surface), client)
    assert caps(bench.provider.served[0].body) == {}
    assert session.report()["clamped"] == 0
    bench.assert_exact(session)


def test_a_prompt_and_the_models_maximum_would_not_fit_its_window(bench: Bench) -> None:
    """So that gpt-4 answers a request without a cap, as it does without a budget."""
    bench.provider.rates["gpt-4"] = Rate("30", "60")
    bench.provider.always(_MOST)
    client, session = bench.paid("$2")
    bench.take(asks("chat", "gpt-4", said="x" * 4_000), client)
    assert (bench.provider.arrivals, caps(bench.provider.served[0].body)) == (1, {})
    bench.assert_exact(session)


@pytest.mark.parametrize("surface", WAYS)
def test_the_maximum_of_the_users_own_price_is_sent(surface: str, bench: Bench) -> None:
    """Nobody else enforces it: a host that would write more is held to it."""
    bench.provider.rates["home-made"] = Rate("1", "2", context_window=100_000, max_output_tokens=50_000)
    bench.provider.always(_MOST)
    prices = {"home-made": Price(1, 2, context_window=100_000, max_output_tokens=900)}
    client, session = bench.paid("$1", prices=prices)
    bench.take(asks(surface, "home-made"), client)
    assert list(caps(bench.provider.served[0].body).values()) == [900]
    assert session.report()["clamped"] == session.report()["truncated"] == 0
    bench.assert_exact(session)


@pytest.mark.parametrize("own", [5_000, 2_000], ids=["lowered", "maximum-of-the-user"])
@pytest.mark.parametrize(
    ("surface", "told"),
    [
        *((surface, "window") for surface in WAYS if not surface.startswith("responses")),
        *((surface, "maximum") for surface in WAYS if not surface.startswith("completions")),
    ],
)
def test_a_cap_of_ours_that_is_too_large_is_lowered_once(
    surface: str, told: str, own: int, bench: Bench
) -> None:
    """On the same hold, to what the error answer says: beside the prompt, or at the most that the model writes."""
    sizes = {"window": {"context_window": 1_000}, "maximum": {"max_output_tokens": 700}}[told]
    bench.provider.rates["home-made"] = Rate("1", "2", **sizes)
    bench.provider.always(_MOST)
    prices = {"home-made": Price(1, 2, context_window=100_000, max_output_tokens=own)}
    client, session = bench.paid("$0.005", prices=prices)
    bench.take(asks(surface, "home-made"), client)
    assert (bench.provider.arrivals, bench.provider.calls, session.calls) == (2, 1, 1)
    (sent,) = caps(bench.provider.served[-1].body).values()
    assert 700 <= sent < 1_000
    assert session.report()["clamped"] == int(own == 5_000)
    bench.assert_exact(session)


def test_a_second_error_stands(bench: Bench) -> None:
    """At the most that the model writes it does not fit beside the prompt: the request is sent in no third form."""
    bench.provider.rates["home-made"] = Rate("1", "2", context_window=1_000, max_output_tokens=995)
    prices = {"home-made": Price(1, 2, context_window=100_000, max_output_tokens=2_000)}
    client, session = bench.paid("$1", prices=prices)
    with pytest.raises(openai.BadRequestError, match="maximum context length is 1000"):
        bench.take(asks("chat", "home-made"), client)
    assert bench.provider.arrivals == 2 and session.spent == 0
    bench.assert_exact(session)


def test_a_cap_of_the_callers_that_is_too_large_is_his_error(bench: Bench) -> None:
    """He learns of it as without a budget, and nothing is repeated or charged."""
    client, session = bench.paid("$9")
    with pytest.raises(openai.BadRequestError, match="too large"):
        bench.take(asks("chat", cap=40_000), client)
    assert bench.provider.arrivals == 1 and session.spent == 0
    bench.assert_exact(session)


@pytest.mark.parametrize(("limit", "names"), [("$0.2", ["max_completion_tokens"]), ("$9", [])])
@pytest.mark.parametrize("surface", ["chat", "chat-stream", "chat-helper"])
def test_the_field_of_the_cap_is_that_of_the_model_behind_the_name(
    surface: str, limit: str, names: list[str], bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment of a model that rejects `max_tokens` is answered."""
    monkeypatch.setattr(bench.provider, "deployments", {"my-thinker": "o3-mini"})
    bench.provider.rates["o3-mini"] = Rate("1.10", "4.40")
    settings = {"azure_endpoint": bench.provider.url, "api_key": "none", "api_version": "2025-01-01"}
    client: Any = bench.client("AzureOpenAI", **settings)
    session = bench.pay(client, limit, aliases={"my-thinker": "o3-mini"})
    bench.take(asks(surface, "my-thinker"), client)
    assert list(caps(bench.provider.served[-1].body)) == names
    bench.assert_exact(session)


@pytest.mark.parametrize("surface", WAYS)
def test_an_answer_that_ended_at_a_lowered_cap_is_told(
    surface: str, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted each time, and warned of once a session; the events and the log have both caps."""
    caplog.set_level(logging.INFO, "bursar")
    bench.provider.always(_MOST)
    client, session = bench.paid("$0.0025")
    bench.take(asks(surface, cap=2_000), client)
    report = session.report()
    assert (report["clamped"], report["truncated"]) == (1, 1)
    (lowered,) = [event for event in report["events"] if event["event"] == "clamp"]
    cap = lowered["max_output_tokens"]
    assert lowered["wanted_output_tokens"] == 2_000 > cap
    assert caps(bench.provider.served[0].body) == {next(iter(caps(bench.provider.served[0].body))): cap}
    told = [(record.levelname, record.message) for record in caplog.records if record.name == "bursar"]
    assert sum(level == "INFO" and f"lowered from 2000 to {cap}" in text for level, text in told) == 1
    assert sum(level == "WARNING" and f"cut at {cap:,} output tokens" in text for level, text in told) == 1
    bench.assert_exact(session)


def test_a_second_answer_that_is_cut_is_counted_only(
    sync_bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning a session, and another one in the next session."""
    sync_bench.provider.always(Reply(output_tokens=20, finish_reason="length"))
    for _ in range(2):
        client, session = sync_bench.paid("$0.0025")
        caplog.clear()
        for _ in range(2):
            sync_bench.take(asks("chat", cap=2_000), client)
        assert (session.report()["clamped"], session.report()["truncated"]) == (2, 2)
        assert sum("was cut at" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize(("limit", "cap"), [("$1", 50), ("$0.0025", 2_000)])
def test_an_answer_that_ended_by_itself_or_at_the_callers_cap_is_not_cut_by_us(
    limit: str, cap: int, bench: Bench
) -> None:
    """Only the end at a cap that was lowered counts."""
    client, session = bench.paid(limit)
    bench.provider.always(_MOST if cap == 50 else Reply(output_tokens=20))
    bench.take(asks("chat", cap=cap), client)
    assert (session.report()["clamped"], session.report()["truncated"]) == (int(cap == 2_000), 0)
    bench.assert_exact(session)


PARSED = {
    "chat": Surface(lambda c: parsing(c).parse(**{**CHAT, "max_tokens": 2_000}, response_format=Word)),
    "responses": Surface(
        lambda c: c.responses.parse(**{**RESPONSE, "max_output_tokens": 2_000}, text_format=Word)
    ),
}


@pytest.mark.parametrize("surface", PARSED)
def test_a_parser_that_fails_on_a_cut_answer_names_the_budget(surface: str, bench: Bench) -> None:
    """In a note on its error, where errors have notes."""
    bench.provider.always(Reply('{"word": "bl', output_tokens="most"))
    client, session = bench.paid("$0.01")
    with pytest.raises(Exception, match=r"(?i)length|json") as failed:
        bench.take(PARSED[surface], client)
    assert not isinstance(failed.value, bursar.BursarError)
    notes = getattr(failed.value, "__notes__", [])
    told = ["the budget" in note and "had lowered the cap from 2,000" in note for note in notes]
    assert told == ([True] if sys.version_info >= (3, 11) else [])
    assert session.report()["truncated"] == 1
    bench.assert_exact(session)


STREAMED = {
    "chat": Surface(
        lambda c: parsing(c).stream(**{**CHAT, "max_tokens": 2_000}, response_format=Word), "manager"
    ),
    "responses": Surface(
        lambda c: c.responses.stream(**{**RESPONSE, "max_output_tokens": 2_000}, text_format=Word), "manager"
    ),
}


@pytest.mark.parametrize(("limit", "lowered"), [("$0.01", True), ("$1", False)])
@pytest.mark.parametrize("surface", STREAMED)
def test_a_helper_of_streams_that_fails_on_a_cut_answer_names_the_budget(
    surface: str, limit: str, lowered: bool, bench: Bench
) -> None:
    """In one note, where it was the budget that had the answer cut, and not the caller's own cap."""
    bench.provider.always(Reply('{"word": "bl', output_tokens="most"))
    client, session = bench.paid(limit)
    with pytest.raises(Exception, match=r"(?i)length|json") as failed:
        bench.take(STREAMED[surface], client)
    assert not isinstance(failed.value, bursar.BursarError)
    notes = getattr(failed.value, "__notes__", [])
    told = ["the budget" in note and "had lowered the cap from 2,000" in note for note in notes]
    assert told == ([True] if lowered and sys.version_info >= (3, 11) else [])
    assert bench.provider.bill <= session.spent and session.reserved == 0


def test_an_error_of_the_callers_own_gets_no_note(sync_bench: Bench) -> None:
    """Although the answer was cut: it is not why the caller fails."""
    sync_bench.provider.always(_MOST)
    client, session = sync_bench.paid("$0.01")
    with pytest.raises(KeyError) as failed, parsing(client).stream(**{**CHAT, "max_tokens": 2_000}) as events:
        for event in events:
            last = event
        raise KeyError(last.type)
    assert not hasattr(failed.value, "__notes__")
    assert session.report()["truncated"] == 1


@pytest.mark.parametrize(("limit", "requests"), [("$0.01", 0), ("$0.03", 1)])
@pytest.mark.parametrize("surface", PARSED)
def test_a_format_is_not_lowered_where_only_text_is(
    surface: str, limit: str, requests: int, bench: Bench
) -> None:
    """With `clamp="text"` it is refused, or sent as it is where the money suffices."""
    client, session = bench.paid(limit, clamp="text")
    if requests:
        bench.take(PARSED[surface], client)
        assert 2_000 in caps(bench.provider.served[0].body).values()
    else:
        with pytest.raises(BudgetExceeded, match=r"with max_(output_)?tokens=[0-9,]+ it would fit"):
            bench.take(PARSED[surface], client)
    assert (bench.provider.arrivals, session.report()["clamped"]) == (requests, 0)
    bench.assert_exact(session)


@pytest.mark.parametrize(
    "format", [{}, {"response_format": {"type": "text"}}, {"text": {"format": {"type": "text"}}}]
)
def test_text_is_lowered(format: dict[str, Any], bench: Bench) -> None:
    """`clamp="text"` lowers a call without a format, and one whose format is text."""
    client, session = bench.paid("$0.01", clamp="text")
    surface = "responses" if "text" in format else "chat"
    bench.take(asks(surface, cap=2_000, **format), client)
    assert session.report()["clamped"] == 1
    bench.assert_exact(session)


def test_a_hold_of_the_callers_own_tells_that_it_was_cut(sync_bench: Bench) -> None:
    """Settled by hand, with an answer of the real SDK."""
    sync_bench.provider.always(_MOST)
    session = bursar.Budget("$0.006").session()
    with session.reserve("gpt-4o", input_tokens=100, max_output_tokens=2_000) as hold:
        assert hold.clamped and hold.max_output_tokens is not None
        answer = sync_bench.client().chat.completions.create(
            model="gpt-4o", messages=ASKED, max_tokens=hold.max_output_tokens
        )
        charge = hold.settle(answer)
    assert charge.clamped and charge.truncated and session.report()["truncated"] == 1

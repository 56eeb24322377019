"""What a call is charged: exactly what the provider bills, or a bound above it."""

from __future__ import annotations

import copy
from typing import Any

import openai
import pytest

import bursar
from bursar import Budget, BudgetExceeded
from bursar.testing import Rate, Reply, ScriptedProvider

from ..client_contract.bench import Bench
from ..client_contract.sdk import ClientSdk
from ..client_contract.settles import Settles
from .surfaces import ASKED, CHAT, EMBEDDING, RESPONSE, TEXT


class TestSettles(Settles):
    """Usage, caps, models and bodies."""


DETAILED = Reply(
    input_tokens=2_000,
    output_tokens=40,
    cached_input_tokens=1_500,
    cache_write_tokens=100,
    reasoning_tokens=25,
)


def test_cached_and_hidden_tokens(settled: str, bench: Bench, sdk: ClientSdk) -> None:
    """Each class of tokens is charged at its own price, streamed or not."""
    bench.provider.script(DETAILED)
    client, session = bench.paid("$1")
    bench.take(sdk.settled[settled], client)
    bench.assert_exact(session)
    tokens = session.report()["breakdown"]["llm"]["tokens"]
    assert (tokens["cached_input"], tokens["cache_write"], tokens["reasoning"]) == (1_500, 100, 25)


@pytest.mark.parametrize("served", ["flex", "priority", "default"])
@pytest.mark.parametrize("asked", ["flex", "priority", "auto"])
@pytest.mark.parametrize("surface", ["chat", "chat-stream", "responses"])
def test_the_tier_that_answered_sets_the_price(
    surface: str, asked: str, served: str, sync_bench: Bench
) -> None:
    """A request for one tier may be served at another, which is the one on the bill."""
    rates = {"flex": Rate("0.625", "5"), "priority": Rate("2.50", "20"), "default": Rate("1.25", "10")}
    sync_bench.provider.rates["gpt-5"] = rates[served]
    sync_bench.provider.script(Reply(service_tier=served))
    client, session = sync_bench.paid("$1")
    tier = {"service_tier": asked}  # early versions take it of chats only
    if surface == "responses":
        client.responses.create(**RESPONSE | {"model": "gpt-5"}, extra_body=tier)
    else:
        body = {"model": "gpt-5", "messages": ASKED, "max_completion_tokens": 50}
        assert list(client.chat.completions.create(**body, extra_body=tier, stream=surface == "chat-stream"))
    sync_bench.assert_exact(session)


def test_an_estimate_goes_by_the_visible_answer(sync_bench: Bench) -> None:
    """Without usage a long cap does not cost what it might have cost; hidden reasoning might, and does."""
    client, session = sync_bench.paid("$9")
    sync_bench.provider.always(Reply("ok", output_tokens=1, usage="absent"))
    client.chat.completions.create(**{**CHAT, "max_tokens": 10_000})
    assert session.spent * 10**9 < 1_000 * 10_000  # a thousand tokens of output
    client.chat.completions.create(model="gpt-5", messages=ASKED, max_completion_tokens=10_000)
    assert session.spent * 10**9 > 10_000 * 10_000


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"model": "gpt-4o", "messages": ASKED}, "max_tokens"),
        ({"model": "gpt-5", "messages": ASKED}, "max_completion_tokens"),
    ],
)
def test_a_cap_is_added_only_where_one_is_needed(
    body: dict[str, Any], member: str, sync_bench: Bench
) -> None:
    """A request without a cap is sent as it is while all of the model's own fits, else with the cap that does."""
    client, _ = sync_bench.paid("$9")
    client.chat.completions.create(**body)
    assert sync_bench.provider.served[-1].body == body
    tight = bursar.wrap_client(bursar.unwrap_client(client), Budget("$0.002").session())
    tight.chat.completions.create(**body)
    (added,) = set(sync_bench.provider.served[-1].body) - set(body)
    assert added == member


def test_what_belongs_to_the_caller_stays_as_it_was(sync_bench: Bench) -> None:
    """Neither a body nor an `extra_body` of the caller's is changed when what is sent differs."""
    client, session = sync_bench.paid("$0.0006")
    body: dict[str, Any] = {"model": "gpt-4o", "messages": ASKED, "max_tokens": 5_000, "stream": True}
    extra = {"max_completion_tokens": None, "max_tokens": 4_000}
    before = copy.deepcopy((body, extra))
    options = {"extra_json": extra}
    list(client.post("/chat/completions", body=body, cast_to=openai.types.chat.ChatCompletionChunk,
                     stream=True, stream_cls=openai.Stream[openai.types.chat.ChatCompletionChunk],
                     options=options))  # fmt: skip
    assert (body, extra) == before
    sent = sync_bench.provider.served[-1].body
    assert sent["max_tokens"] < 100 and sent["stream_options"] == {"include_usage": True}
    sync_bench.assert_exact(session)


@pytest.mark.parametrize(("limit", "sent"), [("$0.0003", 1), ("$0.0002", 0)])
def test_a_cap_is_not_lowered_below_what_the_api_takes(limit: str, sent: int, sync_bench: Bench) -> None:
    """However small an answer the budget thinks useful, Responses reject caps below 16."""
    client, session = sync_bench.paid(limit, clamp=1)
    if sent:
        client.responses.create(**RESPONSE)
        assert 16 <= sync_bench.provider.served[0].body["max_output_tokens"] < 50
    else:
        with pytest.raises(BudgetExceeded):
            client.responses.create(**RESPONSE)
    assert sync_bench.provider.arrivals == sent
    sync_bench.assert_exact(session)


def test_what_takes_no_cap_is_given_none(sync_bench: Bench) -> None:
    """An embedding, and a conversation that is made shorter, are sent as they are, whatever a hold has of a cap."""
    client, session = sync_bench.paid("$1")
    compact = {"model": "gpt-4o", "input": "sky"}
    bodies = {"/embeddings": EMBEDDING, "/responses/compact": compact}
    for path, body in bodies.items():
        with session.reserve("gpt-4o", input_tokens=100, max_output_tokens=100):
            client.post(path, body=body, cast_to=object)
    assert [served.body for served in sync_bench.provider.served] == [*bodies.values()]
    tight = bursar.wrap_client(bursar.unwrap_client(client), Budget("$0.10").session())
    with pytest.raises(BudgetExceeded):  # the most that the model writes is $0.16, and cannot be lowered
        tight.post("/responses/compact", body=compact, cast_to=object)
    sync_bench.assert_exact(session)


@pytest.mark.parametrize("surface", ["chat", "chat-stream"])
def test_sound_and_predictions(surface: str, bench: Bench) -> None:
    """Sound has its own prices, in and out; tokens of a prediction, used or not, are part of the output."""
    rate = Rate("2.50", "10", audio_input="40", audio_output="80")
    bench.provider.rates["gpt-4o"] = rate
    prices = {"gpt-4o": bursar.Price("2.50", 10, audio_input=40, audio_output=80, context_window=128_000)}
    usage = {
        "prompt_tokens": 120,
        "completion_tokens": 45,
        "total_tokens": 165,
        "prompt_tokens_details": {"audio_tokens": 100, "cached_tokens": 0},
        "completion_tokens_details": {
            "audio_tokens": 20,
            "reasoning_tokens": 5,
            "accepted_prediction_tokens": 3,
            "rejected_prediction_tokens": 7,
        },
    }
    bench.provider.script(
        Reply(input_tokens=120, audio_input_tokens=100, output_tokens=45, audio_output_tokens=20, usage=usage)
    )
    client, session = bench.paid("$9", prices=prices)
    bench.ask(client, stream=surface == "chat-stream")
    bench.assert_exact(session)
    assert bench.provider.bill_nanos == 20 * 2_500 + 100 * 40_000 + 25 * 10_000 + 20 * 80_000


@pytest.mark.parametrize("answered", ["gpt-4o-mini-2024-07-18", "gpt-4o-mini", "gpt-4o-2024-11-20"])
def test_the_model_that_answered_sets_the_price(answered: str, bench: Bench) -> None:
    """Its dated name costs what it costs; another model than the one asked for is charged as itself."""
    bench.provider.script(Reply(model=answered))
    client, session = bench.paid("$1")
    bench.ask(client)
    mini = answered.startswith("gpt-4o-mini")
    (served,) = bench.provider.served
    assert bench.provider.bill_nanos == -(
        -served.input_tokens * (150 if mini else 2_500) // 1
        - served.output_tokens * (600 if mini else 10_000)
    )
    bench.assert_exact(session)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 1), ("$0.0019", 0)])
def test_each_choice_is_held(limit: str, sent: int, sync_bench: Bench) -> None:
    """Four choices of 50 tokens cost four times 50 at the worst; a budget for three is not enough."""
    client, session = sync_bench.paid(limit, clamp=False)
    if sent:
        assert len(client.chat.completions.create(**CHAT, n=4).choices) == 4
    else:
        with pytest.raises(BudgetExceeded):
            client.chat.completions.create(**CHAT, n=4)
    assert sync_bench.provider.arrivals == sent
    sync_bench.assert_exact(session)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 1), ("$0.0005", 0)])
def test_each_prompt_and_every_candidate_is_held(limit: str, sent: int, sync_bench: Bench) -> None:
    """Two prompts of which the best of three is shown are six answers on the bill."""
    client, session = sync_bench.paid(limit, clamp=False)
    body = {**TEXT, "prompt": ["sky", "sea"], "best_of": 3}
    if sent:
        assert len(client.completions.create(**body).choices) == 2
        assert sync_bench.provider.served[0].output_tokens == 6 * 40
    else:
        with pytest.raises(BudgetExceeded):
            client.completions.create(**body)
    assert sync_bench.provider.arrivals == sent
    sync_bench.assert_exact(session)


@pytest.mark.parametrize(
    "given", ["sky", ["sky", "sea"], [1, 2, 3], [[1, 2], [3]]], ids=["text", "texts", "tokens", "lists"]
)
def test_embeddings_of_text_and_of_tokens(given: Any, sync_bench: Bench) -> None:
    """Whatever form the input has, its bound is above the bill, and the charge is the bill."""
    client, session = sync_bench.paid("$1")
    client.embeddings.create(model="text-embedding-3-small", input=given)
    sync_bench.assert_exact(session)
    assert session.report()["overruns"]["count"] == 0


def test_many_inputs_may_exceed_one_context_window(sdk: ClientSdk) -> None:
    """The window bounds each input of an embedding, not all of them together."""
    with ScriptedProvider(bytes_per_token=1) as provider:
        session = Budget("$1").session()
        with bursar.wrap_client(sdk.client(provider), session) as client:
            client.embeddings.create(model="text-embedding-3-small", input=["x" * 8_000] * 5)
        assert session.spent == provider.bill and provider.served[0].input_tokens > 40_000
        assert session.report()["overruns"]["count"] == 0


def test_the_bound_holds_for_the_harshest_tokenizer(sdk: ClientSdk) -> None:
    """Where each byte is a token, no call costs more than was held for it."""
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    with ScriptedProvider(bytes_per_token=1, output_tokens=10_000) as provider:
        session = Budget("$9", clamp=False).session()
        with bursar.wrap_client(sdk.client(provider), session) as client:
            client.chat.completions.create(**CHAT, tools=tools, n=3)
            client.responses.create(**RESPONSE, instructions="Be brief. " * 50)
            client.completions.create(**TEXT, n=2)
            list(client.chat.completions.create(**CHAT, stream=True))
        assert session.spent == provider.bill
        assert session.report()["overruns"]["count"] == 0


def test_a_prediction_may_be_billed_above_the_cap(sync_bench: Bench) -> None:
    """What of a prediction is rejected is output, too, and is held beside the cap."""
    client, session = sync_bench.paid("$1")
    text = "word " * 100
    sync_bench.provider.rates["gpt-4o"] = Rate("2.50", "10")
    with pytest.raises(BudgetExceeded):
        bursar.wrap_client(bursar.unwrap_client(client), Budget("$0.005").session()).chat.completions.create(
            **CHAT, prediction={"type": "content", "content": text}
        )
    client = bursar.wrap_client(bursar.unwrap_client(client), session)
    client.chat.completions.create(**CHAT, prediction={"type": "content", "content": text})
    sync_bench.assert_exact(session)

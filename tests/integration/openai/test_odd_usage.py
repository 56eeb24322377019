"""Odd usage and odd calls through the real SDK: each kind once more, in another place than in the core's tests."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

import bursar
from bursar import Budget, LoopDetected, UnpriceableCall
from bursar.testing import Rate, Reply, ScriptedProvider

from ..client_contract.sdk import ClientSdk
from ..client_contract.transparency import streamed

ASKED: Any = {"messages": [{"role": "user", "content": "Why is the sky blue?"}], "max_tokens": 100}
WHOLE_OR_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def client_of(provider: ScriptedProvider, session: bursar.Session) -> openai.OpenAI:
    """A covered client that does not try again."""
    client = openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0)
    return bursar.wrap_client(client, session)


def ask(client: openai.OpenAI, model: str, *, stream: bool = False, **more: Any) -> None:
    """One question, whose answer is read to its end."""
    answer: Any = client.chat.completions.create(model=model, stream=stream, **{**ASKED, **more})
    if stream:
        list(answer)


@WHOLE_OR_STREAMED
@pytest.mark.parametrize("model", ["perplexity/sonar-deep-research", "groq/compound-mini", "gpt-4o:online"])
def test_a_call_that_nothing_bounds_is_not_sent(model: str, stream: bool) -> None:
    """It reaches no server; with a price of the user's it is sent, and costs that."""
    with ScriptedProvider(rates={model: Rate("2", "8")}) as provider:
        provider.always(Reply(input_tokens=20, output_tokens=10))
        session = Budget("$1").session()
        with client_of(provider, session) as client, pytest.raises(UnpriceableCall, match="cost="):
            ask(client, model, stream=stream)
        assert (provider.hits, session.spent, session.reserved) == (0, 0, 0)
        priced = Budget("$1", prices={model: (2, 8)}).session()
        with client_of(provider, priced) as client:
            ask(client, model, stream=stream)
        assert priced.spent == provider.bill > 0


@WHOLE_OR_STREAMED
@pytest.mark.parametrize(("famous", "dollars"), [({}, 0), ({"gpt-3.5-turbo": (9, 9)}, 30 * 9)])
def test_a_local_server_with_a_famous_name_costs_what_the_user_said(
    famous: dict[str, Any], dollars: int, stream: bool
) -> None:
    """Nothing; only a price that he gave that name, too, counts before it."""
    with ScriptedProvider(rates={"my-llama": Rate("0", "0")}) as provider:
        provider.always(Reply(input_tokens=20, output_tokens=10, model="gpt-3.5-turbo"))
        session = Budget("$1", prices={"my-llama": (0, 0), **famous}).session()
        with client_of(provider, session) as client:
            ask(client, "my-llama", stream=stream)
        assert session.spent * 10**6 == dollars and session.tokens_spent == 30


@pytest.mark.parametrize(
    ("identity", "booked"),
    [
        ({"id": "", "created": 0}, 2),
        ({"id": "chatcmpl-1", "created": 0}, 2),
        ({"id": "chatcmpl-1", "created": 5}, 1),
    ],
)
def test_an_answer_that_looks_like_a_stream_is_another_one(
    identity: dict[str, Any], booked: int, sdk: ClientSdk
) -> None:
    """A covered stream, then a hold that is settled with its counts: two, unless both have the same identity."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    chunk = {**identity, "object": "chat.completion.chunk", "model": "gpt-4o", "usage": usage}
    last = {**chunk, "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}
    pieces = [f"data: {json.dumps(last)}\n\n".encode(), b"data: [DONE]\n\n"]
    _, _, session = streamed(sdk, pieces, asynchronous=False)
    hold = session.reserve("gpt-4o", input_tokens=100, max_output_tokens=10)
    hold.settle({**identity, "model": "gpt-4o", "usage": usage})
    assert session.spent * 10**9 == booked * (100 * 2_500 + 10 * 10_000)


def test_a_call_that_is_answered_with_errors_is_no_loop() -> None:
    """After eleven answers of 429 the twelfth call goes through; after ten that are billed the next is a loop."""
    with ScriptedProvider(rates={"acme": Rate("2", "8")}) as provider:
        provider.script(*[Reply(status=429)] * 11)
        session = Budget("$1", prices={"acme": (2, 8)}).session()
        with client_of(provider, session) as client:
            for _ in range(11):
                with pytest.raises(openai.RateLimitError):
                    ask(client, "acme")
            for _ in range(10):
                ask(client, "acme")
            with pytest.raises(LoopDetected):
                ask(client, "acme")
        assert session.calls == 10 and session.spent == provider.bill


@WHOLE_OR_STREAMED
@pytest.mark.parametrize("odd", [[], "", False, 0.0, {}], ids=repr)
def test_counts_that_are_none_are_booked_at_the_hold(odd: Any, stream: bool) -> None:
    """They are not read as 0, on either side; the twin with both counts is exact."""
    for sent, made, exact in ((20, odd, False), (odd, 5, False), (20, 5, True)):
        with ScriptedProvider(rates={"acme": Rate("2", "8")}) as provider:
            told = {"prompt_tokens": sent, "completion_tokens": made}
            provider.always(Reply("blue", input_tokens=20, output_tokens=5, usage=told))
            session = Budget("$1", prices={"acme": (2, 8)}).session()
            with client_of(provider, session) as client:
                ask(client, "acme", stream=stream)
            assert session.spent == provider.bill if exact else session.spent * 10**6 >= 100 * 8
            assert session.report()["estimated"] == (not exact)

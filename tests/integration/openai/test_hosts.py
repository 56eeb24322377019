"""Hosts that speak OpenAI's API, each with its own way of telling the usage: what is booked is their bill."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import openai
import pytest

import bursar
from bursar import Budget, Price, Session
from bursar.testing import Rate, Reply, ScriptedProvider

from ..client_contract.sdk import ClientSdk
from ..client_contract.transparency import streamed

SENT, READ, MADE, THOUGHT = 900, 300, 1_200, 800
ASKED: Any = [{"role": "user", "content": "Why is the sky blue?"}]
CACHED = Price("2", "8", cached_input="0.5")
# Host by host: whether it tells a cache hit, and reasoning that is beside the completion. The shapes are those
# of `ScriptedProvider`, which names the source of each and the day on which it was read.
TELLS = {
    "openrouter": (True, False), "groq": (False, False), "together": (False, False),
    "deepseek": (True, False), "xai": (True, True), "perplexity": (False, False),
    "gemini": (False, True), "mistral": (False, False), "fireworks": (True, False),
    "moonshot": (True, False), "vllm": (False, False), "ollama": (False, False),
    "llama.cpp": (False, False), "lmstudio": (False, False),
}  # fmt: skip
WHOLE_OR_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def nanos(read: int, made: int) -> int:
    """The bill, by literal rates in dollars per million tokens: $2, $0.50 from a cache, $8."""
    plain, cached = Fraction(2, 10**6), Fraction(1, 2 * 10**6)
    exact = ((SENT - read) * plain + read * cached + made * Fraction(8, 10**6)) * 10**9
    return -(-exact.numerator // exact.denominator)


def scripted(model: str, host: Any, **counts: Any) -> ScriptedProvider:
    """A host that answers once, at the rates of `nanos`."""
    provider = ScriptedProvider(rates={model: Rate("2", "8", "0.5")})
    provider.script(Reply("blue " * 80, input_tokens=SENT, host=host, **counts))
    return provider


def paid(provider: ScriptedProvider, model: str, price: Any = CACHED) -> tuple[Any, Session]:
    """A covered client of the provider, with a price of the user's for one model."""
    client = openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0)
    session = Budget("$1", prices={model: price}).session()
    return bursar.wrap_client(client, session), session


def ask(client: Any, model: str, *, stream: bool) -> None:
    """One question, whose answer is read to its end."""
    with client:
        answer = client.chat.completions.create(model=model, messages=ASKED, max_tokens=5_000, stream=stream)
        if stream:
            assert len(list(answer)) > 3


@pytest.mark.seam
@WHOLE_OR_STREAMED
@pytest.mark.parametrize("host", TELLS)
def test_the_bill_of_each_host_is_booked(host: str, stream: bool) -> None:
    """To the nano-dollar; one token more, in the place where this host tells it, is one more on the bill."""
    caches, thinks = TELLS[host]
    model = "openrouter/acme" if host == "openrouter" else "acme"
    found = []
    for more in (0, 1):
        read, thought = READ + more if caches else 0, THOUGHT + more if thinks else 0
        made = MADE + more if thinks or not caches else MADE
        counts = {"output_tokens": made, "cached_input_tokens": read, "reasoning_tokens": thought}
        with scripted(model, host, **counts) as provider:
            client, session = paid(provider, model)
            ask(client, model, stream=stream)
            assert session.spent * 10**9 == nanos(read, made) == provider.bill_nanos
            assert (session.reserved, session.report()["estimated"]) == (0, 0)
            found.append(session.spent)
    assert found[0] != found[1]


@WHOLE_OR_STREAMED
@pytest.mark.parametrize(("dear", "times"), [(("20", "80"), 10), (("0.2", "0.8"), 1)], ids=["below", "above"])
@pytest.mark.parametrize("host", ["openrouter", "perplexity", "xai"])
def test_a_stated_cost_counts_by_whose_it_is(host: str, dear: Any, times: int, stream: bool) -> None:
    """OpenRouter bills what it states, also below the table; what another host states counts where it is more."""
    model = "openrouter/acme" if host == "openrouter" else "acme"
    with scripted(model, host, output_tokens=MADE) as provider:
        client, session = paid(provider, model, dear)
        ask(client, model, stream=stream)
        assert session.spent * 10**9 == nanos(0, MADE) * (1 if host == "openrouter" else times)


@pytest.mark.parametrize("host", ["perplexity", "gemini", "vllm", "ollama"])
def test_a_stream_that_is_left_is_not_whole_because_it_tells_usage(host: str) -> None:
    """Usage so far in every chunk, or an empty reason, and the caller leaves after two: by policy, and marked."""
    with scripted("acme", host, output_tokens=MADE, stream_chunks=40) as provider:
        client, session = paid(provider, "acme")
        stream = client.chat.completions.create(model="acme", messages=ASKED, max_tokens=5_000, stream=True)
        with client, stream:
            next(stream), next(stream)
        assert session.report()["estimated"] == 1 and session.reserved == 0
        assert session.spent * 10**9 >= 5_000 * 8_000


def _chunk(usage: Any, **choice: Any) -> bytes:
    choices = [{"index": 0, "delta": {"content": "x"}, "finish_reason": None, **choice}] if choice else []
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    return f"data: {json.dumps({**head, 'choices': choices, 'usage': usage})}\n\n".encode()


@pytest.mark.parametrize("later", [(0, 0), (150, 30), (None, 0)], ids=str)
def test_a_later_report_that_says_less_does_not_replace_an_earlier_one(
    later: tuple[Any, Any], sdk: ClientSdk
) -> None:
    """200 and 20, then zeros or less: of each number the larger counts."""
    told = {"prompt_tokens": 200, "completion_tokens": 20}
    last = {"prompt_tokens": later[0], "completion_tokens": later[1]}
    pieces = [_chunk(None, finish_reason=""), _chunk(told, finish_reason="stop"), _chunk(last)]
    for asynchronous in (False, True):
        _, _, session = streamed(sdk, [*pieces, b"data: [DONE]\n\n"], asynchronous=asynchronous)
        made = max(20, later[1])
        assert session.spent * 10**9 == 200 * 2_500 + made * 10_000
        assert session.report()["estimated"] == 0


@pytest.mark.parametrize(("reason", "whole"), [("", False), (None, False), ("stop", True)])
def test_an_empty_reason_does_not_end_a_stream(reason: Any, whole: bool, sdk: ClientSdk) -> None:
    """Usage so far in each chunk, and the last to come says nothing of its end: by policy, and marked."""
    pieces = [_chunk({"prompt_tokens": 200, "completion_tokens": made}, finish_reason="") for made in (1, 2)]
    pieces.append(_chunk({"prompt_tokens": 200, "completion_tokens": 3}, finish_reason=reason))
    _, _, session = streamed(sdk, pieces, asynchronous=False)
    told = 200 * 2_500 + 3 * 10_000
    assert (session.spent * 10**9 == told) == whole and session.spent * 10**9 >= told
    assert session.report()["estimated"] == (not whole)


@WHOLE_OR_STREAMED
@pytest.mark.parametrize("base", ["", "/v1"])
def test_a_deployment_of_azure_is_answered_and_billed(base: str, stream: bool) -> None:
    """Its name is in the path; the model behind it is priced."""
    with ScriptedProvider(deployments={"my.dep 1": "gpt-4o"}) as provider:
        client = openai.AzureOpenAI(
            azure_endpoint=f"{provider.url}{base}", api_key="none", api_version="2024-10-21"
        )
        session = Budget("$1", aliases={"my.dep 1": "gpt-4o"}).session()
        ask(bursar.wrap_client(client, session), "my.dep 1", stream=stream)
        assert session.spent == provider.bill > 0

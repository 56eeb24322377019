"""The scripted provider in the words of hosts that speak OpenAI's chat completions."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from bursar.testing import Rate, Reply, ScriptedProvider
from bursar.testing._script import Host

from .test_scripted_provider import CHAT, Client

BODY = {
    "model": "acme",
    "messages": [{"role": "user", "content": "Why?"}],
    "stream_options": {"include_usage": True},
}


def told(chunks: list[Any]) -> list[Any]:
    """The usages that chunks tell, wherever they stand."""
    found = []
    for chunk in chunks:
        if isinstance(chunk, dict):
            choices = [choice.get("usage") for choice in chunk["choices"]]
            found += [chunk.get("usage"), chunk.get("x_groq", {}).get("usage"), *choices]
    return [usage for usage in found if usage]


@pytest.mark.parametrize("host", get_args(Host))
def test_each_host_tells_its_counts_whole_and_streamed(host: Any) -> None:
    """The same counts in both, at the end of a stream; twice, or in every chunk, where the host does so."""
    reply = Reply(input_tokens=90, output_tokens=30, cached_input_tokens=10, reasoning_tokens=20, host=host)
    with ScriptedProvider(rates={"acme": Rate("2", "8", "0.5")}) as provider:
        provider.always(reply)
        client = Client(provider)
        whole = client.send(CHAT, {**BODY, "stream_options": None})[1]["usage"]
        usages = told(client.stream(CHAT, BODY))
        client.connection.close()
    assert usages[-1] == whole and whole["prompt_tokens"] == 90 and whole["total_tokens"] == 120
    assert len(usages) == {"perplexity": 7, "gemini": 7, "vllm": 8, "moonshot": 2}.get(host, 1)
    assert whole["completion_tokens"] == (10 if host in ("xai", "gemini") else 30)


@pytest.mark.parametrize("usage", ["absent", "null"])
@pytest.mark.parametrize("host", ["vllm", "ollama"])
def test_a_host_may_tell_nothing(host: Any, usage: Any) -> None:
    """As scripted; a stream that did not ask gets no chunk of its own for it."""
    with ScriptedProvider(rates={"acme": Rate("2", "8")}) as provider:
        provider.always(Reply(usage=usage, host=host))
        client = Client(provider)
        assert told(client.stream(CHAT, BODY)) == []
        assert told(client.stream(CHAT, {**BODY, "stream_options": None})) == []
        client.connection.close()

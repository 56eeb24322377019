"""How hosts that speak OpenAI's chat completions tell their usage, each in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ._shapes import Answer, Event

Counts = dict[str, Any]


@dataclass(frozen=True)
class Host:
    """One way of telling.

    Attributes:
        tells: the usage of a whole answer.
        stream: where a stream has it: ``"asked"``, in a chunk of its own if it was asked for; ``"last"``, in
            the chunk that says why it ended; ``"choice"``, there too, but within the choice; ``"groq"``,
            there too, below ``x_groq``; ``"every"``, in every chunk, as counted so far.
        going_on: what the chunks that go on have for ``finish_reason``.
    """

    tells: Callable[[Answer], Counts]
    stream: Literal["asked", "last", "choice", "groq", "every"] = "asked"
    going_on: str | None = None


def _plain(answer: Answer) -> Counts:
    sent, made = answer.tokens.input, answer.tokens.output
    return {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made}


def _cached(answer: Answer) -> Counts:
    return {**_plain(answer), "prompt_tokens_details": {"cached_tokens": answer.tokens.cached_input}}


def _dollars(answer: Answer) -> float:
    return answer.cost_nanos / 10**9


def _openrouter(answer: Answer) -> Counts:
    return {**_cached(answer), "cost": _dollars(answer), "is_byok": False}


def _groq(answer: Answer) -> Counts:
    return {**_plain(answer), "queue_time": 0.05, "prompt_time": 0.01, "completion_time": 0.2}


def _deepseek(answer: Answer) -> Counts:
    hit = answer.tokens.cached_input
    counts = {"prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": answer.tokens.input - hit}
    return {**_plain(answer), **counts}


def _xai(answer: Answer) -> Counts:
    """Reasoning is beside the completion, and in the total."""
    shown = answer.tokens.output - answer.tokens.reasoning
    details = {"completion_tokens_details": {"reasoning_tokens": answer.tokens.reasoning}}
    return {
        **_cached(answer), "completion_tokens": shown, **details,
        "cost_in_usd_ticks": answer.cost_nanos * 10, "num_sources_used": 0,
    }  # fmt: skip


def _perplexity(answer: Answer) -> Counts:
    return {**_plain(answer), "search_context_size": "low", "cost": {"total_cost": _dollars(answer)}}


def _gemini(answer: Answer) -> Counts:
    """What the model thought is in the total alone."""
    shown = answer.tokens.output - answer.tokens.reasoning
    return {**_plain(answer), "completion_tokens": shown}


def _moonshot(answer: Answer) -> Counts:
    return {**_plain(answer), "cached_tokens": answer.tokens.cached_input}


# Sources, as of 2026-11-24: OpenRouter, Usage Accounting; Groq, API Reference (x_groq); Together, Chat
# completions; DeepSeek, Context Caching; xAI, Chat completions (usage); Perplexity, Chat completions
# (usage.cost); Google, OpenAI compatibility; Mistral, Chat completions; Fireworks, Querying text models;
# Moonshot, Chat API; the OpenAI-compatible servers of vLLM, Ollama, llama.cpp and LM Studio.
HOSTS: Mapping[str, Host] = {
    "openrouter": Host(_openrouter, "last"),
    "groq": Host(_groq, "groq"),
    "together": Host(_plain, "last"),
    "deepseek": Host(_deepseek, "last"),
    "xai": Host(_xai),
    "perplexity": Host(_perplexity, "every", ""),
    "gemini": Host(_gemini, "last"),
    "mistral": Host(_plain, "last"),
    "fireworks": Host(_cached, "last"),
    "moonshot": Host(_moonshot, "choice"),
    "vllm": Host(_plain, "every"),
    "ollama": Host(_plain),
    "llama.cpp": Host(_plain),
    "lmstudio": Host(_plain),
}


def told_by(host: str, events: Iterator[Event], answer: Answer) -> Iterator[Event]:
    """The events of a stream of chat completions as a host sends them.

    Args:
        events: as OpenAI sends them, without a chunk for the usage.
        answer: with the counts.
    """
    how = HOSTS[host]
    counts = answer.reported(how.tells(answer)).get("usage")
    chunks = [event for event in events if event.data != "[DONE]"]
    pieces = sum(event.grows for event in chunks)
    written = 0
    for event in chunks:
        chunk: Any = event.data
        written += event.grows
        choices = [dict(choice) for choice in chunk["choices"]]
        last = any(choice["finish_reason"] for choice in choices)
        for choice in choices:
            choice["finish_reason"] = choice["finish_reason"] or how.going_on
        told: Counts = {}
        if how.stream == "every" and isinstance(counts, dict):
            told = {"usage": counts if last else _so_far(counts, answer, written, pieces)}
        elif last and how.stream == "last":
            told = {"usage": counts}
        elif last and how.stream == "groq":
            told = {"x_groq": {"id": f"req_{answer.number}", "usage": counts}}
        elif last and how.stream == "choice":
            choices[0]["usage"] = counts
        yield Event({**chunk, "choices": choices, **told}, grows=event.grows, usage=last and bool(told))
    if how.stream == "asked" and (answer.body.get("stream_options") or {}).get("include_usage"):
        chunk = {name: value for name, value in chunks[-1].data.items() if name != "usage"}  # type: ignore[union-attr]
        yield Event({**chunk, "choices": [], "usage": counts}, usage=True)
    yield Event("[DONE]")


def _so_far(counts: Counts, answer: Answer, written: int, pieces: int) -> Counts:
    """What a host tells before the end: the whole input, and the output that is out."""
    made = answer.tokens.output * written // max(1, pieces)
    sent = answer.tokens.input
    return {**counts, "completion_tokens": made, "total_tokens": sent + made}

"""How hosts that speak OpenAI's chat completions tell their usage, each in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ._shapes import Answer, Event

Counts = dict[str, Any]


_GOING_ON: Mapping[str, str | None] = {"finish_reason": None}
_SILENT: Mapping[str, str | None] = {}


@dataclass(frozen=True)
class Host:
    """One way of telling.

    Attributes:
        tells: the usage of a whole answer.
        told_in: where the chunks of a stream have it: ``"last"``, in the one that says why it ended;
            ``"choice"``, there too, but within the choice; ``"groq"``, there too, below ``x_groq``;
            ``"every"``, in every chunk, as counted so far; None: in none of them.
        own_chunk: whether a chunk of its own has it, after all others: ``"asked"``, if it was asked for.
        going_on: what the choices of chunks that go on say of their end.
        kind: what the last chunk is called, where it has another name than those before it.
    """

    tells: Callable[[Answer], Counts]
    told_in: Literal["last", "choice", "groq", "every"] | None = None
    own_chunk: Literal["never", "asked", "always"] = "never"
    going_on: Mapping[str, str | None] = field(default_factory=lambda: _GOING_ON)
    kind: str | None = None


def _plain(answer: Answer) -> Counts:
    sent, made = answer.tokens.input, answer.tokens.output
    return {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made}


def _cached(answer: Answer) -> Counts:
    return {**_plain(answer), "prompt_tokens_details": {"cached_tokens": answer.tokens.cached_input}}


def _dollars(answer: Answer) -> float:
    return answer.cost_nanos / 10**9


def _openrouter(answer: Answer) -> Counts:
    stated = {"cost": _dollars(answer), "cost_details": {"upstream_inference_cost": None}}
    return {**_cached(answer), **stated, "is_byok": False}


def _groq(answer: Answer) -> Counts:
    return {**_plain(answer), "queue_time": 0.05, "prompt_time": 0.01, "completion_time": 0.2}


def _deepseek(answer: Answer) -> Counts:
    hit = answer.tokens.cached_input
    counts = {"prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": answer.tokens.input - hit}
    return {**_cached(answer), **counts}


def _xai(answer: Answer) -> Counts:
    """Reasoning is beside the completion, and in the total."""
    shown = answer.tokens.output - answer.tokens.reasoning
    details = {"completion_tokens_details": {"reasoning_tokens": answer.tokens.reasoning}}
    return {
        **_cached(answer), "completion_tokens": shown, **details,
        "cost_in_usd_ticks": answer.cost_nanos * 10, "num_sources_used": 0,
    }  # fmt: skip


def _perplexity(answer: Answer) -> Counts:
    cost = {"request_cost": 0.0, "total_cost": _dollars(answer)}
    return {**_plain(answer), "search_context_size": "low", "cost": cost}


def _gemini(answer: Answer) -> Counts:
    """What the model thought is in the total alone."""
    shown = answer.tokens.output - answer.tokens.reasoning
    return {**_plain(answer), "completion_tokens": shown}


def _moonshot(answer: Answer) -> Counts:
    return {**_cached(answer), "cached_tokens": answer.tokens.cached_input}


# Recorded answers in the tests of vercel/ai, issues and pages, all read on 2026-11-29.
HOSTS: Mapping[str, Host] = {
    # openrouter.ai/docs, Usage Accounting (always, whatever was asked); BerriAI/litellm#11626 (the fields);
    # speakeasy-api/gram#921 (after the chunk that says why it ended).
    "openrouter": Host(_openrouter, own_chunk="always"),
    # vercel/ai, packages/groq/src/groq-chat-language-model.test.ts, of 2024; since then at the top, too, by
    # __fixtures__/groq-reasoning.chunks.txt.
    "groq": Host(_groq, "groq"),
    # mlflow/mlflow#11557, of text completions in 2024; of chats it is not confirmed.
    "together": Host(_plain, "last"),
    # vercel/ai, packages/deepseek/src/chat/__fixtures__/issue-19789-live-usage.chunks.txt.
    "deepseek": Host(_deepseek, "last"),
    # vercel/ai, packages/xai/src/__fixtures__/xai-text.chunks.txt; Wei-Shaw/sub2api#5771: 10^10 ticks are $1.
    "xai": Host(_xai, own_chunk="asked", going_on=_SILENT),
    # vercel/ai, packages/perplexity/src/__fixtures__: perplexity-usage-raw-live.chunks.txt, perplexity-text.
    "perplexity": Host(_perplexity, "every", going_on=_SILENT, kind="chat.completion.done"),
    # discuss.ai.google.dev/t/127400, with what a stream sent; the thoughts are in the total alone.
    "gemini": Host(_gemini, "every", going_on=_SILENT),
    # vercel/ai, packages/mistral/src/mistral-chat-language-model.test.ts.
    "mistral": Host(_plain, "last"),
    # langchain-ai/langchain#36977: asked, in a chunk of its own; where cached tokens stand is not confirmed.
    "fireworks": Host(_cached, own_chunk="asked"),
    # vercel/ai, packages/moonshotai/src/__fixtures__/moonshotai-usage-live.chunks.txt.
    "moonshot": Host(_moonshot, "choice", "asked"),
    # vllm-project/vllm#6652, #7262: so far in every chunk with `continuous_usage_stats`, and asked.
    "vllm": Host(_plain, "every", "asked"),
    # ollama/ollama#4357 (empty reasons of 2024); since 0.5.2 asked, by ogx-ai/ogx#5011.
    "ollama": Host(_plain, own_chunk="asked", going_on={"finish_reason": ""}),
    # ggml-org/llama.cpp#15444, #22081.
    "llama.cpp": Host(_plain, own_chunk="asked"),
    # lmstudio.ai/docs, API Changelog: since 0.3.18; before, lmstudio-ai/lmstudio-bug-tracker#713: not at all.
    "lmstudio": Host(_plain, own_chunk="asked"),
}


def told_by(host: str, events: Iterator[Event], answer: Answer) -> Iterator[Event]:
    """The events of a stream of chat completions as a host sends them.

    Args:
        events: as OpenAI sends them, without a chunk for the usage.
        answer: with the counts.
    """
    how = HOSTS[host]
    counts = answer.reported(how.tells(answer)).get("usage")
    chunks: list[Any] = [event for event in events if event.data != "[DONE]"]
    pieces = sum(event.grows for event in chunks)
    written = 0
    for event in chunks:
        chunk = event.data
        written += event.grows
        last = any(choice["finish_reason"] for choice in chunk["choices"])
        choices = [dict(choice) if last else _going_on(choice, how) for choice in chunk["choices"]]
        told: Counts = {"object": how.kind} if last and how.kind else {}
        if how.told_in == "every" and isinstance(counts, dict):
            told["usage"] = counts if last else _so_far(how.tells(answer), written, pieces)
        elif last and how.told_in == "last":
            told["usage"] = counts
        elif last and how.told_in == "groq":
            told["x_groq"] = {"id": f"req_{answer.number}", "usage": counts}
        elif last and how.told_in == "choice":
            choices[0]["usage"] = counts
        final = last and how.told_in is not None and how.own_chunk == "never"
        yield Event({**chunk, "choices": choices, **told}, grows=event.grows, usage=final)
    asked = (answer.body.get("stream_options") or {}).get("include_usage")
    if how.own_chunk == "always" or (how.own_chunk == "asked" and asked):
        empty = [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
        beside = empty if how.own_chunk == "always" else []
        yield Event({**chunks[-1].data, "choices": beside, "usage": counts}, usage=True)
    yield Event("[DONE]")


def _going_on(choice: Mapping[str, Any], how: Host) -> dict[str, Any]:
    said = {name: value for name, value in choice.items() if name != "finish_reason"}
    return {**said, **how.going_on}


def _so_far(counts: Counts, written: int, pieces: int) -> Counts:
    """What a host tells before the end: the whole input, the output that is out, and no cost yet."""
    made = counts["completion_tokens"] * written // max(1, pieces)
    cost = {"cost": {"total_cost": 0}} if "cost" in counts else {}
    total = counts["total_tokens"] - counts["completion_tokens"] + made
    return {**counts, "completion_tokens": made, "total_tokens": total, **cost}

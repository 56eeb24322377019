"""Reads usage, model and tier of a provider's answer, an object or a dict of any library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..values.usage import Usage

_TIERS = {
    **{word: word for word in ("batch", "flex", "priority", "fast", "standard")},
    **dict.fromkeys(("auto", "default", "on_demand", "scale"), "standard"),
}
# Why an answer ended at its output cap: chat and completions, messages, Responses.
_CUT = frozenset({"length", "max_tokens", "max_output_tokens"})
# What a run of a hosted tool is called among the output items of OpenAI's Responses.
_RUNS = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    Attributes:
        usage: None when the answer has no usage, or an empty one. Its numbers may be nonsense.
        model: the model that answered.
        tier: the service tier that it was served at; None where it does not say.
        id: the provider's name for it, and the moment of its making; tells answers apart.
        cut: True when it ended at its output cap.
    """

    usage: Usage | None
    model: str | None = None
    tier: str | None = None
    id: tuple[str, float | None] | None = None
    cut: bool = False


def read_answer(response: object) -> Answer:
    """Read a response of OpenAI (chat, Responses, embeddings) or Anthropic: an object or a dict.

    OpenAI counts cached tokens as part of the input; Anthropic counts them beside it,
    and is brought to the same form here.
    """
    id, model, usage = _get(response, "id"), _get(response, "model"), _get(response, "usage")
    made = _first(response, "created", "created_at")
    tier = _first(response, "service_tier") or _first(usage, "service_tier")
    if _get(usage, "speed") == "fast":
        tier = "fast"  # Anthropic's fast mode has a price of its own, whatever the tier
    return Answer(
        usage=_usage(usage, _runs(response)) if usage is not None else None,
        model=model if isinstance(model, str) else None,
        tier=_TIERS.get(tier) if isinstance(tier, str) else None,
        id=(id, made if isinstance(made, int | float) else None) if isinstance(id, str) else None,
        cut=_cut(response),
    )


def _cut(response: object) -> bool:
    """True when the answer ended at its output cap, in the words of each provider."""
    choices = _get(response, "choices")
    reasons = [
        *(_get(choice, "finish_reason") for choice in (choices if isinstance(choices, list | tuple) else ())),
        _get(response, "stop_reason"),
        _get(_get(response, "incomplete_details"), "reason"),
    ]
    return any(isinstance(reason, str) and reason in _CUT for reason in reasons)


def _runs(response: object) -> dict[str, int]:
    """How often hosted tools ran, where the answer lists the runs."""
    items = _get(response, "output")
    runs: dict[str, int] = {}
    for item in items if isinstance(items, list | tuple) else ():
        kind = _get(item, "type")
        tool = _RUNS.get(kind) if isinstance(kind, str) else None
        if tool is not None and _get(_get(item, "action"), "type") in (None, "search"):
            runs[tool] = runs.get(tool, 0) + 1
    return runs


def _usage(usage: object, runs: dict[str, int]) -> Usage | None:
    total_in, total_out = (
        _first(usage, "input_tokens", "prompt_tokens"),
        _first(usage, "output_tokens", "completion_tokens"),
    )
    beside = _get(usage, "cache_read_input_tokens"), _get(usage, "cache_creation_input_tokens")
    if not any((total_in, total_out, *beside)):
        return None
    inputs = _first(usage, "input_tokens_details", "prompt_tokens_details", "input_token_details")
    outputs = _first(usage, "output_tokens_details", "completion_tokens_details", "output_token_details")
    cached, written = _count(inputs, "cached_tokens"), _count(inputs, "cache_write_tokens")
    written_1h: Any = 0
    if beside != (None, None) and _get(usage, "prompt_tokens") is not None:
        cached, written = cached or beside[0] or 0, written or beside[1] or 0  # LiteLLM: parts already
    elif beside != (None, None):
        cached, written = (0 if count is None else count for count in beside)
        split = _get(usage, "cache_creation")
        written_1h = _count(split, "ephemeral_1h_input_tokens")
        total_in = _sum(total_in, cached, written)
        written = _sum(written, -written_1h if type(written_1h) is int else written_1h)
    server_tools = _get(usage, "server_tool_use")
    searches = _count(server_tools, "web_search_requests")
    return Usage(
        input_tokens=0 if total_in is None else total_in,
        output_tokens=0 if total_out is None else total_out,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=written_1h,
        reasoning_tokens=_count(outputs, "reasoning_tokens"),
        audio_input_tokens=_count(inputs, "audio_tokens"),
        audio_output_tokens=_count(outputs, "audio_tokens"),
        requests={**runs, "web_search": searches} if searches else runs,
    )


def _get(holder: object, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _first(holder: object, *names: str) -> Any:
    return next((value for name in names if (value := _get(holder, name)) is not None), None)


def _count(holder: object, name: str) -> Any:
    """A detail; absent is zero, nonsense stays what it is, for `Usage.flaw` to find."""
    value = _get(holder, name) if holder is not None else None
    return 0 if value is None else value


def _sum(*counts: Any) -> Any:
    """The sum, or the first count that is none."""
    for count in counts:
        if type(count) is not int:
            return count
    return sum(counts)

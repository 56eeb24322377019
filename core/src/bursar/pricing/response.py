"""Reads usage, model, tier and cost of a provider's answer, an object or a dict of any library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

from ..runtime.fast_init import maker
from ..values.money import MAX_NANOS
from ..values.usage import Usage
from .counts import count, read_counts
from .members import first, get, members
from .text import text_bytes

_TIERS = {
    **{word: word for word in ("batch", "flex", "priority", "fast", "standard")},
    **dict.fromkeys(("auto", "default", "on_demand", "scale"), "standard"),
}
# Why an answer ended at its output cap: chat and completions, messages, Responses; Gemini and Cohere.
_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "MAX_TOKENS"})
# What a run of a hosted tool is called among the output items of OpenAI's Responses.
_RUNS = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
}
_PER_TICK = Decimal("0.1")  # nano-dollars of one of xAI's ticks: 10^10 of them are a dollar
_ENDS = ("incomplete_details", "stop_reason", "finish_reason", "stopReason")
_COSTS = ("cost", "is_byok", "cost_in_usd_ticks")
_SHOWN = ("message", "content", "output", "text", "candidates")  # where an answer has its output


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    Attributes:
        usage: None when the answer has no usage, or an empty one. Its numbers may be nonsense.
        model: the model that answered.
        tier: the service tier that it was served at; None where it does not say.
        id: the provider's name for it, and the moment of its making; tells answers apart.
        cut: True when it ended at its output cap.
        cost_nanos: what it says that it cost, in nano-dollars; None where it says nothing.
        beyond: the part of its output that stands in the total alone.
        unsplit: cache writes of which it does not tell for how long; counted as for minutes.
        seen: bytes of the text that it shows although it counts no output.
    """

    usage: Usage | None
    model: str | None = None
    tier: str | None = None
    id: tuple[str, float | None] | None = None
    cut: bool = False
    cost_nanos: int | None = None
    beyond: int = field(default=0, compare=False)
    unsplit: int = field(default=0, compare=False)
    seen: int = field(default=0, compare=False)

    def cached_for_an_hour(self) -> Answer:
        """The same where the request asked for a cache of an hour: writes of an unknown lifetime are such."""
        if self.usage is None or not self.unsplit:
            return self
        short = self.usage.cache_write_tokens - self.unsplit
        long = self.usage.cache_write_1h_tokens + self.unsplit
        usage = replace(self.usage, cache_write_tokens=short, cache_write_1h_tokens=long)
        return replace(self, usage=usage, unsplit=0)


new_answer = maker(Answer)


def read_answer(response: object) -> Answer:
    """Read a response of OpenAI (chat, Responses, embeddings), Anthropic, Gemini, Cohere or Bedrock.

    OpenAI counts cached tokens as part of the input; Anthropic counts them beside it,
    and is brought to the same form here.

    Args:
        response: an object or a dict.
    """
    response = members(response)
    id = first(response, "id", "responseId", "response_id")
    model = first(response, "model", "modelVersion", "model_version")
    if not isinstance(model, str) or not model:
        model = None
    usage = _usage(response)
    made = first(response, "created", "created_at")
    tier = get(response, "service_tier") or get(usage, "service_tier")
    if get(usage, "speed") == "fast":
        tier = "fast"  # Anthropic's fast mode has a price of its own, whatever the tier
    counts = read_counts(usage, _runs(response)) if usage is not None else None
    found = counts.usage if counts is not None else None
    if found is not None and model is not None and "deep-research" in model:
        found = _researched(found, usage)
    known = isinstance(id, str) and bool(id) and made not in (0, 0.0)
    return new_answer(
        usage=found,
        model=model,
        tier=_TIERS.get(tier) if isinstance(tier, str) else None,
        id=(id, made if isinstance(made, int | float) else None) if known else None,
        cut=_cut(response),
        cost_nanos=_cost(usage),
        beyond=counts.beyond if counts is not None else 0,
        unsplit=counts.unsplit if counts is not None else 0,
        seen=_seen(response) if found is not None and not found.output_tokens else 0,
    )


def _usage(response: object) -> Any:
    """The part that counts. Cohere's counts what is billed, and beside it what was processed."""
    usage = members(first(response, "usage", "usageMetadata", "usage_metadata"))
    holder = members(get(response, "meta")) if usage is None else usage
    billed = members(first(holder, "billed_units", "tokens"))
    if billed is not None and isinstance(first(billed, "input_tokens", "output_tokens"), int | float):
        return {name: _whole(get(billed, name)) for name in ("input_tokens", "output_tokens")}
    return usage


def _whole(number: Any) -> Any:
    """Cohere's SDK has whole numbers as floats."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _researched(usage: Usage, told: object) -> Usage:
    """What Perplexity bills of deep research beside input and output: reasoning, citations, searches."""
    beside = [
        count(told, "reasoning_tokens"),
        count(told, "citation_tokens"),
        count(told, "num_search_queries"),
    ]
    if any(type(number) is not int for number in (usage.output_tokens, *beside)):
        return usage
    reasoning, citations, searches = beside
    output = usage.output_tokens + reasoning + citations
    runs = {**usage.requests, "web_search": searches} if searches else usage.requests
    return replace(usage, output_tokens=output, requests=runs)


def _cost(usage: object) -> int | None:
    """What an answer says that it cost: OpenRouter, Perplexity, xAI. Rounded up; None for nonsense."""
    if usage is None or (type(usage) is dict and usage.keys().isdisjoint(_COSTS)):
        return None  # as most answers say
    cost = get(usage, "cost")
    if isinstance(cost, Mapping) or hasattr(cost, "total_cost"):
        cost = get(cost, "total_cost")
    if get(usage, "is_byok"):  # what the provider bills by itself, beside the fee of OpenRouter
        upstream = get(get(usage, "cost_details"), "upstream_inference_cost")
        if type(upstream) not in (int, float) or type(cost) not in (int, float):
            return None
        cost = Decimal(repr(cost)) + Decimal(repr(upstream))
    ticks = get(usage, "cost_in_usd_ticks")
    told = [_nanos(cost, Decimal(10**9)), _nanos(ticks, _PER_TICK)]
    return max((nanos for nanos in told if nanos is not None), default=None)


def _nanos(number: Any, each: Decimal) -> int | None:
    if type(number) is float:
        number = format(number, ".15g")  # the 16th and 17th digit of a double are dust
    elif type(number) not in (int, Decimal):
        return None
    nanos = Decimal(number) * each
    if not nanos.is_finite() or not 0 <= nanos <= MAX_NANOS:
        return None
    return int(nanos.to_integral_value(ROUND_CEILING))


def _cut(response: object) -> bool:
    """True when the answer ended at its output cap, in the words of each provider."""
    for name in ("choices", "candidates"):
        for choice in _listed(response, name):
            if _is_cap(first(members(choice), "finish_reason", "finishReason")):
                return True
    if type(response) is dict and response.keys().isdisjoint(_ENDS):
        return False
    if any(_is_cap(get(response, name)) for name in _ENDS[1:]):
        return True
    details = get(response, _ENDS[0])
    return details is not None and _is_cap(get(details, "reason"))


def _is_cap(why: object) -> bool:
    return isinstance(why, str) and str(getattr(why, "value", why)) in _CUT


def _runs(response: object) -> dict[str, int]:
    """How often hosted tools ran, where the answer lists the runs."""
    runs: dict[str, int] = {}
    for item in _listed(response, "output"):
        kind = get(item, "type")
        tool = _RUNS.get(kind) if isinstance(kind, str) else None
        if tool is not None and get(get(item, "action"), "type") in (None, "search"):
            runs[tool] = runs.get(tool, 0) + 1
    return runs


def _seen(response: object) -> int:
    """Bytes of the output that an answer shows."""
    shown = [get(response, name) for name in _SHOWN]
    for choice in _listed(response, "choices"):
        shown += [get(choice, "message"), get(choice, "text")]
    return sum(map(text_bytes, shown))


def _listed(holder: object, name: str) -> list[Any] | tuple[Any, ...]:
    value = get(holder, name)
    return value if isinstance(value, list | tuple) else ()

"""What LangChain's end hooks say about a call: what was used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.outputs import LLMResult

from bursar import Usage
from bursar.integration import TOKENS_PER_ANSWER, Result, read_answer

_TIERS = frozenset({"batch", "flex", "priority"})
_STANDARD = frozenset({"default", "standard"})


def read_result(
    response: LLMResult, *, hour_cache: bool = False, reports: Sequence[Mapping[str, Any]] = ()
) -> Result:
    """Read what an end hook is given, or the ``response`` of an error hook.

    Args:
        hour_cache: what a write to the cache means where the answer does not say how long.
        reports: the usage that the parts of a stream told, each by itself. LangChain adds them up, also
            where each counts from the beginning.
    """
    found = _Found(response)
    usage, tier, of_all = None, None, False
    raw = next(found.raw_usages, None)
    stated = None if raw is None else read_answer({"usage": raw})
    for metadata in found.usages:  # each of several choices carries the usage of all
        usage, tier = _usage(_of_reports(reports) or metadata, hour_cache)
        break
    else:
        if stated is not None:
            usage = stated.usage
            of_all = raw is (response.llm_output or {}).get("token_usage")
    if usage is not None and usage.input_tokens == 0 and usage.output_tokens == 0:
        usage = None
    served = found.first("service_tier")
    return Result(
        usage=usage,
        model=found.first("model_name", "model"),
        tier=served if served in _TIERS | _STANDARD else tier,
        cost_nanos=None if stated is None else stated.cost_nanos,
        of_all=of_all,
        cached=any(metadata.get("total_cost") == 0 for metadata in found.usages),
        finished=found.first("finish_reason", "stop_reason", "status", "done_reason") is not None,
        text_tokens=_text_tokens(response),
    )


class _Found:
    """The dicts of an `LLMResult` in which providers leave what they know."""

    def __init__(self, response: LLMResult) -> None:
        self.usages: list[Mapping[str, Any]] = []
        self.facts: list[Mapping[str, Any]] = []
        for generation in _generations(response):
            message = getattr(generation, "message", None)
            if isinstance(metadata := getattr(message, "usage_metadata", None), Mapping):
                self.usages.append(metadata)
            for fact in (
                getattr(message, "response_metadata", None),
                getattr(generation, "generation_info", None),
            ):
                if isinstance(fact, Mapping):
                    self.facts.append(fact)
        if isinstance(response.llm_output, Mapping):
            self.facts.append(response.llm_output)

    @property
    def raw_usages(self) -> Iterator[Mapping[str, Any]]:
        for fact in self.facts:
            for key in ("token_usage", "usage"):
                if isinstance(raw := fact.get(key), Mapping) and raw:
                    yield raw

    def first(self, *keys: str) -> str | None:
        for fact in self.facts:
            for key in keys:
                if isinstance(value := fact.get(key), str) and value:
                    return value
        return None


def _usage(metadata: Mapping[str, Any], hour_cache: bool) -> tuple[Usage, str | None]:
    """LangChain's count, and the tier that the names of its details give away.

    A tier is written as a prefix of the details (``flex_cache_read``). Some versions
    report a write to Anthropic's cache twice, by its lifetime and as a whole.
    """
    details: dict[str, Any] = {}
    tier = None
    for side in ("input", "output"):
        for key, count in (metadata.get(f"{side}_token_details") or {}).items():
            prefix, _, rest = key.partition("_")
            tier = prefix if prefix in _TIERS else tier
            details[f"{side}.{rest if prefix in _TIERS else key}"] = 0 if count is None else count

    def detail(key: str) -> Any:
        return details.get(key, 0)

    written, written_1h = detail("input.ephemeral_5m_input_tokens"), detail("input.ephemeral_1h_input_tokens")
    rest = _beyond(detail("input.cache_creation"), written, written_1h)
    if hour_cache or written_1h:
        written_1h = _plus(written_1h, rest)
    else:
        written = _plus(written, rest)
    sent, made = metadata.get("input_tokens") or 0, metadata.get("output_tokens") or 0
    usage = Usage(
        input_tokens=sent,
        output_tokens=_plus(made, _beyond(metadata.get("total_tokens"), sent, made)),
        cached_input_tokens=detail("input.cache_read"),
        cache_write_tokens=written,
        cache_write_1h_tokens=written_1h,
        reasoning_tokens=detail("output.reasoning"),
        audio_input_tokens=detail("input.audio"),
        audio_output_tokens=detail("output.audio"),
    )
    return usage, tier


def usage_of(chunk: Any) -> Mapping[str, Any] | None:
    """The usage that a part of a stream tells by itself."""
    told = getattr(getattr(chunk, "message", None), "usage_metadata", None)
    return told if isinstance(told, Mapping) else None


def _of_reports(reports: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The usage of a stream whose parts count from the beginning; None where they are to be added up.

    No provider tells its input in parts: where several name one, each is the whole.
    """
    if sum(1 for report in reports if report.get("input_tokens")) < 2:
        return None
    whole: Mapping[str, Any] = {}
    for report in reports:
        whole = _larger(whole, report)
    return whole


def _larger(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {**one, **{name: _larger(one.get(name), value) for name, value in other.items()}}
    if type(one) is int and type(other) is int:
        return max(one, other)
    return one if other is None else other


def _beyond(total: Any, *parts: Any) -> int:
    """What a total has above its parts."""
    told = all(type(number) is int for number in (total, *parts))
    return max(0, int(total) - sum(parts)) if told else 0


def _plus(count: Any, more: int) -> Any:
    """The sum; what is no count stays as it is, and is found to be none where it is priced."""
    return count + more if type(count) is int else count


def _generations(response: LLMResult) -> Iterator[Any]:
    for choices in response.generations:
        yield from choices


def _text_tokens(response: LLMResult) -> int:
    """A byte-level tokenizer makes at most one token of a byte."""
    count = 0
    for generation in _generations(response):
        message = getattr(generation, "message", None)
        if message is None:
            size = _bytes(generation.text)
        else:
            parts = ["content", "additional_kwargs"]
            chunked = getattr(message, "tool_call_chunks", None)
            parts += ["tool_call_chunks"] if chunked else ["tool_calls", "invalid_tool_calls"]
            size = sum(_bytes(getattr(message, part, None)) for part in parts)
        count += size + TOKENS_PER_ANSWER if size else 0
    return count


def _bytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Mapping):
        return sum(len(str(key)) + 4 + _bytes(part) for key, part in value.items() if part)
    if isinstance(value, list | tuple):
        return sum(1 + _bytes(part) for part in value)
    return len(repr(value)) if value else 0

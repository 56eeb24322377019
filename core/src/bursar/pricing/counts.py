"""Token counts in the words of each provider, brought to one form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

from ..runtime.fast_init import new_tuple
from ..values.usage import Usage, new_usage
from .members import first, get, members

# The same number by its names: OpenAI's and Anthropic's, Gemini's, those of Bedrock's Converse.
_SENT = ("input_tokens", "prompt_tokens", "promptTokenCount", "prompt_token_count", "inputTokens")
_MADE = (
    "output_tokens", "completion_tokens", "candidatesTokenCount", "candidates_token_count", "outputTokens",
)  # fmt: skip
_TOTAL = ("total_tokens", "totalTokenCount", "total_token_count", "totalTokens")
_READ_BESIDE = ("cache_read_input_tokens", "cacheReadInputTokens")
_WRITTEN_BESIDE = ("cache_creation_input_tokens", "cacheWriteInputTokens")
_THOUGHT_BESIDE = ("thoughtsTokenCount", "thoughts_token_count")
_TOOLS_BESIDE = ("toolUsePromptTokenCount", "tool_use_prompt_token_count")
_READ_WITHIN = (
    "cached_tokens", "prompt_cache_hit_tokens", "cachedContentTokenCount", "cached_content_token_count",
)  # fmt: skip
_SENT_DETAILS = ("input_tokens_details", "prompt_tokens_details", "input_token_details")
_MADE_DETAILS = ("output_tokens_details", "completion_tokens_details", "output_token_details")
_BY_KIND = ("promptTokensDetails", "prompt_tokens_details")  # of Gemini: a list
_OF_CHAT = frozenset(
    {"prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"}
)
_OF_OTHERS = frozenset({"input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details",
                        _READ_BESIDE[0], _WRITTEN_BESIDE[0]})  # fmt: skip
_RARE = frozenset({
    *_SENT, *_MADE, *_TOTAL, *_READ_BESIDE, *_WRITTEN_BESIDE, *_THOUGHT_BESIDE, *_TOOLS_BESIDE, *_READ_WITHIN,
    *_SENT_DETAILS, *_MADE_DETAILS, *_BY_KIND,
}) - _OF_CHAT - _OF_OTHERS - {"total_tokens"}  # fmt: skip
_RARE_PARTS = frozenset({"cache_read", "cache_creation", "audio", "reasoning"})


class Counts(NamedTuple):
    """What a provider counted.

    Attributes:
        usage: its numbers may be nonsense.
        beyond: the part of its output that stands in the total alone.
        unsplit: the part of `cache_write_tokens` of which nobody told for how long it was written.
    """

    usage: Usage
    beyond: int = 0
    unsplit: int = 0


def read_counts(usage: object, runs: Mapping[str, int]) -> Counts | None:
    """Read the part of an answer that counts tokens; None where it has no count, or only zeros.

    Of two names for one number the larger counts. What the total has above its parts is output that
    was not told by itself.

    Args:
        usage: an object or a dict.
        runs: how often hosted tools ran, by name.
    """
    usage = members(usage)
    common = _common(usage, runs) if type(usage) is dict else None
    if common is not None:
        return common
    sent, made = _largest(usage, _SENT), _largest(usage, _MADE)
    read, written = _largest(usage, _READ_BESIDE), _largest(usage, _WRITTEN_BESIDE)
    if not any((sent, made, read, written)):
        return None
    inputs, outputs = members(first(usage, *_SENT_DETAILS)), members(first(usage, *_MADE_DETAILS))
    within = _cached(usage, inputs)
    long: Any = 0
    unsplit = 0
    if get(usage, "prompt_tokens") or (read, written) == (None, None):  # LiteLLM: parts already
        read = within or _known(read)
        written = _either(inputs, "cache_write_tokens", "cache_creation") or _known(written)
        unsplit = written if type(written) is int else 0
    else:
        read, written = _known(read), _known(written)
        sent = _sum(_known(sent), read, written)
        written, long, unsplit = _split(written, get(usage, "cache_creation"))
    thought = _known(_largest(usage, _THOUGHT_BESIDE))
    sent = _sum(_known(sent), _known(_largest(usage, _TOOLS_BESIDE)))
    made = _sum(_known(made), thought)
    reasoning = thought or _either(outputs, "reasoning_tokens", "reasoning")
    beyond = _beyond(_largest(usage, _TOTAL), sent, made)
    searches = count(members(get(usage, "server_tool_use")), "web_search_requests")
    found = new_usage(
        input_tokens=sent,
        output_tokens=_sum(made, beyond),
        cached_input_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=long,
        reasoning_tokens=reasoning,
        audio_input_tokens=_either(inputs, "audio_tokens", "audio") or _heard(usage),
        audio_output_tokens=_either(outputs, "audio_tokens", "audio"),
        requests={**runs, "web_search": searches} if searches else dict(runs),
    )
    return Counts(found, beyond, unsplit)


def _common(usage: dict[str, Any], runs: Mapping[str, int]) -> Counts | None:
    """The same for what OpenAI and Anthropic send, without a search for other names.

    None where another name is in it, a total is no whole number, or there is no count.
    """
    if not _RARE.isdisjoint(usage):
        return None
    read = written = None
    if "prompt_tokens" in usage:
        sent, made = usage["prompt_tokens"], usage.get("completion_tokens")
        inputs, outputs = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
        mixed = not _OF_OTHERS.isdisjoint(usage)
    else:
        sent, made = usage.get("input_tokens"), usage.get("output_tokens")
        inputs, outputs = usage.get("input_tokens_details"), usage.get("output_tokens_details")
        read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
        mixed = not _OF_CHAT.isdisjoint(usage)
    if mixed or type(sent) is not int or type(made) is not int or not (sent or made):
        return None
    long = heard = reasoning = spoken = unsplit = 0
    if read is not None or written is not None:
        read, written = _known(read), _known(written)
        if inputs is not None or type(read) is not int or type(written) is not int:
            return None
        sent += read + written
        written, long, unsplit = _split(written, members(usage.get("cache_creation")))
    elif inputs is not None:
        inputs = members(inputs)
        if type(inputs) is not dict or not _RARE_PARTS.isdisjoint(inputs):
            return None
        read, written = inputs.get("cached_tokens") or 0, inputs.get("cache_write_tokens") or 0
        unsplit = written if type(written) is int else 0
        heard = inputs.get("audio_tokens") or 0
    if outputs is not None:
        outputs = members(outputs)
        if type(outputs) is not dict or not _RARE_PARTS.isdisjoint(outputs):
            return None
        reasoning, spoken = outputs.get("reasoning_tokens") or 0, outputs.get("audio_tokens") or 0
    beyond = _beyond(usage.get("total_tokens"), sent, made)
    searches = usage.get("server_tool_use")
    if searches is not None:
        searches = count(members(searches), "web_search_requests")
    requests = {**runs, "web_search": searches} if searches else dict(runs)
    found = new_usage(sent, made + beyond, read or 0, written or 0, long, reasoning, heard, spoken, requests)
    return new_tuple(Counts, (found, beyond, unsplit))


def larger(one: object, other: object) -> Any:
    """Of two reports of one usage the larger number of each field; the later one where it is no number.

    Providers that report while they answer count from its beginning, so a smaller number is wrong.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {**one, **{name: larger(one.get(name), value) for name, value in other.items()}}
    if _is_number(one) and _is_number(other):
        return max(one, other)
    return one if other is None else other


def _is_number(value: object) -> TypeGuard[int | float]:
    return type(value) in (int, float)


def count(holder: object, name: str) -> Any:
    """A detail; absent is zero, nonsense stays what it is, for `Usage.flaw` to find."""
    return _known(get(holder, name)) if holder is not None else 0


def _known(number: Any) -> Any:
    return 0 if number is None else number


def _either(holder: object, *names: str) -> Any:
    return next((value for name in names if (value := count(holder, name))), 0)


def _largest(holder: object, names: tuple[str, ...]) -> Any:
    """The largest of the numbers by these names; one that is none, if there is one; None without any."""
    found = [value for name in names if (value := get(holder, name)) is not None]
    odd = [value for value in found if type(value) is not int]
    return odd[0] if odd else max(found, default=None)


def _cached(usage: object, inputs: object) -> Any:
    """What was read from a cache, as a part of the input; of several numbers the least, which costs most."""
    told = [_either(inputs, "cached_tokens", "cache_read"), *(count(usage, name) for name in _READ_WITHIN)]
    found = [value for value in told if value]
    odd = [value for value in found if type(value) is not int]
    return odd[0] if odd else min(found, default=0)


def _split(written: Any, split: object) -> tuple[Any, Any, int]:
    """Cache writes for minutes and for an hour, and how many of the first nobody told the lifetime of.

    What the split does not cover was written for an hour where the split shows such writes.
    """
    short, long = count(split, "ephemeral_5m_input_tokens"), count(split, "ephemeral_1h_input_tokens")
    if any(type(number) is not int for number in (written, short, long)):
        return written if type(long) is int else long, long, 0
    rest = written - short - long
    if rest < 0:
        return -1, long, 0  # a part above its whole: nonsense
    return (short, long + rest, 0) if long else (short + rest, 0, rest)


def _beyond(total: Any, sent: Any, made: Any) -> int:
    if type(total) is int and type(sent) is int and type(made) is int:
        return max(0, total - sent - made)
    return 0


def _heard(usage: object) -> Any:
    """Audio in the input, as Gemini lists it."""
    kinds = first(usage, *_BY_KIND)
    for kind in kinds if isinstance(kinds, list) else ():
        modality = get(kind, "modality")
        if str(get(modality, "value") or modality).upper() == "AUDIO":
            return first(kind, "tokenCount", "token_count") or 0
    return 0


def _sum(*counts: Any) -> Any:
    """The sum, or the first count that is none."""
    for number in counts:
        if type(number) is not int:
            return number
    return sum(counts)

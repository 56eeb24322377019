"""Bounds the input tokens of a request before it is sent, by its bytes.

A byte-level tokenizer never makes more tokens than there are UTF-8 bytes, so the
bytes of a request bound its tokens without a tokenizer. That is about four times
too much for English prose; the settle gives the rest back at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidAmount, UnpriceableCall
from ..runtime.fast_init import maker
from ..values.money import Money, shown, to_nanos, to_usd
from ..values.usage import MAX_TOKENS
from .pictures import picture_tokens

_PER_MESSAGE = 8  # role and separators; chat formats use 3 to 5
_PER_REQUEST = 16
_PER_TOOL = 16
_TOOL_PREAMBLE = 640  # what a provider adds once it sees tools; 313 to 530 are published
_PER_CLIENT_TOOL = 1_500  # what it adds for a schema that it keeps itself; 245 to 735 are published

_TEXT_TYPES = frozenset({
    "text", "input_text", "output_text", "refusal", "thinking", "redacted_thinking", "reasoning",
    "summary_text", "tool_use", "tool_result", "tool_call", "function", "function_call",
    "function_call_output", "message", "json_schema", "json_object", "custom", "ephemeral",
    "object", "array", "string", "number", "integer", "boolean", "null",
})  # fmt: skip
_IMAGE_TYPES = frozenset({"image", "image_url", "input_image"})
_OWN_TOOLS = (None, "function", "custom")
_CLIENT_TOOL = re.compile(
    r"(bash|computer|memory|text_editor)_[0-9]{8}"
)  # Anthropic's: defined there, run here


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plugin expects a call to cost; held instead of its worst case.

    Attributes:
        usd: USD; reads back as ``Decimal``.
        tokens: input and output together.

    Raises:
        InvalidAmount: not an amount of USD, or not a whole number of tokens.
    """

    usd: Money
    tokens: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "usd", to_usd(to_nanos(self.usd)))
        if type(self.tokens) is not int or not 0 <= self.tokens <= MAX_TOKENS:
            raise InvalidAmount(f"tokens={shown(self.tokens)} is not a whole number from 0 to {MAX_TOKENS:,}")


@dataclass(frozen=True, slots=True)
class InputBound:
    """The most input that a request can be billed for.

    Attributes:
        tokens: the most that its text can be.
        complete: False when there is more, which only the model's context window bounds.
        cache_writes: True when some of it may be billed as a write to a cache.
        audio: True when some of it may be billed as audio.
        hour_cache: True when some of it is asked to be cached for an hour.
    """

    tokens: int
    complete: bool = True
    cache_writes: bool = True
    audio: bool = False
    hour_cache: bool = False


new_input_bound = maker(InputBound)


@dataclass(slots=True)
class _Count:
    tokens: int = 0
    images: int = 0
    unbounded: bool = False
    cache_control: bool = False
    audio: bool = False
    hour_cache: bool = False


def input_bound(
    names: tuple[str, ...],
    messages: Iterable[Any] | str | None,
    tools: Iterable[Any] | None = None,
) -> InputBound:
    """The bound for a request, from what it will send.

    Args:
        names: the requested model, then the names that it also answers to.
        messages: dicts in the shape of OpenAI or Anthropic, or plain text; None is unknown.
        tools: the tool schemas that go with them.

    Raises:
        UnpriceableCall: a tool runs at the provider, which may add input without end;
            or the messages are nested without end.
    """
    if messages is None:
        return InputBound(0, complete=False)
    count = _Count(tokens=_PER_REQUEST)
    try:
        _add_up(messages, tools, count)
    except RecursionError:
        raise UnpriceableCall("the messages or tools are nested too deeply, or contain themselves") from None
    per_image = picture_tokens(names) if count.images else None
    bounded = not count.unbounded and (not count.images or per_image is not None)
    explicit_caching = any("claude" in name for name in names)  # billed only where the request asks for it
    return new_input_bound(
        tokens=count.tokens + count.images * (per_image or 0),
        complete=bounded,
        cache_writes=count.cache_control or not explicit_caching,
        audio=count.audio,
        hour_cache=count.hour_cache,
    )


def _add_up(messages: Iterable[Any] | str, tools: Iterable[Any] | None, count: _Count) -> None:
    for message in [messages] if isinstance(messages, str | Mapping) else messages:
        count.tokens += _PER_MESSAGE
        _walk(message, count)
    if tools is None:
        return
    for index, given in enumerate([tools] if isinstance(tools, Mapping) else tools or ()):
        tool = _plain(given)
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        if _CLIENT_TOOL.fullmatch(str(kind)):
            count.tokens += _PER_CLIENT_TOOL
        elif kind not in _OWN_TOOLS:
            raise UnpriceableCall(
                f"the tool {kind!r:.80} runs at the provider and adds input that has no bound beforehand;"
                " reserve with an explicit cost= that covers it",
                endpoint=str(kind)[:200],
            )
        count.tokens += _PER_TOOL + (0 if index else _TOOL_PREAMBLE)
        _json(tool, count)


def _walk(value: object, count: _Count) -> None:
    """Add up a message: its text by bytes, its pictures by number."""
    if isinstance(value, str):
        count.tokens += _bytes(value)
        return
    if not isinstance(value, dict):
        value = _plain(value)
    if isinstance(value, dict | Mapping):  # a dict is seen at once, where an abstract class takes its time
        kind = value.get("type")
        if "cache_control" in value:
            _cache(value["cache_control"], count)
        if kind is not None and isinstance(kind, str):
            if kind in _IMAGE_TYPES:
                count.images += 1
                return
            if kind not in _TEXT_TYPES:
                count.unbounded = True  # a file, a document, a kind of part that is not known here
                count.audio = count.audio or "audio" in kind
                return
        for key, part in value.items():
            if type(key) is str and type(part) is str and key.isascii() and part.isascii():
                count.tokens += len(key) + len(part) + 1  # as most are
                continue
            count.tokens += _bytes(str(key)) + 1
            if isinstance(part, str):
                count.tokens += _bytes(part)
                continue
            if key == "audio" and isinstance(part, Mapping):  # what an earlier answer said, by its id
                count.unbounded = count.audio = True
            if key == "input" and kind == "tool_use":
                _json(part, count)  # the arguments of a tool: a "type" in there is the tool's own
            else:
                _walk(part, count)
    elif isinstance(value, Iterable):
        for part in value:
            count.tokens += 1
            _walk(part, count)
    elif value is not None:
        count.tokens += len(repr(value))


def _cache(control: object, count: _Count) -> None:
    """Note that input is to be cached, and whether for an hour."""
    count.cache_control = True
    if isinstance(control, Mapping) and control.get("ttl") == "1h":
        count.hour_cache = True


def _json(value: object, count: _Count) -> None:
    """Add up a tool schema or the arguments of a tool, where ``type`` is a word like any other."""
    value = _plain(value)
    if isinstance(value, Mapping):
        for key, part in value.items():
            count.tokens += _bytes(str(key)) + 4
            if key == "cache_control":
                _cache(part, count)
            _json(part, count)
    elif isinstance(value, list | tuple):
        for part in value:
            count.tokens += 2
            _json(part, count)
    else:
        _walk(value, count)


def _plain(value: object) -> object:
    """A model of Pydantic as the dict that will be sent; anything else as it is."""
    dump = getattr(value, "model_dump", None)
    return value if dump is None else dump(exclude_none=True)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))

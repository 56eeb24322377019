"""What a call used, as the provider counted it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..runtime.fast_init import maker

MAX_TOKENS = 10**10  # no call comes near; a larger count is nonsense, not usage

_NO_COUNT = "a count is not a whole number of tokens"
_NO_PARTS: tuple[object, ...] = (0, 0, 0, 0, 0, 0, {})


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one call. The details are **parts of** input or output, never added to them.

    The numbers come from outside and may be nonsense; `flaw` tells, the
    constructor never raises for them.

    Attributes:
        input_tokens: all input, cached included.
        output_tokens: all output, reasoning included.
        cached_input_tokens: read from a cache; part of the input.
        cache_write_tokens: written to a cache for 5 minutes; part of the input.
        cache_write_1h_tokens: written to a cache for 1 hour; part of the input.
        reasoning_tokens: hidden reasoning; part of the output, at the output price.
        audio_input_tokens: part of the input.
        audio_output_tokens: part of the output.
        requests: hosted tools that ran, by name (``{"web_search": 2}``).
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    requests: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def plain(self) -> bool:
        """True for input and output alone, as most usages are."""
        return not (
            self.cached_input_tokens
            or self.requests
            or self.reasoning_tokens
            or self.cache_write_tokens
            or self.cache_write_1h_tokens
            or self.audio_input_tokens
            or self.audio_output_tokens
        )

    def tally(self) -> dict[str, int]:
        """The token classes that are not zero, by the names that a report shows."""
        if self.plain:
            return {"input": self.input_tokens, "output": self.output_tokens}
        tally = {
            "input": self.input_tokens,
            "output": self.output_tokens,
            "cached_input": self.cached_input_tokens,
            "cache_write": self.cache_write_tokens + self.cache_write_1h_tokens,
            "reasoning": self.reasoning_tokens,
            "audio_input": self.audio_input_tokens,
            "audio_output": self.audio_output_tokens,
        }
        return {name: count for name, count in tally.items() if count}

    @property
    def flaw(self) -> str | None:
        """What makes these numbers unusable, or None: not counts, or parts above their whole."""
        parts = (
            self.cached_input_tokens,
            self.cache_write_tokens,
            self.cache_write_1h_tokens,
            self.reasoning_tokens,
            self.audio_input_tokens,
            self.audio_output_tokens,
            self.requests,
        )
        sent, made = self.input_tokens, self.output_tokens
        if parts == _NO_PARTS and type(sent) is int and type(made) is int:  # as most are
            return None if 0 <= sent <= MAX_TOKENS and 0 <= made <= MAX_TOKENS else _NO_COUNT
        cached, short, long, reasoning, heard, spoken, _ = parts
        if not isinstance(self.requests, Mapping):
            return "requests are not counted by name"
        if not all(map(_is_count, (sent, made, *parts[:-1], *self.requests.values()))):
            return _NO_COUNT
        if cached + short + long > sent or heard > sent:
            return "the parts of the input exceed the input"
        if reasoning > made or spoken > made:
            return "a part of the output exceeds the output"
        return None


def _is_count(count: object) -> bool:
    return type(count) is int and 0 <= count <= MAX_TOKENS


new_usage = maker(Usage)

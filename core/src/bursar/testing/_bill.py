"""List prices of the provider, and exact arithmetic of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

_KINDS = ("input", "output", "cached_input", "cache_write", "cache_write_1h", "audio_input", "audio_output")


@dataclass(frozen=True)
class Rate:
    """A price list entry: USD per million tokens, as text or a number; exact inside.

    Attributes:
        input: input that is not cached.
        output: output, reasoning included.
        cached_input: input read from a cache; the price of `input` where None.
        cache_write: input written to a cache for 5 minutes; likewise.
        cache_write_1h: input written to a cache for an hour; likewise.
        audio_input: sound that comes in; likewise.
        audio_output: sound that goes out; the price of `output` where None.
        runs: USD for one run of a tool of the provider's, by name.
        context_window: the most tokens of input and output together; None: as in the built-in price
            list, and without end for a model that is not on it.
        max_output_tokens: the most that it writes; likewise.

    Raises:
        ValueError: a price is no number, or below zero; a number of tokens is below one.
    """

    input: str | float
    output: str | float
    cached_input: str | float | None = None
    cache_write: str | float | None = None
    cache_write_1h: str | float | None = None
    audio_input: str | float | None = None
    audio_output: str | float | None = None
    runs: Mapping[str, str | float] = field(default_factory=dict, hash=False)
    context_window: int | None = None
    max_output_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("context_window", "max_output_tokens"):
            if (getattr(self, name) or 1) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}, below one")
        for kind in _KINDS:
            if self.usd(kind) < 0:
                raise ValueError(f"{kind} is {getattr(self, kind)!r}, below zero")

    def usd(self, kind: str) -> Fraction:
        """The price of one token of a class, in USD."""
        price = getattr(self, kind)
        if price is None:
            price = self.output if kind == "audio_output" else self.input
        return Fraction(str(price)) / 10**6


@dataclass(frozen=True)
class Tokens:
    """What a call used. The details are parts of `input` and `output`.

    Attributes:
        input: all input.
        output: all output, of all choices.
        cached_input: read from a cache.
        cache_write: written to a cache for 5 minutes.
        cache_write_1h: written to a cache for an hour.
        reasoning: hidden reasoning.
        audio_input: sound that came in.
        audio_output: sound that went out.
        runs: how often tools of the provider's ran, by name.
    """

    input: int
    output: int
    cached_input: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    runs: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def fresh_input(self) -> int:
        """Input that has nothing to do with a cache."""
        return self.input - self.cached_input - self.cache_write - self.cache_write_1h


def cost_nanos(rate: Rate, tokens: Tokens) -> int:
    """What a call costs in nano-dollars, rounded up once."""
    usd = (
        (tokens.fresh_input - tokens.audio_input) * rate.usd("input")
        + tokens.cached_input * rate.usd("cached_input")
        + tokens.cache_write * rate.usd("cache_write")
        + tokens.cache_write_1h * rate.usd("cache_write_1h")
        + tokens.audio_input * rate.usd("audio_input")
        + (tokens.output - tokens.audio_output) * rate.usd("output")
        + tokens.audio_output * rate.usd("audio_output")
        + sum(runs * Fraction(str(rate.runs.get(tool, 0))) for tool, runs in tokens.runs.items())
    )
    return math.ceil(usd * 10**9)


def rate_of(model: str, rates: Mapping[str, Rate], snapshots: Mapping[str, str]) -> Rate | None:
    """The price list entry of a model; a dated snapshot costs what its base costs."""
    bases = [base for base, dated in snapshots.items() if dated == model]
    names = (model, *bases, _DATE.sub("", model))
    return next((rates[name] for name in names if name in rates), None)


_DATE = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")

# Standard rates, context windows and output maxima, typed by hand in November 2026 from the pages of
# the vendors: platform.openai.com/docs/pricing and /docs/models, azure.microsoft.com for gpt-35-turbo,
# platform.claude.com/docs/en/about-claude/pricing and /models; 4,097 is what the API itself says of
# gpt-3.5-turbo-instruct. Cached input, writes to a cache for 5 minutes and for an hour follow the output.
_WEB = {"web_search": "0.01", "file_search": "0.0025"}
LIST_PRICES = {
    "gpt-5.2": Rate("1.75", "14", "0.175", context_window=400_000, max_output_tokens=128_000),
    "gpt-5.1": Rate("1.25", "10", "0.125", context_window=400_000, max_output_tokens=128_000),
    "gpt-5": Rate("1.25", "10", "0.125", context_window=400_000, max_output_tokens=128_000),
    "gpt-5-mini": Rate("0.25", "2", "0.025", context_window=400_000, max_output_tokens=128_000),
    "gpt-5-nano": Rate("0.05", "0.40", "0.005", context_window=400_000, max_output_tokens=128_000),
    "o1": Rate("15", "60", "7.50", context_window=200_000, max_output_tokens=100_000),
    "o1-mini": Rate("1.10", "4.40", "0.55", context_window=128_000, max_output_tokens=65_536),
    "o3": Rate("2", "8", "0.50", context_window=200_000, max_output_tokens=100_000),
    "o3-mini": Rate("1.10", "4.40", "0.55", context_window=200_000, max_output_tokens=100_000),
    "o3-pro": Rate("20", "80", context_window=200_000, max_output_tokens=100_000),
    "o4-mini": Rate("1.10", "4.40", "0.275", context_window=200_000, max_output_tokens=100_000),
    "gpt-4.1": Rate("2", "8", "0.50", context_window=1_047_576, max_output_tokens=32_768),
    "gpt-4.1-mini": Rate("0.40", "1.60", "0.10", context_window=1_047_576, max_output_tokens=32_768),
    "gpt-4.1-nano": Rate("0.10", "0.40", "0.025", context_window=1_047_576, max_output_tokens=32_768),
    "gpt-4o": Rate("2.50", "10", "1.25", runs=_WEB, context_window=128_000, max_output_tokens=16_384),
    "gpt-4o-mini": Rate("0.15", "0.60", "0.075", context_window=128_000, max_output_tokens=16_384),
    "gpt-4-turbo": Rate("10", "30", context_window=128_000, max_output_tokens=4_096),
    "gpt-4": Rate("30", "60", context_window=8_192, max_output_tokens=8_192),
    "gpt-3.5-turbo": Rate("0.50", "1.50", context_window=16_385, max_output_tokens=4_096),
    "gpt-35-turbo": Rate("0.50", "1.50", context_window=16_385, max_output_tokens=4_096),
    "gpt-3.5-turbo-instruct": Rate("1.50", "2", context_window=4_097, max_output_tokens=4_096),
    "claude-opus-4-6": Rate(
        "5", "25", "0.50", "6.25", "10", context_window=1_000_000, max_output_tokens=128_000
    ),
    "claude-opus-4-5": Rate(
        "5", "25", "0.50", "6.25", "10", context_window=200_000, max_output_tokens=64_000
    ),
    "claude-opus-4-1": Rate(
        "15", "75", "1.50", "18.75", "30", context_window=200_000, max_output_tokens=32_000
    ),
    "claude-opus-4": Rate(
        "15", "75", "1.50", "18.75", "30", context_window=200_000, max_output_tokens=32_000
    ),
    "claude-sonnet-4-6": Rate(
        "3", "15", "0.30", "3.75", "6", context_window=1_000_000, max_output_tokens=128_000
    ),
    "claude-sonnet-4-5": Rate(
        "3", "15", "0.30", "3.75", "6", context_window=200_000, max_output_tokens=64_000
    ),
    "claude-sonnet-4": Rate("3", "15", "0.30", "3.75", "6", context_window=200_000, max_output_tokens=64_000),
    "claude-haiku-4-5": Rate("1", "5", "0.10", "1.25", "2", context_window=200_000, max_output_tokens=64_000),
    "claude-3-7-sonnet": Rate(
        "3", "15", "0.30", "3.75", "6", context_window=200_000, max_output_tokens=64_000
    ),
    "claude-3-5-sonnet": Rate(
        "3", "15", "0.30", "3.75", "6", context_window=200_000, max_output_tokens=8_192
    ),
    "claude-3-5-haiku": Rate(
        "0.80", "4", "0.08", "1", "1.60", context_window=200_000, max_output_tokens=8_192
    ),
    "claude-3-opus": Rate("15", "75", "1.50", "18.75", "30", context_window=200_000, max_output_tokens=4_096),
    "claude-3-sonnet": Rate("3", "15", context_window=200_000, max_output_tokens=4_096),
    "claude-3-haiku": Rate(
        "0.25", "1.25", "0.03", "0.30", "0.50", context_window=200_000, max_output_tokens=4_096
    ),
    "text-embedding-3-small": Rate("0.02", "0"),
    "gpt-image-1": Rate("10", "40"),
    "tts-1": Rate("15", "0"),
    "gpt-4o-transcribe": Rate("2.50", "10"),
}

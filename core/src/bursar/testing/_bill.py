"""What a provider charges: its own rates, its own exact arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Rate:
    """A price list entry: USD per million tokens, as text or a number; exact inside.

    Attributes:
        input: input that is not cached.
        output: output, reasoning included.
        cached_input: input read from a cache; the price of `input` where None.
        cache_write: input written to a cache for 5 minutes; likewise.
        cache_write_1h: input written to a cache for an hour; likewise.
    """

    input: str | float
    output: str | float
    cached_input: str | float | None = None
    cache_write: str | float | None = None
    cache_write_1h: str | float | None = None

    def usd(self, kind: str) -> Fraction:
        """The price of one token of a class."""
        price = getattr(self, kind)
        return Fraction(str(self.input if price is None else price)) / 10**6


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
    """

    input: int
    output: int
    cached_input: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0

    @property
    def fresh_input(self) -> int:
        """Input that has nothing to do with a cache."""
        return self.input - self.cached_input - self.cache_write - self.cache_write_1h


def cost_nanos(rate: Rate, tokens: Tokens) -> int:
    """What a call costs in nano-dollars, rounded up once."""
    usd = (
        tokens.fresh_input * rate.usd("input")
        + tokens.cached_input * rate.usd("cached_input")
        + tokens.cache_write * rate.usd("cache_write")
        + tokens.cache_write_1h * rate.usd("cache_write_1h")
        + tokens.output * rate.usd("output")
    )
    return math.ceil(usd * 10**9)


# List prices of the vendors, typed by hand in November 2026.
LIST_PRICES = {
    "gpt-4o": Rate("2.50", "10", "1.25"),
    "gpt-4o-mini": Rate("0.15", "0.60", "0.075"),
    "gpt-4.1": Rate("2", "8", "0.50"),
    "gpt-5": Rate("1.25", "10", "0.125"),
    "o3": Rate("2", "8", "0.50"),
    "claude-sonnet-4-5": Rate("3", "15", "0.30", "3.75", "6"),
    "claude-haiku-4-5": Rate("1", "5", "0.10", "1.25", "2"),
    "text-embedding-3-small": Rate("0.02", "0"),
}

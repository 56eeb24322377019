"""`Amounts`: USD, tokens and calls of one charge or hold."""

from __future__ import annotations

from typing import NamedTuple


class Amounts(NamedTuple):
    """Three dimensions that are always moved together.

    Attributes:
        usd: nano-dollars.
        tokens: input and output tokens together.
        calls: calls to a model, or runs of a tool.
    """

    usd: int = 0
    tokens: int = 0
    calls: int = 0

    def plus(self, other: Amounts) -> Amounts:
        """The sum, dimension by dimension."""
        return Amounts(self.usd + other.usd, self.tokens + other.tokens, self.calls + other.calls)

    def minus(self, other: Amounts) -> Amounts:
        """The difference, dimension by dimension."""
        return Amounts(self.usd - other.usd, self.tokens - other.tokens, self.calls - other.calls)


NOTHING = Amounts()

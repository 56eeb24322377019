"""`Served`: what the provider keeps of each request that it worked on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._bill import Tokens
from ._script import Drop
from ._shapes import Answer


@dataclass(frozen=True)
class Served:
    """A request that the provider worked on.

    Attributes:
        path: of the URL.
        model: as it was asked for.
        stream: whether the answer was a stream.
        status: of HTTP.
        tokens: the counts that are billed; zero for an error that is not.
        cost_nanos: what it costs, in nano-dollars.
        body: the request.
        billed: whether it is on the bill; a free model's answer is, at $0.
        at: when it was put there, in seconds since the epoch.
        dropped: how the connection was lost, if the script says so.
    """

    path: str
    model: str
    stream: bool
    status: int
    tokens: Tokens
    cost_nanos: int
    body: Mapping[str, Any]
    billed: bool
    at: float
    dropped: Drop | None

    @property
    def input_tokens(self) -> int:
        """All input."""
        return self.tokens.input

    @property
    def output_tokens(self) -> int:
        """All output, of all choices."""
        return self.tokens.output

    @property
    def cached_input_tokens(self) -> int:
        """Input read from a cache."""
        return self.tokens.cached_input

    @property
    def cache_write_tokens(self) -> int:
        """Input written to a cache for 5 minutes."""
        return self.tokens.cache_write

    @property
    def cache_write_1h_tokens(self) -> int:
        """Input written to a cache for an hour."""
        return self.tokens.cache_write_1h

    @property
    def reasoning_tokens(self) -> int:
        """Hidden part of the output."""
        return self.tokens.reasoning


@dataclass
class Made:
    """An answer that can be asked for later.

    Attributes:
        answer: the answer.
        polls: how often it is still asked for in vain.
        cancelled: whether somebody stopped it.
    """

    answer: Answer
    polls: int
    cancelled: bool = False

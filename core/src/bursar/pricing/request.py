"""`CallRequest`: the checked arguments of a reserve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..values.money import Money, shown, to_nanos
from ..values.names import check_name
from ..values.usage import MAX_TOKENS
from .book import check_tier


@dataclass(slots=True, kw_only=True)  # not frozen: that would triple the time it takes to make one
class CallRequest:
    """The arguments of `Session.reserve`, checked.

    Attributes:
        floor: the output cap that is worth waiting for, in tokens; 0: the budget's own.
        formatted: True when the answer is to have a format, which a lower output cap may cut off.
        cap_name: what the request calls its output cap; empty where it takes none.
        alternatives: how often the provider's tools may run, the most wanted first: each with the arguments
            that go with it (`windows`, `n`, `requests`) beside its number of ``runs``.
        sent: True for a request that is sent as it is: a tier that the budget declares is no cheaper then.

    Raises:
        TypeError: there is nothing to pay for, or an iterator where it would be used up.
        ValueError: a name or a count is not one.
    """

    model: str | None = None
    provider: str | None = None
    input_tokens: int | None = None
    messages: Iterable[Any] | str | None = None
    tools: Iterable[Any] | None = None
    max_output_tokens: int | None = None
    n: int = 1
    tool: str | None = None
    cost: Money | None = None
    tier: str | None = None
    key: str | None = None
    clamp: bool | int = True
    floor: int = 0
    formatted: bool = False
    cap_name: str = "max_tokens"
    sent: bool = False
    alternatives: Sequence[Mapping[str, Any]] = ()
    windows: int = 1
    stored_tokens: int = 0
    requests: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.model is not None:
            check_name("model", self.model)
        elif self.tool is None and self.cost is None:
            raise TypeError("reserve() needs a model, a tool= or a cost=")
        if self.provider is not None:
            check_name("provider", self.provider)
        if self.tool is not None:
            check_name("tool", self.tool)
        if self.key is not None:
            check_name("key", self.key)
        if self.input_tokens is not None:
            _check_count("input_tokens", self.input_tokens, 0)
        if self.max_output_tokens is not None:
            _check_count("max_output_tokens", self.max_output_tokens, 0)
        if type(self.n) is not int or self.n != 1:
            _check_count("n", self.n, 1)
        if self.tier is not None:
            check_tier(self.tier)
        if self.messages is not None:
            _check_items("messages", self.messages)
        if self.tools is not None:
            _check_items("tools", self.tools)
        if self.floor != 0:
            _check_count("floor", self.floor, 0)
        if self.windows != 1:
            _check_count("windows", self.windows, 1)
        if self.stored_tokens != 0:
            _check_count("stored_tokens", self.stored_tokens, 0)
        if self.requests:
            for tool, runs in self.requests.items():
                check_name("tool", tool)
                _check_count(f"requests[{tool!r}]", runs, 0)

    @property
    def cost_nanos(self) -> int | None:
        """The explicit cost in nano-dollars.

        Raises:
            InvalidAmount: it is not an amount.
        """
        return None if self.cost is None else to_nanos(self.cost)


def _check_count(setting: str, count: object, least: int) -> None:
    if type(count) is not int or not least <= count <= MAX_TOKENS:
        raise ValueError(f"{setting}={shown(count)} is not a whole number from {least} to {MAX_TOKENS:,}")


def _check_items(setting: str, items: object) -> None:
    if type(items) is not list and isinstance(items, Iterator):
        raise TypeError(f"{setting}= takes a list: an iterator would be used up before the call is sent")

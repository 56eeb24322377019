"""What a caller wants to spend money on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .money import Money, shown, to_nanos
from .names import check_name
from .pricing import check_tier
from .usage import MAX_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The arguments of `Session.reserve`, checked.

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
    clamp: bool = True
    windows: int = 1
    requests: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in ("model", "provider", "tool", "key"):
            name = getattr(self, kind)
            if name is not None:
                check_name(kind, name)
        for setting, least in (("input_tokens", 0), ("max_output_tokens", 0), ("n", 1), ("windows", 1)):
            count = getattr(self, setting)
            if count is not None and (type(count) is not int or not least <= count <= MAX_TOKENS):
                raise ValueError(
                    f"{setting}={shown(count)} is not a whole number from {least} to {MAX_TOKENS:,}"
                )
        check_tier(self.tier)
        for setting in ("messages", "tools"):
            if isinstance(getattr(self, setting), Iterator):
                raise TypeError(
                    f"{setting}= takes a list: an iterator would be used up before the call is sent"
                )
        if self.n is None or self.windows is None:
            raise ValueError("n= and windows= are numbers, not None")
        for tool, runs in self.requests.items():
            check_name("tool", tool)
            if type(runs) is not int or not 0 <= runs <= MAX_TOKENS:
                raise ValueError(f"requests[{tool!r}]={shown(runs)} is not a number of runs")
        if self.model is None and self.tool is None and self.cost is None:
            raise TypeError("reserve() needs a model, a tool= or a cost=")

    @property
    def cost_nanos(self) -> int | None:
        """The explicit cost in nano-dollars.

        Raises:
            InvalidAmount: it is not an amount.
        """
        return None if self.cost is None else to_nanos(self.cost)

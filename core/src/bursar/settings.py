"""The settings of a budget: one validated, frozen value that is handed down."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias, get_args

from .clock import Clock, SystemClock
from .duration import Duration, to_seconds
from .endpoints import check_allow
from .errors import InvalidAmount
from .ledger import Ledger
from .limits import Limit, LimitLike, as_limit
from .money import Money, shown, to_nanos
from .names import check_name
from .policy import Policy, UnknownOutcome
from .price import Price
from .pricing import PriceBook, check_tier
from .store.base import Store
from .store.memory import MemoryStore

Prices: TypeAlias = "Mapping[str, Price | tuple[Money, Money]] | str | os.PathLike[str]"
UnknownModelPolicy: TypeAlias = "str | Price | tuple[Money, Money]"

_SMALLEST_CAP = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `Budget` was told, checked. See `Budget` for the meaning of each field.

    Raises:
        ValueError: a setting has a value that it cannot have; the message names it.
    """

    limits: tuple[Limit, ...] = ()
    name: str = "default"
    store: Store | None = None
    tier: str | None = None
    prices: Prices | None = None
    aliases: Mapping[str, str] | None = None
    tool_prices: Mapping[str, Money] | None = None
    allow: Collection[str] = ()
    unknown_model: UnknownModelPolicy = "refuse"
    unknown_outcome: UnknownOutcome = "worst"
    clamp: bool | int = True
    lease: Duration = "15min"
    clock: Clock | None = None

    def __post_init__(self) -> None:
        check_name("name", self.name)
        check_tier(self.tier)
        check_allow(self.allow)
        to_seconds(self.lease, "lease")
        if self.unknown_outcome not in get_args(UnknownOutcome):
            words = ", ".join(map(repr, get_args(UnknownOutcome)))
            raise ValueError(f"unknown_outcome={self.unknown_outcome!r:.60} is not one of {words}")
        clamp: object = self.clamp
        if not isinstance(clamp, int) or clamp < 0:
            raise ValueError(
                f"clamp={shown(clamp)} is not True, False or the smallest useful number of tokens"
            )
        if self.store is not None and (isinstance(self.store, type) or not isinstance(self.store, Store)):
            raise ValueError(
                "store= takes None, for a store in memory, or an object with the verbs of a Store"
            )
        if self.clock is not None and (isinstance(self.clock, type) or not isinstance(self.clock, Clock)):
            raise ValueError("clock= takes an object with a method now(), like bursar.testing.ManualClock")
        if self.store is not None and self.clock is not None:
            raise ValueError("clock= belongs to a store of the budget's own; give it to the store itself")
        if not isinstance(self.tool_prices, Mapping | None):
            raise ValueError("tool_prices= takes a mapping, like {'web_search': '$0.01'}")
        for tool, price in (self.tool_prices or {}).items():
            check_name("tool", tool)
            try:
                to_nanos(price)
            except InvalidAmount as error:
                raise InvalidAmount(f"tool_prices[{tool!r}]: {error}") from None

    def ledger(self) -> Ledger:
        """The mechanism that these settings describe."""
        smallest = _SMALLEST_CAP if self.clamp is True else int(self.clamp) or None
        return Ledger(
            self.store if self.store is not None else MemoryStore(self.clock),
            PriceBook(self.prices, self.aliases, self.unknown_model),
            Policy(
                lease_ms=max(1, int(to_seconds(self.lease, "lease") * 1000)),
                unknown_outcome=self.unknown_outcome,
                smallest_cap=smallest,
                tier=self.tier,
                tool_prices={tool: to_nanos(price) for tool, price in (self.tool_prices or {}).items()},
                allow=check_allow(self.allow),
            ),
            self.clock or SystemClock(),
        )


def parse_limits(limits: tuple[LimitLike, ...]) -> tuple[Limit, ...]:
    """Limits from what users write; of two over the same thing the smaller one counts."""
    smallest: dict[tuple[str, ...], Limit] = {}
    for limit in map(as_limit, limits):
        known = smallest.get(limit.key)
        if known is None or limit.amount < known.amount:
            smallest[limit.key] = limit
    return tuple(smallest.values())

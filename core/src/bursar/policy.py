"""What a budget has decided about its calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

UnknownOutcome = Literal["worst", "observed", "release"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The decisions that the ledger acts on.

    Attributes:
        lease_ms: how long a hold lives without a settle.
        unknown_outcome: what a call costs whose cost cannot be known.
        smallest_cap: the smallest useful output cap to clamp to; None never clamps.
        tier: the service tier that every call is priced at; None asks the call.
        tool_prices: nano-dollars a run, by tool.
        allow: the endpoints that pass although nothing bounds what they cost.
    """

    lease_ms: int
    unknown_outcome: UnknownOutcome
    smallest_cap: int | None
    tier: str | None
    tool_prices: Mapping[str, int]
    allow: frozenset[str] = frozenset()

"""`Facts`: what a store says about itself, and the protocol of stores that do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Facts:
    """One store, as it was when it was asked. A store that has no word for something leaves it empty.

    Attributes:
        kind: ``"memory"``, ``"sqlite"``, ``"redis"``, or what a plugin calls it.
        durability: what survives; the weakest class where the store does not say.
        version: of the server or the library that keeps the balances.
        eviction: what a server does when its memory is full; anything but ``"noeviction"``
            loses balances.
        skew_ms: how far the store's clock is ahead of this host's, in milliseconds; None where
            they are the same clock, or where it does not say.
        ledger: the id of the ledger, which ``?ledger=`` pins; empty before the first booking.
        layout: the number of the layout of that ledger; 0 where there is none.
        bytes: that the store takes up, with all that it keeps; None where it does not say.
        unknown: the names of those of the above that could not be found out.
        warnings: what should be changed, in words.
    """

    kind: str
    durability: str
    version: str = ""
    eviction: str = ""
    skew_ms: int | None = None
    ledger: str = ""
    layout: int = 0
    bytes: int | None = None
    unknown: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@runtime_checkable
class HasFacts(Protocol):
    """A store that says something about itself; a store need not."""

    def facts(self, root: str = "") -> Facts:
        """What survives, and what an operator should change.

        Args:
            root: the key of a tree, for the id of its ledger; empty for the store alone.

        Raises:
            StoreUnavailable: it cannot be reached.
        """
        ...

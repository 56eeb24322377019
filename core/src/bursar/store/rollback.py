"""Detects lost data: what this process has seen of a ledger, against what the store knows."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import LedgerRolledBack


class Seen(NamedTuple):
    """The ledger of a tree, as it was when it was last heard of.

    Attributes:
        id: of the ledger; empty before it was heard of.
        seq: the number of its newest step.
        ack: the newest loss of data that somebody has accepted.
        nonce: of the request that made that step, where a store tells it: after a loss, another step
            may get the same number.
    """

    id: str = ""
    seq: int = 0
    ack: int = 0
    nonce: str = ""

    def after(self, other: Seen) -> Seen:
        """What is known after one more answer; answers to several threads may come in any order."""
        return other if not self.id or (other.ack, other.seq) > (self.ack, self.seq) else self


def lost(what: str) -> LedgerRolledBack:
    """The error that says which data a store has lost."""
    return LedgerRolledBack(
        f"the store has lost data: {what}. Nothing is admitted until somebody accepts that"
        " with acknowledge_rollback(reason); look at the provider's bill first"
    )

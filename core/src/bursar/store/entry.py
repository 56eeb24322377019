"""What the verbs of a store are given: a line of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from ..values.account import Account
from ..values.amounts import Amounts
from ..values.call import Subject
from ..values.policy import Terms
from ..values.window import Calendar

Path = tuple[Account, ...]
Ask = Literal["first", "again", "last"]

UNITS = ("usd", "tokens", "calls")  # of `Amounts`, in order
PLAIN = Terms()
NO_TALLY: Mapping[str, int] = MappingProxyType({})


class Entry(NamedTuple):
    """One line of the ledger: what is moved, and through which accounts.

    Attributes:
        id: made by the client before the call is sent; a repeated verb with the same id
            is applied once.
        path: the accounts from the root to the leaf.
        subject: what the selectors of limits look at.
        amounts: the worst case (`Store.reserve`), or what is booked (the others).
        tally: named counters that are added up in each account beside the amounts
            (token classes, estimates, savings), and taken back when a booking is corrected.
        periods: the calendar of now by time zone, as the client computes it.
        fingerprint: what tells a repeated call; None where its input is not known.
    """

    id: str
    path: Path
    subject: Subject
    amounts: Amounts
    tally: Mapping[str, int] = NO_TALLY
    periods: Mapping[str, Calendar] = MappingProxyType({})
    fingerprint: str | None = None

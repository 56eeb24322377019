"""What must be true of a ledger, however many were killed in it. Each check has a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bursar.store import AccountView, Store, is_session, parent_key

from .board import Fate
from .provider import Bill, Bills
from .rounds import TENANTS, Round

OVERSPENT = "the true bill is above the limit"
OVERBOOKED = "spent + reserved is above the limit"
AUDIT = "the audit has findings"
CONSERVATION = "an account is not the sum of those below it"
UNDERBOOKED = "the ledger has less than the bill"
LEAKED = "a hold is open after its lease"
INEXACT = "a session spent what its calls cannot have cost"
OVERRUN = "a charge is above its hold"
ROLLED_BACK = "the store lost data"


class Violation(NamedTuple):
    """A check that failed."""

    check: str
    round: int
    detail: str

    def __str__(self) -> str:
        return f"{self.check}: round {self.round}, {self.detail}"


def sample(store: Store, round: Round) -> list[Violation]:
    """At any moment: no more is spent and reserved than the limits say."""
    views = _views(store, round)
    return [
        Violation(OVERBOOKED, round.number, f"{key}: {view.spent.usd} + {view.reserved.usd} > {limit}")
        for key, limit in _limits(views, round)
        for view in (views[key],)
        if view.spent.usd + view.reserved.usd > limit
    ]


def at_end(store: Store, round: Round, bill: Bill) -> list[Violation]:
    """When the money is gone: the bill is within the limit, and the books are in order."""
    found = sample(store, round) + overspent(round, bill.read_on())
    views = _views(store, round)
    found += [Violation(AUDIT, round.number, str(finding)) for finding in store.audit(round.name)]
    for key, view in views.items():
        below = [other for name, other in views.items() if name != key and parent_key(name) == key]
        if below and any(
            getattr(view, what).usd != sum(getattr(other, what).usd for other in below)
            for what in ("spent", "reserved")
        ):
            found.append(Violation(CONSERVATION, round.number, key))
        if view.tally.get("overruns"):
            found.append(Violation(OVERRUN, round.number, f"{key}: {view.tally['overrun_usd']}"))
    return found


def after_lease(
    store: Store, round: Round, bill: Bill, fates: Mapping[str, Fate]
) -> tuple[int, list[Violation]]:
    """When every lease is over: what the ledger has, and what is wrong with it.

    Args:
        fates: how each session ended, by its name.
    """
    found = at_end(store, round, bill)
    views = _views(store, round)
    root = views.get(round.name)
    if root is None:
        return 0, found
    if root.reserved.usd:
        found.append(Violation(LEAKED, round.number, f"{root.reserved.usd} nano-dollars"))
    if root.spent.usd < bill.of(round.number):
        detail = f"{root.spent.usd} < {bill.of(round.number)}"
        found.append(Violation(UNDERBOOKED, round.number, detail))
    for key, view in views.items():
        if is_session(key):
            fate = fates.get(key.rpartition("/")[2].removeprefix("@"))
            if fate is None or not fate.may_have_spent(view.spent.usd):
                found.append(Violation(INEXACT, round.number, f"{key}: {view.spent.usd}, {fate}"))
    return root.spent.usd, found


def overspent(round: Round, bill: Bill | Bills) -> list[Violation]:
    """The bill, which no ledger has a part in, against the limits."""
    sums = [("all", bill.of(round.number), round.limit)]
    if round.share:
        sums += [(f"tenant {n}", bill.of(round.number, n), round.share) for n in range(TENANTS)]
    return [
        Violation(OVERSPENT, round.number, f"{who}: {spent} > {limit}")
        for who, spent, limit in sums
        if spent > limit
    ]


def _views(store: Store, round: Round) -> Mapping[str, AccountView]:
    """The budgets of a round, and all their sessions, page by page; read when nobody spends."""
    views = dict(store.read(round.name).accounts)
    for key in tuple(views):
        page = store.sessions(key)
        views |= page.accounts
        while page.after:
            page = store.sessions(key, page.after)
            views |= page.accounts
    return views


def _limits(views: Mapping[str, AccountView], round: Round) -> list[tuple[str, int]]:
    return [(key, round.limit if key == round.name else round.share) for key in views if not is_session(key)]

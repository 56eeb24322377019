"""Balances of the accounts of a path, also of accounts that the store has not met yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from ..runtime.sharing import in_turns
from ..store.entry import Path
from ..store.views import EMPTY_VIEW, AccountView, LimitView, Snapshot
from ..values.account import is_session, parent_key
from ..values.amounts import Amounts
from ..values.limits import Limit
from ..values.money import to_usd

Below: TypeAlias = "Mapping[str, list[AccountView]]"  # by the key of the account above


@dataclass(frozen=True, slots=True)
class BalanceView:
    """What an account has spent, and what is left on its path.

    Attributes:
        spent: USD charged to this account.
        reserved: USD held by calls in flight.
        remaining: the smallest limit - spent - reserved over the USD limits without a
            selector, its own and its ancestors'; negative after an overrun, None without such a limit.
        tokens_spent: input and output tokens together.
        calls: answered, paid calls to models.
    """

    spent: Decimal
    reserved: Decimal
    remaining: Decimal | None
    tokens_spent: int
    calls: int


def account_views(snapshot: Snapshot, path: Path) -> tuple[AccountView, ...]:
    """A view of each account of a path, from the root; one without any use yet has its declared limits."""
    views = []
    inherited: tuple[Limit, ...] = ()
    for account in path:
        view = snapshot.accounts.get(account.key)
        session = is_session(account.key)
        if view is None:
            limits = account.limits or account.unless_declared
            own = [limit for limit in limits if session or limit.window != "session"]
            view = replace(
                EMPTY_VIEW,
                key=account.key,
                limits=tuple(LimitView(limit, 0, 0) for limit in (*own, *(inherited if session else ()))),
                for_sessions=() if session else tuple(limit for limit in limits if limit not in own),
                opened_ms=snapshot.now_ms,
            )
        inherited = () if session else (*inherited, *view.for_sessions)
        views.append(view)
    return tuple(views)


def balance(views: tuple[AccountView, ...]) -> BalanceView:
    """The balance of the last account of a path."""
    leaf, rest = views[-1], None
    for view in views:
        rest = left(view, rest)
    return BalanceView(
        spent=to_usd(leaf.spent.usd),
        reserved=to_usd(leaf.reserved.usd),
        remaining=to_usd(rest) if rest is not None else None,
        tokens_spent=leaf.spent.tokens,
        calls=by_kind(leaf, "model").calls,
    )


def left(view: AccountView, above: int | None = None) -> int | None:
    """The smallest rest of the USD limits without a selector of an account, and of `above`; None without."""
    rests = [each.remaining for each in view.limits if each.limit.unit == "usd" and not each.limit.selective]
    if above is not None:
        rests.append(above)
    return min(rests, default=None)


def by_kind(view: AccountView, kind: str) -> Amounts:
    """What an account has spent on calls to models, or on runs of tools."""
    usd = tokens = calls = 0
    for subject, (spent, _) in view.subjects.items():
        if subject.kind == kind:
            usd += spent.usd
            tokens += spent.tokens
            calls += spent.calls
    return Amounts(usd, tokens, calls)


def by_parent(snapshot: Snapshot) -> Below:
    """The accounts right below each one, in the order of the snapshot."""
    below: dict[str, list[AccountView]] = {}
    for key, view in in_turns(snapshot.accounts.items()):
        below.setdefault(parent_key(key), []).append(view)
    return below

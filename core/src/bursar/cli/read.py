"""The commands that look: `status`, `who`, `tree`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any

import typer
from rich.text import Text

from ..reports.balance import Below, balance, by_parent
from ..reports.report import tree as nested
from ..store.base import Store
from ..store.views import AccountView
from ..values.account import is_session, name_of, shown_key
from ..values.money import show_usd
from . import accounts, figures, place, prometheus
from .accounts import Found
from .options import AccountOption, JsonOption, StoreOption
from .screen import Cell, Screen

MOST_SESSIONS = 200  # that `who` looks at below an account: the newest
SESSIONS_AT_ONCE = 50  # in one step of the store


class Format(str, Enum):
    """How `status` is written."""

    text = "text"
    json = "json"
    prometheus = "prometheus"


def status(
    store: StoreOption,
    account: AccountOption = None,
    form: Annotated[
        Format, typer.Option("--format", help="Prometheus: budgets and tenants only.")
    ] = Format.text,
    as_json: JsonOption = False,
) -> None:
    """Show what was spent and what is left.

    Of one account, or of every budget at the top.

    \b
    bursar status --store sqlite:///budget.db
    bursar status --agent my-agent --redis redis://localhost:6379
    bursar status --store budget.db --format prometheus
    """
    opened, screen = place.open_store(store), Screen()
    if form is Format.prometheus:
        found = [accounts.find(opened, account)] if account else accounts.roots(opened)
        screen.write(prometheus.exposition([one.with_tree() for one in found]))
    elif account is not None:
        _one(accounts.find(opened, account), screen, as_json=as_json or form is Format.json)
    else:
        found = accounts.roots(opened)
        if as_json or form is Format.json:
            screen.json({"accounts": [figures.document(one) for one in found]})
        else:
            screen.table(figures.HEADINGS, [figures.row(screen, one.name, one.views) for one in found])


def _one(found: Found, screen: Screen, *, as_json: bool) -> None:
    if as_json:
        screen.json(figures.document(found.with_tree() if not is_session(found.key) else found))
        return
    view, now_ms = found.view, found.snapshot.now_ms
    screen.table(figures.HEADINGS, [figures.row(screen, found.name, found.views)])
    limits = [
        (
            shown_key(owner.key),
            str(limit.limit),
            limit.limit.show(limit.remaining),
            screen.bar(figures.used(limit)),
        )
        for owner in found.views
        for limit in owner.limits
    ]
    if limits:
        screen.gap()
        screen.table(("limit of", "limit", ">left", "used"), limits)
    subjects = figures.by_subject((view,))
    if subjects:
        screen.gap()
        screen.table(
            ("model or tool", ">spent", ">calls", ">tokens"),
            [(name, show_usd(a.usd), f"{a.calls:,}", f"{a.tokens:,}") for _, name, a in subjects],
        )
    screen.gap()
    if view.for_sessions:
        screen.line("each session:", ", ".join(map(str, view.for_sessions)))
    screen.line(", ".join((*figures.facts(view), f"in use for {span((now_ms - view.opened_ms) / 1000)}")))


def who(
    store: StoreOption,
    account: AccountOption = None,
    most: Annotated[int, typer.Option("--most", min=1, metavar="COUNT", help="How many accounts.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List accounts by what they have spent.

    Budgets and tenants, and the newest sessions of those that have spent the most.

    \b
    bursar who --store sqlite:///budget.db
    bursar who --store redis://localhost:6379 --account default/alice --most 5
    """
    opened, screen = place.open_store(store), Screen()
    found = [accounts.find(opened, account)] if account else accounts.roots(opened)
    known: dict[str, AccountView] = {}
    for one in found:
        known |= (one if is_session(one.key) else one.with_tree()).snapshot.accounts
    above = {key for one in found for key in accounts.keys_of_path(one.key)[:-1]}
    left_out = 0
    for view in _dearest(known, above)[:most]:
        newest, count = _newest(opened, view.key)
        left_out += count - len(newest)
        known |= newest
    rows = [
        tuple(known[key] for key in accounts.keys_of_path(view.key)) for view in _dearest(known, above)[:most]
    ]
    if as_json:
        screen.json({"accounts": [_spender(views) for views in rows], "sessions_left_out": left_out})
        return
    screen.table(figures.HEADINGS, [figures.row(screen, shown_key(views[-1].key), views) for views in rows])
    if left_out:
        screen.line(
            f"of sessions the newest {MOST_SESSIONS} of a budget were looked at; {left_out:,} are older"
        )


def _newest(store: Store, key: str) -> tuple[dict[str, AccountView], int]:
    """The newest sessions right below an account, in short steps; and how many there are."""
    found: dict[str, AccountView] = {}
    after = ""
    while True:
        page = store.sessions(key, after, SESSIONS_AT_ONCE)
        found |= page.accounts
        after = page.after
        if not after or len(found) >= MOST_SESSIONS:
            return found, page.count


def _dearest(known: dict[str, AccountView], above: set[str]) -> list[AccountView]:
    listed = [view for key, view in known.items() if key not in above]
    return sorted(listed, key=lambda view: (-view.spent.usd, view.key))


def _spender(views: tuple[AccountView, ...]) -> dict[str, Any]:
    view, state = views[-1], balance(views)
    return {
        "account": shown_key(view.key),
        "kind": "session" if is_session(view.key) else "budget",
        "spent": float(state.spent),
        "reserved": float(state.reserved),
        "remaining": None if state.remaining is None else float(state.remaining),
        "tokens": state.tokens_spent,
        "calls": state.calls,
    }


def tree(store: StoreOption, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Draw the budgets below each other.

    Each with what it has spent, what is left, and the limit that is used up most.

    \b
    bursar tree --store sqlite:///budget.db
    bursar tree --store redis://localhost:6379 --account default --json
    """
    opened, screen = place.open_store(store), Screen()
    found = [accounts.find(opened, account)] if account else accounts.roots(opened)
    found = [one if is_session(one.key) else one.with_tree() for one in found]
    if as_json:
        document: dict[str, Any] = {}
        for one in found:
            document |= nested(one.snapshot, one.views)
        screen.json(document)
    else:
        rows = [line for one in found for line in _nested(screen, by_parent(one.snapshot), one.views, "", "")]
        screen.table(figures.HEADINGS, rows)


def _nested(
    screen: Screen, below: Below, views: tuple[AccountView, ...], before: str, inside: str
) -> Iterator[tuple[Cell, ...]]:
    """A row for an account and for each one below it; the lines of the tree stand before the names."""
    name, *others = figures.row(screen, name_of(views[-1].key), views)
    yield (Text.assemble((before, "dim"), name), *others)
    children = below.get(views[-1].key, [])
    for view in children:
        last = view is children[-1]
        drawn = ("  ", "  ") if screen.plain else ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield from _nested(screen, below, (*views, view), inside + drawn[0], inside + drawn[1])


def span(seconds: float) -> str:
    """A time for people: ``45 s``, ``12 min``, ``3.5 h``, ``9 d``."""
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.3g} {unit}"
    return f"{max(0.0, seconds):.0f} s"

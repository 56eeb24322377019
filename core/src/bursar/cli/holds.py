"""`holds`: what calls in flight keep, and `holds release`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from ..store.base import HasHolds, Store
from ..store.views import OpenHold
from ..values.account import path_of, root_key, shown_key
from ..values.money import show_usd, to_usd
from . import accounts, place
from .mistake import Mistake
from .options import AccountOption, JsonOption, StoreOption
from .read import span
from .screen import Screen

MOST_HOLDS = 1_000  # that one run of `holds` lists

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def holds(
    context: typer.Context,
    store: Annotated[
        str | None,
        typer.Option("--store", "--redis", envvar="BURSAR_STORE", metavar="URL", help="A URL, or a file."),
    ] = None,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the open holds.

    Those first whose leases end first; `release` gives one back.

    \b
    bursar holds --store sqlite:///budget.db
    bursar holds release 5f0c9a1be2d34c66-7 --store sqlite:///budget.db
    """
    if context.invoked_subcommand is not None:
        return
    if store is None:
        raise Mistake("give the store of your budgets: --store sqlite:///budget.db, or redis://host:6379/0")
    opened, screen = place.open_store(store), Screen()
    found = [accounts.find(opened, account)] if account else accounts.roots(opened)
    held = (
        (hold, left_s)
        for one in found
        for hold, left_s in _open(opened, root_key(one.key))
        if f"{hold.account}/".startswith(f"{one.key}/")
    )
    listed = list(islice(held, MOST_HOLDS))
    if as_json:
        screen.json({"holds": [_document(hold, left_s) for hold, left_s in listed]})
        return
    rows = [
        (
            hold.id,
            shown_key(hold.account),
            _subject(hold),
            show_usd(hold.amounts.usd),
            f"{hold.amounts.tokens:,}",
            span(left_s),
        )
        for hold, left_s in listed
    ]
    if rows:
        screen.table(("id", "account", "model or tool", ">held", ">tokens", ">lease left"), rows)
    else:
        screen.line("nothing is held: no call is in flight")


@app.command()
def release(
    id: Annotated[str, typer.Argument(help="Of the hold, as `bursar holds` lists it.")],
    store: StoreOption,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a hold back.

    Where its call was never sent; if it is settled later, that is an overrun.

    \b
    bursar holds release 5f0c9a1be2d34c66-7 --store redis://localhost:6379
    """
    opened, screen = place.open_store(store), Screen()
    keys = [root_key(accounts.find(opened, account).key)] if account else accounts.root_keys(opened)
    hold = next((hold for key in keys for hold, _ in _open(opened, key) if hold.id == id), None)
    if hold is None:
        raise Mistake(f"no hold {id!r} is open; `bursar holds` lists those that are")
    opened.release(hold.id, path_of(hold.account), {})
    if as_json:
        screen.json(
            {"released": hold.id, "account": shown_key(hold.account), "usd": float(to_usd(hold.amounts.usd))}
        )
    else:
        screen.line(show_usd(hold.amounts.usd), "given back to", shown_key(hold.account))


def _open(store: Store, root: str) -> Iterator[tuple[OpenHold, float]]:
    """The open holds of a tree, page by page, and the seconds that their leases have left."""
    if not isinstance(store, HasHolds):
        raise Mistake("this store cannot list what is held")
    after = ""
    while True:
        page = store.holds(root, after)
        for hold in page.holds:
            yield hold, max(0, hold.until_ms - page.now_ms) / 1000
        after = page.after
        if not after:
            return


def _subject(hold: OpenHold) -> str:
    return (hold.subject.models[0] if hold.subject.models else hold.subject.tool) or "unnamed"


def _document(hold: OpenHold, left_s: float) -> dict[str, Any]:
    return {
        "id": hold.id,
        "account": shown_key(hold.account),
        "kind": hold.subject.kind,
        "name": _subject(hold),
        "usd": float(to_usd(hold.amounts.usd)),
        "tokens": hold.amounts.tokens,
        "lease_left_seconds": left_s,
    }

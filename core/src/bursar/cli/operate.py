"""The commands that act: `set-limit`, `reset`, `trip`, `untrip`, `acknowledge`, `audit`, `doctor`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ..errors import LedgerRolledBack
from ..store.base import Store
from ..store.views import Finding
from ..values.account import name_of, root_account, root_key, shown_key
from ..values.amounts import Amounts
from ..values.limits import Limit
from ..values.money import show_usd
from ..values.window import zone
from . import accounts, place
from .accounts import Found
from .mistake import Mistake
from .options import AccountOption, JsonOption, ReasonOption, StoreOption, YesOption
from .screen import Screen, harmless, styled

BY_HAND = "by hand, from the command line"


def set_limit(
    limit: Annotated[str, typer.Argument(help="'$10/24h', '2M tokens/day', '20 calls/1h'.")],
    store: StoreOption,
    account: AccountOption = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Count only calls to this model.")] = None,
    tool: Annotated[str | None, typer.Option(metavar="NAME", help="Count only runs of this tool.")] = None,
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="Count only calls that this provider bills.")
    ] = None,
    tz: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of a calendar limit; by default the budget's own.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put a limit in force.

    It counts for every process from its next call on.
    It replaces the limit over the same unit, window and selectors, or is added.

    \b
    bursar set-limit '$10/24h' --store sqlite:///budget.db --account default/alice
    bursar set-limit '20 calls/1h' --tool web_search --store redis://localhost:6379
    """
    try:
        wanted = Limit(limit, model=model, tool=tool, provider=provider)
        found = accounts.chosen(place.open_store(store), account)
        if tz is not None:
            zone(tz)
        wanted = wanted.in_zone(tz or found.zone)
    except ValueError as error:
        raise Mistake(str(error)) from None
    found.store.set_limit(found.path, wanted)
    _done(found, "limit", f"has the limit {wanted}", as_json=as_json, limit=str(wanted))


def reset(
    store: StoreOption,
    account: AccountOption = None,
    yes: YesOption = False,
    reason: ReasonOption = BY_HAND,
    as_json: JsonOption = False,
) -> None:
    """Begin an account anew.

    What it has spent, its windows, counters and breaker; what is reserved stays.
    Accounts above and below keep their balances.

    \b
    bursar reset --yes --store sqlite:///budget.db --account default/alice
    bursar reset --agent my-agent --redis redis://localhost:6379
    """
    found = accounts.chosen(place.open_store(store), account)
    spent = show_usd(found.view.spent.usd)
    _sure(f"forget that {found.name} has spent {spent}?", yes=yes)
    found.store.reset(found.path, reason)
    _done(found, "reset", f"begins anew; it had spent {spent}", as_json=as_json)


def trip(
    store: StoreOption,
    account: AccountOption = None,
    reason: ReasonOption = BY_HAND,
    as_json: JsonOption = False,
) -> None:
    """Stop an account: the kill switch.

    Every call there and below it is refused, in every process.

    \b
    bursar trip --store redis://localhost:6379 --account default/alice --reason 'loops since 3 am'
    """
    found = accounts.chosen(place.open_store(store), account)
    found.store.trip(found.path, reason)
    _done(found, "tripped", f"is stopped: {reason}", as_json=as_json, reason=reason)


def untrip(
    store: StoreOption,
    account: AccountOption = None,
    reason: ReasonOption = BY_HAND,
    as_json: JsonOption = False,
) -> None:
    """Let an account go on.

    After `trip`, or after its breaker opened.

    \b
    bursar untrip --store redis://localhost:6379 --account default/alice
    """
    found = accounts.chosen(place.open_store(store), account)
    found.store.untrip(found.path, reason)
    _done(found, "untripped", "goes on", as_json=as_json)


def acknowledge(
    store: StoreOption,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="For the journal.")],
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept that the store lost data.

    Calls are admitted again, and its balances hold from here.

    \b
    bursar acknowledge --store 'sqlite:///budget.db?ledger=4f2a' --reason 'brought back a backup'
    """
    opened = place.open_store(store)
    try:
        key = root_key(accounts.chosen(opened, account).key)
    except LedgerRolledBack:  # which is what is to be accepted
        key = root_account(account or "default", ()).key
    opened.acknowledge(key, reason)
    screen = Screen()
    if as_json:
        screen.json({"acknowledged": shown_key(key), "reason": reason})
    else:
        screen.line(styled(name_of(key), "bold"), "is accepted as it is")


def audit(store: StoreOption, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Compare balances with their records.

    Exit status 1 where they differ.

    \b
    bursar audit --store sqlite:///budget.db
    """
    opened, screen = place.open_store(store), Screen()
    found = [accounts.find(opened, account)] if account else accounts.roots(opened)
    keys = dict.fromkeys(root_key(one.key) for one in found)
    findings = [finding for key in keys for finding in opened.audit(key)]
    if as_json:
        screen.json({"clean": not findings, "findings": list(map(_finding, findings))})
    elif findings:
        rows = [(shown_key(f.account), f.what, _amounts(f.balance), _amounts(f.records)) for f in findings]
        screen.table(("account", "what", "balance", "records"), rows)
    else:
        names = ", ".join(shown_key(key) for key in keys)
        screen.line(styled("clean:", "green"), f"the balances of {names} are what their records add up to")
    if findings:
        raise typer.Exit(1)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "account": shown_key(finding.account),
        "what": finding.what,
        "balance": finding.balance._asdict(),
        "records": finding.records._asdict(),
    }


def _amounts(amounts: Amounts) -> str:
    return f"{show_usd(amounts.usd)}, {amounts.tokens:,} tokens, {amounts.calls:,} calls"


def doctor(store: StoreOption, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Say what the store keeps of a crash.

    And what should be changed about it.

    \b
    bursar doctor --store redis://localhost:6379
    """
    budget = place.open_budget(store, account or _first(place.open_store(store)))
    found, screen = budget.doctor(), Screen()
    if as_json:
        screen.json(found)
        return
    warnings, unknown = found.pop("warnings"), found.pop("unknown")
    rows = [(name.replace("_", " "), str(value)) for name, value in found.items() if value not in (None, "")]
    screen.table(("fact", "value"), rows)
    if unknown:
        screen.line("the store does not say:", ", ".join(name.replace("_", " ") for name in unknown))
    for warning in warnings:
        screen.line(styled("warning:", "bold yellow"), warning)
    if not warnings:
        screen.line(styled("nothing to change", "green"))


def _first(store: Store) -> str:
    """The name of a budget at the top; the usual one where there is none yet, or several."""
    try:
        return accounts.only_root(store).name
    except (Mistake, LedgerRolledBack):
        return "default"


def _sure(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Mistake("nobody is here to be asked: add --yes")
    if not typer.confirm(harmless(question)):
        raise Mistake("nothing was changed")


def _done(found: Found, word: str, text: str, *, as_json: bool, **more: str) -> None:
    screen = Screen()
    if as_json:
        screen.json({"account": found.name, "done": word, **more})
    else:
        screen.line(styled(found.name, "bold"), text)

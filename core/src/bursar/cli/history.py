"""`history`: what a budget spent day by day, by model, tool and child."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any

import typer

from ..values.account import is_session
from ..values.money import show_usd
from . import accounts, place
from .accounts import Found
from .export import write_csv
from .figures import counted
from .mistake import Mistake
from .options import AccountOption, JsonOption, StoreOption
from .screen import Cell, Screen, harmless

_FIELDS = {"model": "by_model", "tool": "by_tool", "child": "by_child"}


class By(str, Enum):
    """What the rows of `history` are."""

    day = "day"
    model = "model"
    tool = "tool"
    child = "child"


def history(
    store: StoreOption,
    account: AccountOption = None,
    days: Annotated[int, typer.Option(min=1, max=400, metavar="DAYS", help="How many, with today.")] = 30,
    by: Annotated[By, typer.Option(help="A row for each.")] = By.day,
    tz: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Whose days; the budget's own zone, or UTC.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, a row for each day.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what was spent day by day.

    By a budget, with all below it; or how much of it by model, tool or child.

    \b
    bursar history --store sqlite:///budget.db --days 7
    bursar history --store redis://localhost:6379 --account default --by child --csv
    """
    found, screen = accounts.chosen(place.open_store(store), account), Screen()
    if is_session(found.key):
        raise Mistake(f"{found.name} is a session, and days are kept of budgets: --account {_above(found)}")
    kept = _history(store, found, days, tz)
    if as_json:
        screen.json({"account": found.name, **kept})
    elif as_csv:
        _csv(kept, by)
    elif by is By.day:
        most = max((day["spent"] for day in kept["days"]), default=0.0)
        rows: list[tuple[Cell, ...]] = [
            (
                day["day"],
                _usd(day["spent"]),
                f"{day['calls']:,}",
                f"{day['refusals']:,}",
                _drawn(screen, day, most),
            )
            for day in kept["days"]
        ]
        screen.table(("day", ">spent", ">calls", ">refusals", ""), rows)
    else:
        sums = _sums(kept, by)
        screen.table((by.value, ">spent"), [(name, _usd(usd)) for name, usd in sums])
        screen.line(f"{counted(len(kept['days']), 'day')}, in {kept['tz']}")


def _history(store: str, found: Found, days: int, tz: str | None) -> dict[str, Any]:
    root, *below = accounts.names_of_path(found.key)
    budget = place.open_budget(store, root, tz=tz or found.zone)
    for name in below:
        budget = budget.child(name)
    return budget.history(days)


def _above(found: Found) -> str:
    keys = [key for key in accounts.keys_of_path(found.key) if not is_session(key)]
    return Found(found.store, keys[-1], found.snapshot).name


def _csv(kept: Mapping[str, Any], by: By) -> None:
    columns: tuple[str, ...] = ("day", by.value, "spent_usd")
    rows: list[tuple[Any, ...]] = []
    for day in kept["days"]:
        if by is By.day:
            columns = ("day", "spent_usd", "calls", "refusals")
            rows.append((day["day"], _plain(day["spent"]), day["calls"], day["refusals"]))
        else:
            rows += [(day["day"], name, _plain(usd)) for name, usd in day[_FIELDS[by.value]].items()]
    write_csv(sys.stdout, columns, iter(rows))


def _sums(kept: Mapping[str, Any], by: By) -> list[tuple[str, float]]:
    sums: dict[str, float] = {}
    for day in kept["days"]:
        for name, usd in day[_FIELDS[by.value]].items():
            sums[harmless(name)] = sums.get(harmless(name), 0.0) + usd
    return sorted(sums.items(), key=lambda item: (-item[1], item[0]))


def _drawn(screen: Screen, day: Mapping[str, Any], most: float) -> str:
    """A bar for eyes only: a pipe has the number."""
    return "" if screen.plain or not most else "━" * round(day["spent"] / most * 30)


def _usd(usd: float) -> str:
    return show_usd(round(usd * 10**9))


def _plain(usd: float) -> str:
    return _usd(usd).replace("$", "")

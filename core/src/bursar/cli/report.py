"""`report`: a report as text, as JSON, or as a page of HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..ledger.reading import read_budget, read_session
from ..ledger.steps import run
from ..reports.page import Page
from ..reports.text import report_text
from ..values.account import is_session, root_key, shown_key
from . import accounts, figures, page, place
from .accounts import Found
from .mistake import Mistake
from .options import AccountOption, JsonOption
from .screen import Screen, harmless

MOST_WITH_PARTS = 50  # sessions whose agents the page looks at, the newest


def report(
    file: Annotated[
        Path | None, typer.Argument(help="A report that a program or `bursar run --report` wrote.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", "--redis", envvar="BURSAR_STORE", metavar="URL", help="A URL, or a file."),
    ] = None,
    account: AccountOption = None,
    out: Annotated[Path | None, typer.Option("--html", metavar="OUT", help="Write a page of HTML.")] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=400, metavar="DAYS", help="Of the page: how many it shows.")
    ] = 30,
    as_json: JsonOption = False,
) -> None:
    """Show a report.

    One that was kept in a file, or that of an account in a store.

    \b
    bursar report out.json
    bursar report --store sqlite:///budget.db --account default --html report.html
    """
    screen, chosen = Screen(), None
    if file is not None:
        found = _read(file)
    else:
        chosen = _chosen(store, account)
        found = figures.document(chosen)
    try:
        text = report_text(found)
        document = _page(found, chosen, store, days) if out is not None else ""
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Mistake(f"{str(file)!r} is not a report of bursar") from None
    if out is not None:
        try:
            out.write_text(document, "utf-8")
        except OSError as error:
            raise Mistake(f"{str(out)!r} cannot be written: {error.strerror}") from None
    elif as_json:
        screen.json(found)
    else:
        screen.write("\n".join(map(harmless, text.splitlines())))


def _chosen(store: str | None, account: str | None) -> Found:
    if store is None:
        raise Mistake("whose report? give a file, or --store and --account")
    found = accounts.chosen(place.open_store(store), account)
    read = read_session if is_session(found.key) else read_budget
    return replace(found, snapshot=run(read(found.path), found.store))


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise Mistake(f"{str(file)!r} cannot be read: {error.strerror}") from None
    except ValueError:
        raise Mistake(f"{str(file)!r} is not JSON; `bursar run --report {file}` writes such a file") from None
    if not isinstance(found, dict):
        raise Mistake(f"{str(file)!r} is not a report of bursar")
    return found


def _page(found: Mapping[str, Any], chosen: Found | None, store: str | None, days: int) -> str:
    if chosen is None:
        return Page(report=found, made=page.made()).html()
    chosen = run(page.read_parts(chosen, MOST_WITH_PARTS), chosen.store)
    findings = [
        f"{shown_key(one.account)}: its {one.what} is not what its records add up to"
        for one in chosen.store.audit(root_key(chosen.key))
    ]
    history = run(page.read_days(chosen, days), chosen.store)
    return page.page_of(chosen, history, store or "", findings).html()

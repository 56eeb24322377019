"""`report`: a report as text, as JSON, or as a page of HTML."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ..reports.text import report_text
from . import accounts, figures, place
from .mistake import Mistake
from .options import AccountOption, JsonOption
from .screen import Screen, harmless

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;"
    "text-align:left}td+td,th+th{text-align:right}h1 b{font-weight:600}"
)


def report(
    file: Annotated[
        Path | None, typer.Argument(help="A report that a program or `bursar run --report` wrote.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", "--redis", envvar="BURSAR_STORE", metavar="URL", help="A URL, or a file."),
    ] = None,
    account: AccountOption = None,
    page: Annotated[Path | None, typer.Option("--html", metavar="OUT", help="Write a page of HTML.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a report.

    One that was kept in a file, or that of an account in a store.

    \b
    bursar report out.json
    bursar report --store sqlite:///budget.db --account default --html report.html
    """
    screen, found = Screen(), _read(file) if file is not None else _of_store(store, account)
    try:
        text, document = report_text(found), _page(found) if page is not None else ""
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Mistake(f"{str(file)!r} is not a report of bursar") from None
    if page is not None:
        try:
            page.write_text(document, "utf-8")
        except OSError as error:
            raise Mistake(f"{str(page)!r} cannot be written: {error.strerror}") from None
    elif as_json:
        screen.json(found)
    else:
        screen.write("\n".join(map(harmless, text.splitlines())))


def _of_store(store: str | None, account: str | None) -> dict[str, Any]:
    if store is None:
        raise Mistake("whose report? give a file, or --store and --account")
    return figures.document(accounts.chosen(place.open_store(store), account))


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


def _page(found: Mapping[str, Any]) -> str:
    """A page without scripts and without anything from elsewhere."""
    body = "\n".join(_sections(found))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_safe(found['session_id'])}</title>\n"
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _sections(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h1>{_safe(found['session_id'])}</h1>"
    left = "" if found["remaining"] is None else f", {_usd(found['remaining'])} left"
    yield f"<p><b>{_usd(found['total_spent'])}</b> spent, {_usd(found['reserved'])} reserved{left}</p>"
    parts = found["breakdown"]
    spent = [*parts["llm"]["by_model"].items(), *parts["tools"]["by_tool"].items()]
    yield _table(
        ("model or tool", "USD"), [(name, _usd(cost)) for name, cost in sorted(spent, key=lambda s: -s[1])]
    )
    yield _table(("limit", "left"), [(limit["limit"], str(limit["remaining"])) for limit in found["limits"]])
    children = [(child["session_id"], _usd(child["total_spent"])) for child in found["children"]]
    yield _table(("below it", "spent"), children)


def _table(headings: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = [f"<tr><td>{_safe(name)}</td><td>{_safe(value)}</td></tr>" for name, value in rows]
    return "\n".join(
        ("<table>", f"<tr><th>{headings[0]}</th><th>{headings[1]}</th></tr>", *lines, "</table>")
    )


def _usd(amount: float) -> str:
    return f"${amount:,.6f}".rstrip("0").ljust(len(f"${amount:,.2f}"), "0").replace("$-", "-$")


def _safe(value: object) -> str:
    return html.escape(harmless(str(value)))

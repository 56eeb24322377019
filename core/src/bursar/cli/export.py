"""`export`: what each account has spent on each model and tool, as CSV or as lines of JSON."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from ..redaction import redacted
from ..store.views import AccountView
from ..values.account import is_session, shown_key
from ..values.money import to_usd
from . import accounts, place
from .accounts import Found
from .mistake import Mistake
from .options import AccountOption, StoreOption
from .screen import harmless

COLUMNS = (
    "account", "kind", "model", "tool", "provider", "spent_usd", "reserved_usd", "calls", "tokens",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a cell


class Rows(str, Enum):
    """How `export` is written."""

    csv = "csv"
    jsonl = "jsonl"


def export(
    store: StoreOption,
    account: AccountOption = None,
    form: Annotated[Rows, typer.Option("--format", help="What each row is written as.")] = Rows.csv,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format jsonl.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A file instead of standard output.")
    ] = None,
) -> None:
    """Write all accounts as CSV or JSON lines.

    A row for each account and each model or tool that it has spent on, sessions included.
    An account counts what those below it have spent: add up the rows of one kind only.

    \b
    bursar export --store sqlite:///budget.db > spent.csv
    bursar export --store redis://localhost:6379 --account default --format jsonl
    """
    opened = place.open_store(store)
    found = [accounts.find(opened, account)] if account else accounts.roots(opened)
    rows = (row for one in found for view in everything(one) for row in _rows(view))
    with _stream(out) as stream:
        if as_json or form is Rows.jsonl:
            for row in rows:
                stream.write(f"{json.dumps(redacted(row))}\n")
        else:
            write_csv(stream, COLUMNS, (row.values() for row in rows))


def write_csv(stream: TextIO, columns: tuple[str, ...], rows: Iterator[Any]) -> None:
    """Rows of cells; no text is a formula, and none has control characters."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(value) for value in row])


def cell(value: Any) -> Any:
    """A value that a spreadsheet shows and does not run."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = harmless(value)
    return f"'{text}" if value.startswith(_FORMULA) else text


def everything(found: Found) -> Iterator[AccountView]:
    """An account and all below it, in steps of the store that do not grow with the number of sessions."""
    known = {found.key: found.view}
    if not is_session(found.key):
        tree = found.with_tree().snapshot.accounts
        known = {
            key: view for key, view in tree.items() if key == found.key or key.startswith(f"{found.key}/")
        }
    waiting = sorted(known, reverse=True)
    while waiting:
        view = known.pop(waiting.pop())
        yield view
        after = "" if view.sessions else None
        while after is not None:
            page = found.store.sessions(view.key, after)
            known.update(page.accounts)
            waiting += reversed(tuple(page.accounts))
            after = page.after or None


def _rows(view: AccountView) -> Iterator[dict[str, Any]]:
    for subject, (spent, reserved) in view.subjects.items():
        yield {
            "account": shown_key(view.key),
            "kind": "session" if is_session(view.key) else "budget",
            "model": subject.models[0] if subject.models else None,
            "tool": subject.tool,
            "provider": subject.provider,
            "spent_usd": str(to_usd(spent.usd)),
            "reserved_usd": str(to_usd(reserved.usd)),
            "calls": spent.calls,
            "tokens": spent.tokens,
        }


@contextmanager
def _stream(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    try:
        with out.open("w", encoding="utf-8", newline="") as stream:
            yield stream
    except OSError as error:
        raise Mistake(f"{str(out)!r} cannot be written: {error.strerror}") from None

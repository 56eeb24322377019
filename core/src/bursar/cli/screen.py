"""What a terminal shows, and what a pipe gets: the same words, without colours, bars and cut cells."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..redaction import redacted
from ..reports.text import clean

Cell: TypeAlias = "str | Text"
Rows: TypeAlias = "Iterable[Sequence[Cell]]"

BAR = 12


class Screen:
    """Standard output. Names come from outside: nothing in them reaches the terminal as a command.

    Attributes:
        console: of rich.
        plain: True where nobody looks: a pipe, a file.
    """

    def __init__(self) -> None:
        self.console = Console(highlight=False, markup=False, emoji=False)
        self.plain = not self.console.is_terminal

    def line(self, *cells: Cell) -> None:
        """Words with spaces between them."""
        if self.plain:
            self.write(" ".join(map(_plain, cells)))
        else:
            self.console.print(Text(" ").join(map(_text, cells)))

    def gap(self) -> None:
        """An empty line between two tables."""
        self.write("")

    def table(self, headings: Sequence[str], rows: Rows) -> None:
        """Rows below headings; a heading that begins with ``>`` has its column at the right."""
        if self.plain:
            self.write(aligned(headings, rows))
        else:
            self.console.print(drawn(headings, rows))

    def bar(self, fraction: float) -> Cell:
        """How much of a limit is used, as a bar; as a percentage where nobody looks."""
        return f"{fraction:.0%}" if self.plain else bar(fraction)

    @staticmethod
    def write(text: str) -> None:
        """Text as it is."""
        sys.stdout.write(f"{text}\n")

    def json(self, document: Any) -> None:
        """A document for programs; what is not ASCII is escaped."""
        self.write(json.dumps(redacted(document), indent=2))


def harmless(text: str) -> str:
    """A text without control characters, line ends and marks that turn it round."""
    return clean(text)


def styled(text: str, style: str) -> Text:
    """Words in a colour."""
    return Text(harmless(text), style)


def bar(fraction: float, width: int = BAR) -> Text:
    """A bar that turns yellow at 70 % and red at 90 %, with its percentage."""
    filled = min(width, max(0, round(fraction * width)))
    colour = "green" if fraction < 0.7 else "yellow" if fraction < 0.9 else "red"
    return Text.assemble(("━" * filled, colour), ("─" * (width - filled), "dim"), f" {fraction:4.0%}")


def drawn(headings: Sequence[str], rows: Rows) -> Table:
    """The table of a terminal; a column without anything in it is left out."""
    columns = [column for column in zip(headings, *rows, strict=True) if any(map(len, column[1:]))]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading, *_ in columns:
        text = str(heading)
        right = text.startswith(">")
        table.add_column(text.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    for row in zip(*(column[1:] for column in columns), strict=True):
        table.add_row(*map(_text, row))
    return table


def aligned(headings: Sequence[str], rows: Rows) -> str:
    """The table of a pipe: columns two spaces apart, nothing cut."""
    lines = [[heading.removeprefix(">") for heading in headings], *([*map(_plain, row)] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    sides = [heading.startswith(">") for heading in headings]
    return "\n".join("  ".join(map(_padded, line, widths, sides)).rstrip(" ") for line in lines)


def _padded(text: str, width: int, right: bool) -> str:
    gap = " " * (width - cell_len(text))
    return gap + text if right else text + gap


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(harmless(cell))


def _plain(cell: Cell) -> str:
    return cell.plain if isinstance(cell, Text) else harmless(cell)

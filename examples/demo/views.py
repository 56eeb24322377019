"""What the demo shows: a table that grows, plain lines, or JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Protocol

from agent import Call
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

SHOWN = 12


@dataclass(frozen=True)
class Result:
    """How it ended; money in USD. `billed` is the provider's own number, None where it keeps it to itself."""

    limit: Decimal
    ledger: Decimal
    billed: Decimal | None
    calls: int
    served: int | None
    refusal: str | None

    @property
    def holds(self) -> bool:
        """Stopped, at or below the limit, and as the provider billed."""
        agrees = self.billed is None or (self.billed == self.ledger and self.served == self.calls)
        return self.refusal is not None and self.ledger <= self.limit and agrees


class View(Protocol):
    """Shows calls as they happen, and the result."""

    def __enter__(self) -> View: ...
    def __exit__(self, *error: object) -> None: ...
    def call(self, call: Call) -> None: ...
    def result(self, result: Result) -> None: ...


def view(limit: Decimal, *, as_json: bool) -> View:
    """The view that fits where the output goes."""
    if as_json:
        return JsonView()
    console = Console()
    return LiveView(console, limit) if console.is_terminal else LineView()


class LineView:
    """One line a call; for logs and pipes."""

    def __enter__(self) -> LineView:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def call(self, call: Call) -> None:
        print(
            f"call {call.number:>3}  {call.model}  {call.input_tokens:>5} in  {call.output_tokens:>4} out"
            f"  {usd(call.cost):<11} {usd(call.remaining)} left",
            flush=True,
        )

    def result(self, result: Result) -> None:
        if result.refusal:
            print(f"refused   {result.refusal}")
        if result.billed is not None:
            print(f"bill      {usd(result.billed)}  {result.served} requests, counted by the provider")
        print(f"ledger    {usd(result.ledger)}  {result.calls} calls, counted by bursar")
        print(f"limit     {usd(result.limit)}")
        print(verdict(result))


class JsonView(LineView):
    """One document at the end, for scripts; money as text, exact."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def call(self, call: Call) -> None:
        self.calls.append(asdict(call))

    def result(self, result: Result) -> None:
        document = {"calls": self.calls, "result": asdict(result) | {"holds": result.holds}}
        print(json.dumps(document, indent=2, default=str))


class LiveView(LineView):
    """A table that grows, and a bar that fills; for people."""

    def __init__(self, console: Console, limit: Decimal) -> None:
        self.console = console
        self.limit = limit
        self.calls: list[Call] = []
        self.live = Live(self.drawn(), console=console, refresh_per_second=12)

    def __enter__(self) -> LiveView:
        self.live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.__exit__(None, None, None)

    def call(self, call: Call) -> None:
        self.calls.append(call)
        self.live.update(self.drawn())

    def drawn(self) -> RenderableType:
        table = Table(box=box.SIMPLE_HEAD, expand=True)
        for heading in ("call", "model", "input", "output", "cost", "left"):
            table.add_column(heading, justify="left" if heading == "model" else "right")
        if len(self.calls) > SHOWN:
            table.add_row("...", *[""] * 5, style="dim")
        for call in self.calls[-SHOWN:]:
            table.add_row(
                str(call.number), call.model, f"{call.input_tokens:,}", f"{call.output_tokens:,}",
                usd(call.cost), usd(call.remaining),
            )  # fmt: skip
        spent = self.calls[-1].spent if self.calls else Decimal(0)
        share = float(spent / self.limit) if self.limit else 1.0
        colour = "green" if share < 0.7 else "yellow" if share < 0.9 else "red"
        bar = Table.grid(expand=True, padding=(0, 2))
        bar.add_column(ratio=1)
        bar.add_column(justify="right")
        bar.add_row(
            ProgressBar(total=1.0, completed=share, complete_style=colour, finished_style=colour),
            f"{usd(spent)} of {usd(self.limit)}",
        )
        title = "[bold]an agent that never stops[/]"
        return Panel(Group(table, bar), title=title, box=box.ROUNDED, padding=(0, 1))

    def result(self, result: Result) -> None:
        if result.refusal:
            self.console.print(Panel(Text(result.refusal), title="[bold red]refused[/]", box=box.ROUNDED))
        table = Table(box=box.SIMPLE_HEAD)
        for heading in ("", "USD", "calls", "counted by"):
            table.add_column(heading, justify="right" if heading in ("USD", "calls") else "left")
        if result.billed is not None:
            table.add_row("bill", usd(result.billed), str(result.served), "the provider")
        table.add_row("ledger", usd(result.ledger), str(result.calls), "bursar")
        table.add_row("limit", usd(result.limit), "", "you")
        self.console.print(table)
        self.console.print(verdict(result), style="bold green" if result.holds else "bold red")


def usd(amount: Decimal) -> str:
    """Dollars, exact, without trailing zeros."""
    return f"${amount.normalize():f}"


def verdict(result: Result) -> str:
    """What the numbers say, in one sentence."""
    spent = f"{usd(result.ledger)} of {usd(result.limit)}"
    if not result.refusal:
        return "The agent ended by itself."
    if result.ledger > result.limit:
        return "ABOVE the limit."
    if result.billed is None:
        return f"Stopped at its budget: {spent} is spent; the provider's bill comes later."
    if not result.holds:
        return "Bill and ledger DIFFER."
    return f"Stopped at its budget: {spent} is spent, and bill and ledger are equal."

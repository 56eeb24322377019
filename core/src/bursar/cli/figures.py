"""The figures of an account: for people as cells, for programs as a plain dict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.text import Text

from ..reports.balance import balance, by_kind
from ..reports.report import build_report
from ..store.views import AccountView, LimitView
from ..values.amounts import Amounts
from ..values.money import show_usd, to_nanos
from .accounts import Found
from .screen import Cell, Screen, styled

HEADINGS = ("account", ">spent", ">reserved", ">left", ">calls", "used")


def document(found: Found) -> dict[str, Any]:
    """The report of an account, and what an operator asks beside it; money in USD as float."""
    view = found.view
    report = build_report(
        found.snapshot, found.views, events=(), terminated_by=None, durability=found.store.durability
    )
    return {
        "account": found.name,
        **report,
        "for_sessions": list(map(str, view.for_sessions)),
        "circuit": view.circuit,
        "tripped": view.tripped,
    }


def row(screen: Screen, name: str, views: tuple[AccountView, ...]) -> tuple[Cell, ...]:
    """A row of `HEADINGS`: where an account stands."""
    view, state = views[-1], balance(views)
    left = "" if state.remaining is None else show_usd(_nanos(state.remaining))
    return (
        styled(name, "bold"),
        show_usd(view.spent.usd),
        show_usd(view.reserved.usd) if view.reserved.usd else "",
        styled(left, "red" if left.startswith("-") else ""),
        f"{state.calls:,}",
        stopped(view) or fullest(screen, view.limits),
    )


def stopped(view: AccountView) -> Text | None:
    """Why an account is stopped, if it is."""
    if view.tripped is not None or view.circuit in ("open", "forced_open"):
        return styled(f"stopped: {view.tripped or view.circuit.replace('_', ' ')}", "bold red")
    return None


def fullest(screen: Screen, limits: Iterable[LimitView]) -> Cell:
    """The limit that is used up most, as a bar with its name."""
    most = max(limits, key=used, default=None)
    if most is None:
        return ""
    bar = screen.bar(used(most))
    if isinstance(bar, Text):
        return Text.assemble(bar, styled(f" of {most.limit}", "dim"))
    return f"{bar} of {most.limit}"


def used(view: LimitView) -> float:
    """The part of a limit that is spent or reserved; 1 and more is none left."""
    taken = view.spent + view.reserved
    return taken / view.limit.amount if view.limit.amount else 1.0


def by_subject(views: Iterable[AccountView]) -> list[tuple[str, str, Amounts]]:
    """What was spent on each model and tool, the dearest first: kind, name, amounts."""
    totals: dict[tuple[str, str], Amounts] = {}
    for view in views:
        for subject, (spent, _) in view.subjects.items():
            name = (subject.models[0] if subject.models else subject.tool) or "unnamed"
            totals[subject.kind, name] = totals.get((subject.kind, name), Amounts()).plus(spent)
    ordered = sorted(totals.items(), key=lambda item: (-item[1].usd, item[0]))
    return [(kind, name, amounts) for (kind, name), amounts in ordered]


def facts(view: AccountView) -> list[str]:
    """What else an operator should know."""
    tally = view.tally
    found = [f"{by_kind(view, 'model').tokens:,} tokens"]
    for name, word in (
        ("refusals", "refusal"),
        ("would_refuse", "ignored refusal"),
        ("estimated", "estimate"),
    ):
        if tally.get(name):
            found.append(counted(tally[name], word))
    if tally.get("overruns"):
        found.append(f"{counted(tally['overruns'], 'overrun')} of {show_usd(tally.get('overrun_usd', 0))}")
    if view.sessions:
        found.append(counted(view.sessions, "session"))
    return found


def counted(count: int, word: str) -> str:
    """``1 call``, ``2 calls``."""
    plural = f"{word}es" if word.endswith("s") else f"{word}s"
    return f"{count:,} {word if count == 1 else plural}"


def _nanos(usd: Any) -> int:
    return to_nanos(usd) if usd >= 0 else -to_nanos(-usd)

"""What `run` says at the end, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...values.money import show_usd
from ..figures import counted
from ..screen import harmless


def text(report: Mapping[str, Any]) -> str:
    """Lines for standard error."""
    return "".join(f"bursar: {harmless(line)}\n" for line in _lines(report))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    run, spent = report["run"], report["breakdown"]
    calls = counted(spent["llm"]["calls"] + spent["tools"]["calls"], "call")
    yield f"{report['session_id']} spent {_usd(report['total_spent'])} in {calls}{_left(report)}"
    for name, cost in sorted(spent["llm"]["by_model"].items(), key=lambda item: -item[1]):
        if len(spent["llm"]["by_model"]) > 1:
            yield f"  {_usd(cost)}  {name}"
    if report["would_refuse"]:
        yield f"only warned of: {counted(report['would_refuse'], 'call')} that would have been refused"
    if run["stopped_by"]:
        yield f"stopped by the budget: {run['stopped_by']}"
    elif report["refusals"]:
        yield f"{counted(report['refusals'], 'refused call')}, and the program went on"
    if run["not_covered"]:
        yield f"not covered, and not in this sum: {counted(len(run['not_covered']), 'child process')}"
    if "ledger" in run:
        yield f"ended by a signal; its ledger is kept in {run['ledger']}"


def _left(report: Mapping[str, Any]) -> str:
    parts = []
    for limit in report["limits"]:
        left = limit["remaining"]
        parts.append(f"{_usd(left) if isinstance(left, float) else f'{left:,}'} of {limit['limit']}")
    return f"; {' and '.join(parts)} left" if parts else ""


def _usd(amount: float) -> str:
    return show_usd(round(amount * 10**9))

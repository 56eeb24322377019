"""The cost report as text for a terminal or a log."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..redaction import redacted

_ROWS = 20  # of one table, and of each level in it; the others are one row together


def report_text(report: Mapping[str, Any]) -> str:
    """A report of `Session.report` or `Budget.report` as plain text: a line for each fact.

    Its children, budgets and sessions, are a table, with the rows of those that spent most first.

    Args:
        report: the dict; money in USD.
    """
    return "\n".join(_lines(report))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    remaining = report["remaining"]
    left = "" if remaining is None else f", {_usd(remaining)} left"
    reserved = f", {_usd(report['reserved'])} reserved" if report["reserved"] else ""
    yield f"{clean(report['session_id'])}: {_usd(report['total_spent'])} spent{reserved}{left}"
    for title, names in (("llm", "by_model"), ("tools", "by_tool")):
        part = report["breakdown"][title]
        if part["calls"] or part["total"]:
            yield f"  {title:<7}{_usd(part['total']):>14}  {_count(part['calls'], 'call')}"
            for name, cost in sorted(part[names].items(), key=lambda line: (-line[1], line[0])):
                yield f"    {_usd(cost):>17}  {clean(name)}"
    for limit in report["limits"]:
        resets = f", resets at {limit['resets_at']}" if limit["resets_at"] else ""
        remaining = limit["remaining"]
        left = _usd(remaining) if isinstance(remaining, float) else f"{remaining:,}"
        yield f"  limit  {clean(limit['limit'])}: {left} left{resets}"
    facts = [
        _count(report[name], word)
        for name, word in (
            ("refusals", "refusal"),
            ("would_refuse", "ignored refusal"),
            ("clamped", "lowered output cap"),
            ("truncated", "cut answer"),
            ("estimated", "estimate"),
        )
        if report.get(name)
    ]
    if report["overruns"]["count"]:
        overruns = report["overruns"]
        facts.append(f"{_count(overruns['count'], 'overrun')} of {_usd(overruns['total'])}")
    if report["saved"]:
        facts.append(f"{_usd(report['saved'])} saved by caches")
    if report["terminated_by"]:
        facts.append(f"ended by {report['terminated_by'].replace('_', ' ')}")
    if facts:
        yield f"  {', '.join(facts)}"
    if report["children"]:
        yield from (f"  {line}".rstrip() for line in _table(report["children"]))


def _table(children: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A row for each child, those that spent most first, and their own children indented below them."""
    table = [("", "spent", "reserved", "left", "calls", "tools", "refused"), *_rows(children, "")]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for name, *figures in table:
        cells = (figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True))
        yield "  ".join((name.ljust(widths[0]), *cells))


def _rows(children: Sequence[Mapping[str, Any]], indent: str) -> Iterator[tuple[str, ...]]:
    ranked = sorted(children, key=lambda child: (-child["total_spent"], child["session_id"]))
    for child in ranked[:_ROWS]:
        yield _row(f"{indent}{clean(child['session_id'])}", [child], child["remaining"])
        yield from _rows(child["children"], f"{indent}  ")
    if ranked[_ROWS:]:
        yield _row(f"{indent}and {len(ranked) - _ROWS:,} more", ranked[_ROWS:], None)


def _row(name: str, children: Sequence[Mapping[str, Any]], remaining: float | None) -> tuple[str, ...]:
    left = "-" if remaining is None else _usd(remaining)
    spent, reserved = (_usd(sum(child[key] for child in children)) for key in ("total_spent", "reserved"))
    calls, tools = (sum(child["breakdown"][kind]["calls"] for child in children) for kind in ("llm", "tools"))
    refused = sum(child["refusals"] for child in children)
    return name, spent, reserved, left, f"{calls:,}", f"{tools:,}", f"{refused:,}"


def _usd(amount: float) -> str:
    text = f"{amount:,.9f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"${whole}.{decimals.ljust(2, '0')}".replace("$-", "-$")


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def clean(name: str) -> str:
    """A hostile name without keys, control characters, line ends and marks that turn the text round."""
    return "".join(
        "?" if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") else letter
        for letter in redacted(name)
    )

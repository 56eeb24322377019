"""The figures of a report as a small piece of HTML, for a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .escape import escaped, usd

_ROWS = 5  # models and tools


def small_report(report: Mapping[str, Any]) -> str:
    """A table of the figures of a report; names in it are text.

    Args:
        report: of `Session.report` or `Budget.report`; money in USD.
    """
    rows = "".join(
        f'<tr><td style="text-align:left">{escaped(name)}</td><td style="text-align:right">{text}</td></tr>'
        for name, text in _rows(report)
    )
    # A dollar begins a formula in a notebook; not in these classes.
    return (
        '<table class="tex2jax_ignore mathjax_ignore"><caption style="text-align:left">'
        f"<b>{escaped(report['session_id'])}</b>: {usd(report['total_spent'])} spent</caption>{rows}</table>"
    )


def _rows(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    parts = report["breakdown"]
    if report["reserved"]:
        yield "held by calls in flight", usd(report["reserved"])
    if report["remaining"] is not None:
        yield "left", usd(report["remaining"])
    for limit in report["limits"]:
        left = limit["remaining"]
        yield f"left of {limit['limit']}", usd(left) if isinstance(left, float) else f"{left:,}"
    yield "calls and tool runs", f"{parts['llm']['calls'] + parts['tools']['calls']:,}"
    if report["refusals"]:
        yield "refused", f"{report['refusals']:,}"
    spent = [one for one in (*parts["llm"]["by_model"].items(), *parts["tools"]["by_tool"].items()) if one[1]]
    spent.sort(key=lambda one: (-one[1], one[0]))
    yield from ((name, usd(cost)) for name, cost in spent[:_ROWS])
    if others := spent[_ROWS:]:
        yield f"{len(others):,} other models and tools", usd(sum(cost for _, cost in others))

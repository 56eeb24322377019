"""The page: what was spent, on what, against which limits, and what is worth a look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any

from .chart import Bar, day_chart
from .escape import count, escaped, usd

_ROWS = 30  # of one table; the others are one row together
_TOKENS = {
    "input": "input",
    "cached_input": "of it read from a cache",
    "cache_write": "of it written to a cache",
    "audio_input": "of it audio",
    "output": "output",
    "reasoning": "of it reasoning",
    "audio_output": "of it audio, written",
}
_NOTES = {  # what is counted in a report or in a day, and what it means
    "refusals": "calls refused, and never sent",
    "would_refuse": "calls that would have been refused, were this no shadow mode",
    "contended": "calls that waited for money which others held",
    "clamped": "calls sent with a lower output cap",
    "truncated": "answers that ended at such a cap",
    "in_doubt": "calls whose cost nobody knows, booked as `unknown_outcome` says",
    "estimated": "charges by an estimate, since the answer told no usage",
}


def report_page(
    report: Mapping[str, Any],
    *,
    history: Mapping[str, Any] | None = None,
    findings: Sequence[str] = (),
    made: str,
    where: str | None = None,
) -> str:
    """One page of HTML without scripts, and without a request to anywhere.

    Args:
        report: of `Session.report` or `Budget.report`; money in USD.
        history: of `Budget.history`: the days for the chart.
        findings: where the ledger disagrees with itself, in words; empty where it was not asked or is clean.
        made: when and by which version the page was made, in words.
        where: the store, without a password.

    Raises:
        KeyError: it is no report.
        TypeError: it is no report.
    """
    style = files(__package__).joinpath("style.css").read_text("utf-8")
    body = "\n".join(_sections(report, history, findings, made, where))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escaped(report['session_id'])}: {usd(report['total_spent'])} spent</title>\n"
        f"<style>\n{style}</style></head><body>\n{body}\n</body></html>\n"
    )


def _sections(
    report: Mapping[str, Any],
    history: Mapping[str, Any] | None,
    findings: Sequence[str],
    made: str,
    where: str | None,
) -> Iterator[str]:
    stored = "" if where is None else f", in {escaped(where)}"
    since = "" if history is None else f". Days since {escaped(history['since'])}, {escaped(history['tz'])}"
    yield f"<header><h1>{escaped(report['session_id'])}</h1>"
    yield f'<p class="made">Made {escaped(made)}{stored} ({escaped(report["durability"])}){since}.</p>'
    yield f"{_tiles(report)}</header>"
    if findings:
        rows = "".join(f"<li>{escaped(finding)}</li>" for finding in findings)
        yield f'<section class="audit"><h2>The ledger disagrees with itself</h2><ul>{rows}</ul></section>'
    if history is not None and history["days"]:
        yield _days(report, history)
    if report["limits"]:
        yield _limits(report["limits"])
    parts = report["breakdown"]
    yield '<div class="columns">'
    yield _spent("By model", "model", parts["llm"]["by_model"].items())
    yield _spent("By tool", "tool", parts["tools"]["by_tool"].items())
    below = [(child["session_id"], child["total_spent"]) for child in report["children"]]
    yield _spent("By budget and session below", "account", below)
    yield _tokens(parts["llm"]["tokens"])
    yield "</div>"
    if not report["total_spent"] and not report["refusals"]:
        yield "<p>Nothing was spent yet.</p>"
    yield _notes(report, history)


def _tiles(report: Mapping[str, Any]) -> str:
    remaining = report["remaining"]
    calls = report["breakdown"]["llm"]["calls"] + report["breakdown"]["tools"]["calls"]
    tiles = [
        ("spent", usd(report["total_spent"]), ""),
        ("held by calls in flight", usd(report["reserved"]), ""),
        (
            "left",
            "no limit in USD" if remaining is None else usd(remaining),
            "bad" if (remaining or 0) < 0 else "",
        ),
        ("calls and tool runs", f"{calls:,}", ""),
        ("refused", f"{report['refusals']:,}", "bad" if report["refusals"] else ""),
    ]
    if report["terminated_by"]:
        tiles.append(("ended by", str(report["terminated_by"]).replace("_", " "), "bad"))
    shown = "".join(
        f'<div><dt>{escaped(name)}</dt><dd class="{kind}">{escaped(text)}</dd></div>'
        for name, text, kind in tiles
    )
    return f'<dl class="tiles">{shown}</dl>'


def _days(report: Mapping[str, Any], history: Mapping[str, Any]) -> str:
    bars = [Bar(day["day"], day["spent"], day["refusals"], day["alerts"]) for day in history["days"]]
    limit = _day_limit(report["limits"])
    total = sum(bar.spent for bar in bars)
    rows = "".join(
        f'<tr><td>{escaped(bar.day)}</td><td class="n">{usd(bar.spent)}</td>'
        f'<td class="n">{bar.refusals:,}</td><td class="n">{bar.alerts:,}</td></tr>'
        for bar in reversed(bars)
    )
    return (
        f"<section><h2>Spend by day: {usd(total)} in {count(len(bars), 'day')}</h2>"
        f"{day_chart(bars, limit, 960, 'wide')}{day_chart(bars[-14:], limit, 360, 'narrow')}"
        '<p class="note">A red mark: calls were refused on that day. A yellow one: alerts were sent.</p>'
        "<details><summary>The same as a table</summary><table>"
        '<tr><th>day</th><th class="n">spent</th><th class="n">refused</th><th class="n">alerts</th></tr>'
        f"{rows}</table></details></section>"
    )


def _day_limit(limits: Iterable[Mapping[str, Any]]) -> tuple[str, float] | None:
    """The smallest limit in USD over a calendar day, whatever model or tool it is for left out."""
    found = [
        (limit["limit"], limit["spent"] + limit["reserved"] + limit["remaining"])
        for limit in limits
        if str(limit["limit"]).endswith("/day") and str(limit["limit"]).startswith("$")
    ]
    return min(found, key=lambda one: one[1], default=None)


def _limits(limits: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for limit in limits:
        whole = limit["spent"] + limit["reserved"] + limit["remaining"]
        used = (limit["spent"] + limit["reserved"]) / whole if whole > 0 else 1.0
        left = usd(limit["remaining"]) if isinstance(limit["remaining"], float) else f"{limit['remaining']:,}"
        resets = escaped(_moment(limit["resets_at"]))
        rows.append(
            f"<tr><td>{escaped(limit['limit'])}</td>{_share(used)}"
            f'<td class="n">{used:.0%}</td><td class="n">{left}</td><td>{resets}</td></tr>'
        )
    return (
        '<section><h2>Limits</h2><table class="limits"><tr><th>limit</th><th class="share"></th>'
        '<th class="n">used</th><th class="n">left</th><th>gives back</th></tr>'
        f"{''.join(rows)}</table></section>"
    )


def _moment(moment: str | None) -> str:
    """A moment of ISO 8601, to the minute, with its offset."""
    if moment is None:
        return ""
    at = datetime.fromisoformat(moment)
    return f"{at:%Y-%m-%d %H:%M} " + ("UTC" if not at.utcoffset() else f"{at:%z}")


def _spent(title: str, what: str, spent: Iterable[tuple[str, float]]) -> str:
    found = sorted(spent, key=lambda one: (-one[1], one[0]))
    if not found:
        return ""
    total = sum(cost for _, cost in found)
    if len(found) > _ROWS:
        others = found[_ROWS:]
        found = [*found[:_ROWS], (f"{len(others):,} others", sum(cost for _, cost in others))]
    rows = "".join(
        f"<tr><td>{escaped(name)}</td>{_share(cost / total if total > 0 else 0.0, full=False)}"
        f'<td class="n">{usd(cost)}</td></tr>'
        for name, cost in found
    )
    return (
        f'<section><h2>{title}</h2><table><tr><th>{what}</th><th></th><th class="n">USD</th></tr>'
        f"{rows}</table></section>"
    )


def _tokens(tokens: Mapping[str, int]) -> str:
    rows = "".join(
        f'<tr><td>{name}</td><td class="n">{tokens[key]:,}</td></tr>'
        for key, name in _TOKENS.items()
        if tokens.get(key)
    )
    if not rows:
        return ""
    return (
        '<section><h2>Tokens</h2><table><tr><th>class</th><th class="n">tokens</th></tr>'
        f"{rows}</table></section>"
    )


def _notes(report: Mapping[str, Any], history: Mapping[str, Any] | None) -> str:
    days = [] if history is None else history["days"]
    found = {name: report.get(name, sum(day.get(name, 0) for day in days)) for name in _NOTES}
    lines = [f"{words}: {found[name]:,}" for name, words in _NOTES.items() if found[name]]
    overruns = report["overruns"]
    if overruns["count"]:
        lines.append(f"charges above their hold: {overruns['count']:,}, by {usd(overruns['total'])} in all")
    if report["saved"]:
        lines.append(f"saved by caches: {usd(report['saved'])}")
    items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
    return f"<section><h2>Worth knowing</h2><ul>{items}</ul></section>" if lines else ""


def _share(part: float, *, full: bool = True) -> str:
    wide = 100 * min(1.0, max(0.0, part))
    kind = "part full" if full and part >= 1 else "part"
    return (
        '<td class="share"><svg aria-hidden="true"><rect class="track" width="100%" height="10" rx="2"/>'
        f'<rect class="{kind}" width="{wide:.2f}%" height="10" rx="2"/></svg></td>'
    )

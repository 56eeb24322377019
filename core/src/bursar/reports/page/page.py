"""The page: what was spent, on what, against which limits, and what is worth a look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ..text import clean
from .chart import Bar, day_chart
from .escape import column, count, escaped, usd
from .tables import accounts_table, limits_table, spent_table, tokens_table

_POLICY = "default-src 'none';style-src 'unsafe-inline';img-src data:"  # nothing is fetched, nothing runs
_NARROW_DAYS = 14  # the newest days that are drawn on a phone
_KEY = '<svg class="key" aria-hidden="true">'
_REFUSED = f'{_KEY}<polygon class="refused" points="2,3 12,3 7,11"/></svg>'  # as the chart draws it
_ALERTED = f'{_KEY}<circle class="alerted" cx="7" cy="7" r="4"/></svg>'
_NOTES = {  # what is counted in a report or in a day, and what it means
    "refusals": "calls refused, and never sent",
    "would_refuse": "calls that would have been refused, were this no shadow mode",
    "contended": "calls that waited for money which others held",
    "clamped": "calls sent with a lower output cap",
    "truncated": "answers that ended at such a cap",
    "in_doubt": "calls whose cost nobody knows, booked as `unknown_outcome` says",
    "estimated": "charges by an estimate, since the answer told no usage",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A report, and what is shown beside it.

    Attributes:
        report: of `Session.report` or `Budget.report`; money in USD.
        made: when and by which version the page was made, in words.
        where: the store, without a password.
        history: of `Budget.history`: the days for the chart.
        day_limit: the limit over one day in the time zone of the history: its text, and its amount in USD.
        findings: where the ledger disagrees with itself, in words; None where it was not asked.
        remarks: sentences about how the figures came here.

    A method raises KeyError or TypeError where `report` is none.
    """

    report: Mapping[str, Any]
    made: str
    where: str | None = None
    history: Mapping[str, Any] | None = None
    day_limit: tuple[str, float] | None = None
    findings: Sequence[str] | None = None
    remarks: Sequence[str] = ()

    @property
    def title(self) -> str:
        """Whose report it is, and what was spent; as text, not as HTML."""
        return f"{clean(self.report['session_id'])}: {usd(self.report['total_spent'])} spent"

    def body(self) -> str:
        """The HTML of the page, without its head."""
        return "\n".join(self._sections())

    def html(self) -> str:
        """The whole page: without scripts, and without a request to anywhere."""
        policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        return document(self.title, f"<main>{self.body()}</main>", policy)

    def _sections(self) -> Iterator[str]:
        report, history, parts = self.report, self.history, self.report["breakdown"]
        yield f"<header><h1>{escaped(report['session_id'])}</h1>"
        yield f'<p class="made">{escaped(" ".join(self._origin()))}</p>{_tiles(report)}</header>'
        if report.get("tripped"):
            yield f'<p class="bad">Stopped: {escaped(report["tripped"])}</p>'
        if self.findings:
            rows = "".join(f"<li>{escaped(finding)}</li>" for finding in self.findings)
            yield f'<section class="audit"><h2>The ledger disagrees with itself</h2><ul>{rows}</ul></section>'
        if history is not None and history["days"]:
            yield self._days(history)
        if report["limits"]:
            yield limits_table(report["limits"])
        yield '<div class="columns">'
        yield spent_table("By model", "model", parts["llm"]["by_model"])
        yield spent_table("By tool", "tool", parts["tools"]["by_tool"])
        yield spent_table(*_by_agent(report))
        yield tokens_table(parts["llm"]["tokens"])
        yield "</div>"
        below = report["children"]
        tenants = [child for child in below if child.get("kind") == "budget"]
        sessions = [child for child in below if child.get("kind") != "budget"]
        yield accounts_table("By tenant", "budget", tenants)
        if report.get("kind") == "budget":
            more = report["sessions"] - len(sessions)
            newest = f": the newest {len(sessions):,} of {report['sessions']:,}" if more > 0 else ""
            yield accounts_table(f"By session{newest}", "session", sessions)
        if not report["total_spent"] and not report["refusals"]:
            yield "<p>Nothing was spent yet.</p>"
        yield self._notes()

    def _origin(self) -> Iterator[str]:
        stored = "" if self.where is None else f", from {self.where}"
        yield f"Made {self.made}{stored} ({self.report['durability']})."
        if self.history is not None:
            yield f"Days since {self.history['since']}, in {self.history['tz']}."
        yield from self.remarks

    def _days(self, history: Mapping[str, Any]) -> str:
        bars = [Bar(day["day"], day["spent"], day["refusals"], day["alerts"]) for day in history["days"]]
        newest = bars[-_NARROW_DAYS:]
        axis = "day" if newest == bars else f"day, the newest {len(newest)} of {len(bars)}"
        shown = column([bar.spent for bar in bars])
        rows = "".join(
            f'<tr><td>{escaped(bar.day)}</td><td class="n">{spent}</td>'
            f'<td class="n">{bar.refusals:,}</td><td class="n">{bar.alerts:,}</td></tr>'
            for bar, spent in reversed(list(zip(bars, shown, strict=True)))
        )
        return (
            f"<section><h2>Spend by day: {usd(sum(bar.spent for bar in bars))} in {count(len(bars), 'day')}"
            f"</h2>{day_chart(bars, self.day_limit, 800, 'wide')}"
            f"{day_chart(newest, self.day_limit, 360, 'narrow', axis)}"
            f'<p class="note">{_REFUSED} calls were refused on that day {_ALERTED} alerts were sent</p>'
            "<details><summary>The same as a table</summary><table>"
            '<tr><th>day</th><th class="n">spent</th><th class="n">refused</th><th class="n">alerts</th></tr>'
            f"{rows}</table></details></section>"
        )

    def _notes(self) -> str:
        report = self.report
        days = [] if self.history is None else self.history["days"]
        found = {name: report.get(name, sum(day.get(name, 0) for day in days)) for name in _NOTES}
        lines = [f"{words}: {found[name]:,}" for name, words in _NOTES.items() if found[name]]
        overruns = report["overruns"]
        if overruns["count"]:
            lines.append(
                f"charges above their hold: {overruns['count']:,}, by {usd(overruns['total'])} in all"
            )
        if report["saved"]:
            lines.append(f"saved by caches: {usd(report['saved'])}")
        if self.findings is not None and not self.findings:
            lines.append("audit: every balance is what its records add up to")
        items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
        return f"<section><h2>Worth knowing</h2><ul>{items}</ul></section>" if lines else ""


def document(title: str, content: str, head: str) -> str:
    """A document of HTML in the style of the page.

    Args:
        title: as text.
        content: HTML.
        head: more HTML for its head.
    """
    style = files(__package__).joinpath("style.css").read_text("utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{head}'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escaped(title)}</title>\n'
        f"<style>\n{style}</style></head><body>\n{content}\n</body></html>\n"
    )


def _tiles(report: Mapping[str, Any]) -> str:
    remaining, breakdown = report["remaining"], report["breakdown"]
    left = "no limit in USD" if remaining is None else usd(remaining)
    tiles = [
        ("spent", usd(report["total_spent"]), False),
        ("held by calls in flight", usd(report["reserved"]), False),
        ("left", left, (remaining or 0) < 0),
        ("calls and tool runs", f"{breakdown['llm']['calls'] + breakdown['tools']['calls']:,}", False),
        ("refused", f"{report['refusals']:,}", report["refusals"] > 0),
    ]
    if report["terminated_by"]:
        tiles.append(("ended by", str(report["terminated_by"]).replace("_", " "), True))
    shown = "".join(
        f"<div><dt>{name}</dt><dd{' class=bad' * bad}>{escaped(text)}</dd></div>" for name, text, bad in tiles
    )
    return f'<dl class="tiles">{shown}</dl>'


def _by_agent(report: Mapping[str, Any]) -> tuple[str, str, dict[str, float]]:
    """The table of what the parts of a session spent; of a budget, those of its sessions by their names."""
    title, parts = "By agent", [child for child in report["children"] if child.get("kind") != "budget"]
    if report.get("kind") == "budget":
        title, parts = (
            "By agent, in the sessions below",
            [part for session in parts for part in session["children"]],
        )
    found: dict[str, float] = {}
    for part in parts:
        found[part["session_id"]] = found.get(part["session_id"], 0.0) + part["total_spent"]
    return title, "agent", found

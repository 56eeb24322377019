"""The tables of the page: limits, what was spent on what, accounts, tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from .escape import column, escaped, named, usd

_ROWS = 30  # of one table, and of each level of one; the others are one row together
_DEEPEST = 3  # levels of accounts; what is below is counted in them
_TOKENS = {
    "input": "input",
    "cached_input": "of it read from a cache",
    "cache_write": "of it written to a cache",
    "audio_input": "of it audio",
    "output": "output",
    "reasoning": "of it reasoning",
    "audio_output": "of it audio, written",
}


def limits_table(limits: Iterable[Mapping[str, Any]]) -> str:
    """How much of each limit is spent or held, and when it gives back."""
    rows = []
    for limit in limits:
        whole = limit["spent"] + limit["reserved"] + limit["remaining"]
        used = (limit["spent"] + limit["reserved"]) / whole if whole > 0 else 1.0
        left = usd(limit["remaining"]) if isinstance(limit["remaining"], float) else f"{limit['remaining']:,}"
        resets = f"<small>gives back {_moment(limit['resets_at'])}</small>" if limit["resets_at"] else ""
        rows.append(
            f"<tr><td>{escaped(limit['limit'])}{resets}</td>{_share(used, 'full' if used >= 1 else '')}"
            f'<td class="n">{used:.0%}</td><td class="n">{left}</td></tr>'
        )
    heads = '<th>limit</th><th class="share"></th><th class="n">used</th><th class="n">left</th>'
    return _table("Limits", heads, rows)


def spent_table(title: str, what: str, spent: Mapping[str, float]) -> str:
    """The names by what was spent on them, the dearest first; nothing where there are none."""
    found = sorted(spent.items(), key=lambda one: (-one[1], one[0]))
    total = sum(spent.values())
    if others := found[_ROWS:]:
        found = [*found[:_ROWS], (f"{len(others):,} others", sum(cost for _, cost in others))]
    rows = [
        f'<tr><td>{named(name)}</td>{_part(cost, total)}<td class="n">{shown}</td></tr>'
        for (name, cost), shown in zip(found, column([cost for _, cost in found]), strict=True)
    ]
    return _table(title, f'<th>{what}</th><th class="share"></th><th class="n">USD</th>', rows)


class _Row(NamedTuple):
    name: str
    depth: int
    spent: float
    remaining: float | None


def accounts_table(title: str, what: str, accounts: Sequence[Mapping[str, Any]]) -> str:
    """Accounts with those below them, the dearest of each level first; nothing where there are none."""
    total = sum(account["total_spent"] for account in accounts)
    found = list(_accounts(accounts, 0))
    spent, left = column([row.spent for row in found]), column([row.remaining for row in found])
    rows = [
        f'<tr><td class="d{row.depth}">{named(row.name)}</td>{_part(row.spent, total)}'
        f'<td class="n">{spent[place]}</td><td class="n left">{left[place]}</td></tr>'
        for place, row in enumerate(found)
    ]
    heads = f'<th>{what}</th><th class="share"></th><th class="n">USD</th><th class="n left">left</th>'
    return _table(title, heads, rows)


def _accounts(accounts: Iterable[Mapping[str, Any]], depth: int) -> Iterator[_Row]:
    found = sorted(accounts, key=lambda one: (-one["total_spent"], one["session_id"]))
    for one in found[:_ROWS]:
        yield _Row(one["session_id"], depth, one["total_spent"], one["remaining"])
        if depth + 1 < _DEEPEST:
            below = (child for child in one["children"] if child.get("kind") == "budget")
            yield from _accounts(below, depth + 1)
    if others := found[_ROWS:]:
        yield _Row(f"{len(others):,} others", depth, sum(one["total_spent"] for one in others), None)


def tokens_table(tokens: Mapping[str, int]) -> str:
    """How many tokens there were of each class; nothing where there were none."""
    rows = [
        f'<tr><td>{name}</td><td class="n">{tokens[key]:,}</td></tr>'
        for key, name in _TOKENS.items()
        if tokens.get(key)
    ]
    return _table("Tokens", '<th>class</th><th class="n">tokens</th>', rows)


def _table(title: str, heads: str, rows: Sequence[str]) -> str:
    if not rows:
        return ""
    return f"<section><h2>{escaped(title)}</h2><table><tr>{heads}</tr>{''.join(rows)}</table></section>"


def _part(cost: float, total: float) -> str:
    return _share(cost / total if total > 0 else 0.0, "")


def _share(part: float, kind: str) -> str:
    """A part of something as a bar."""
    wide = 100 * min(1.0, max(0.0, part))
    return (
        '<td class="share"><svg aria-hidden="true"><rect class="track" width="100%" height="10" rx="2"/>'
        f'<rect class="part {kind}" width="{wide:.2f}%" height="10" rx="2"/></svg></td>'
    )


def _moment(moment: str) -> str:
    """A moment of ISO 8601, to the minute, with its offset."""
    at = datetime.fromisoformat(moment)
    return f"{at:%Y-%m-%d %H:%M} " + ("UTC" if not at.utcoffset() else f"{at:%z}")

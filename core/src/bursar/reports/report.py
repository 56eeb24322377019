"""Builds the cost report: a plain dict that ``json.dumps`` takes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ..redaction import redacted, redacted_keys
from ..runtime.sharing import in_turns
from ..store.views import AccountView, LimitView, Snapshot
from ..values.account import is_session, name_of
from ..values.limits import Limit
from ..values.money import float_usd
from ..values.window import calendar, zone
from .balance import Below, by_kind, by_parent, left
from .events import Event

_CLASSES = ("input", "output", "cached_input", "cache_write", "reasoning", "audio_input", "audio_output")


class Report(dict[str, Any]):
    """A report: a dict, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        from .page import small_report  # only a notebook needs it

        return small_report(self)


def build_report(
    snapshot: Snapshot,
    views: tuple[AccountView, ...],
    *,
    events: Iterable[Event],
    terminated_by: str | None,
    durability: str,
) -> Report:
    """What the last account of a path spent, on what, and what is left.

    Money is in USD as float, for people and dashboards; the ledger itself keeps integers.
    """
    above, leaf = _ends(views)
    report = Report(_build(snapshot.now_ms, by_parent(snapshot), leaf, above, durability))
    report |= {
        "terminated_by": terminated_by,
        "events": [redacted(event.shown()) for event in in_turns(events)],
    }
    return report


def _ends(views: tuple[AccountView, ...]) -> tuple[int | None, AccountView]:
    """What is left above the last account of a path, and that account."""
    above = None
    for view in views[:-1]:
        above = left(view, above)
    return above, views[-1]


def _build(
    now_ms: int, below: Below, leaf: AccountView, above: int | None, durability: str
) -> dict[str, Any]:
    rest, tally = left(leaf, above), leaf.tally
    own = [view.limit.amount for view in leaf.limits if view.limit.unit == "usd" and not view.limit.selective]
    models, tools = by_kind(leaf, "model"), by_kind(leaf, "tool")
    return {
        "session_id": redacted(name_of(leaf.key)),
        "kind": "session" if is_session(leaf.key) else "budget",
        "budget": float_usd(min(own)) if own else None,
        "total_spent": float_usd(leaf.spent.usd),
        "reserved": float_usd(leaf.reserved.usd),
        "remaining": float_usd(rest) if rest is not None else None,
        "breakdown": {
            "llm": {
                "total": float_usd(models.usd),
                "calls": models.calls,
                "tokens": {name: tally.get(name, 0) for name in _CLASSES},
                "by_model": _by_name(leaf, "model"),
            },
            "tools": {
                "total": float_usd(tools.usd),
                "calls": tools.calls,
                "by_tool": _by_name(leaf, "tool"),
            },
        },
        "limits": [_limit(view, now_ms) for view in leaf.limits],
        "overruns": {
            "count": tally.get("overruns", 0),
            "total": float_usd(tally.get("overrun_usd", 0)),
        },
        "refusals": tally.get("refusals", 0),
        "would_refuse": tally.get("would_refuse", 0),
        "contended": tally.get("contended", 0),
        "clamped": tally.get("clamped", 0),
        "truncated": tally.get("truncated", 0),
        "estimated": tally.get("estimated", 0),
        "saved": float_usd(tally.get("saved", 0)),
        "duration_seconds": max(0, now_ms - leaf.opened_ms) / 1000,
        "terminated_by": None,
        "durability": durability,
        "sessions": leaf.sessions,
        "children": [
            _build(now_ms, below, view, rest, durability) for view in in_turns(below.get(leaf.key, ()))
        ],
        "events": [],
    }


def summary(snapshot: Snapshot, views: tuple[AccountView, ...]) -> dict[str, dict[str, Any]]:
    """The figures of the last account of a path, and of the budgets right below it, by name."""
    above, leaf = _ends(views)
    rest = left(leaf, above)
    found = {name_of(leaf.key): _figures(leaf, rest)}
    for view in in_turns(by_parent(snapshot).get(leaf.key, ())):
        found[name_of(view.key)] = _figures(view, left(view, rest))
    return redacted_keys(in_turns(found.items()))


def tree(snapshot: Snapshot, views: tuple[AccountView, ...]) -> dict[str, dict[str, Any]]:
    """The figures of an account and of all budgets below it, nested."""
    above, leaf = _ends(views)
    return redacted_keys([(name_of(leaf.key), _tree(by_parent(snapshot), leaf, above))])


def _tree(below: Below, leaf: AccountView, above: int | None) -> dict[str, Any]:
    rest = left(leaf, above)
    found = {name_of(view.key): _tree(below, view, rest) for view in in_turns(below.get(leaf.key, ()))}
    return {**_figures(leaf, rest), "children": redacted_keys(in_turns(found.items()))}


def _figures(view: AccountView, rest: int | None) -> dict[str, Any]:
    return {
        "spent": float_usd(view.spent.usd),
        "reserved": float_usd(view.reserved.usd),
        "remaining": float_usd(rest) if rest is not None else None,
        "tokens": view.spent.tokens,
        "calls": by_kind(view, "model").calls,
    }


def _by_name(view: AccountView, kind: str) -> dict[str, float]:
    nanos: dict[str, int] = {}
    for subject, (spent, _) in view.subjects.items():
        if subject.kind == kind:
            name = (subject.models[0] if kind == "model" else subject.tool) or "unnamed"
            nanos[name] = nanos.get(name, 0) + spent.usd
    return redacted_keys((name, float_usd(amount)) for name, amount in nanos.items())


def _limit(view: LimitView, now_ms: int) -> dict[str, Any]:
    limit, resets_ms = view.limit, view.frees_ms
    if limit.tz:
        resets_ms = getattr(calendar(now_ms, limit.tz), limit.window).end_ms
    return {
        "limit": redacted(str(view.limit)),
        "spent": _number(view.limit, view.spent),
        "reserved": _number(view.limit, view.reserved),
        "remaining": _number(view.limit, view.remaining),
        "resets_at": None if resets_ms is None else _moment(resets_ms, limit.tz or "UTC"),
    }


def _moment(moment_ms: int, tz: str) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, zone(tz)).isoformat()


def _number(limit: Limit, amount: int) -> float | int:
    return float_usd(amount) if limit.unit == "usd" else amount

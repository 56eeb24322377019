"""Builds the cost report: a plain dict that ``json.dumps`` takes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ..redaction import redacted
from ..store.base import AccountView, LimitView, Snapshot
from ..values.account import is_session, name_of
from ..values.limits import Limit
from ..values.money import to_usd
from ..values.window import calendar, zone
from .balance import Below, balance, by_kind, by_parent
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
    below = by_parent(snapshot)
    report = Report(redacted(_build(snapshot.now_ms, below, views, durability)))
    report |= {"terminated_by": terminated_by, "events": [redacted(event.shown()) for event in events]}
    return report


def _build(now_ms: int, below: Below, views: tuple[AccountView, ...], durability: str) -> dict[str, Any]:
    leaf = views[-1]
    state = balance(views)
    own = [view.limit.amount for view in leaf.limits if view.limit.unit == "usd" and not view.limit.selective]
    models, tools = by_kind(leaf, "model"), by_kind(leaf, "tool")
    return {
        "session_id": name_of(leaf.key),
        "kind": "session" if is_session(leaf.key) else "budget",
        "budget": float(to_usd(min(own))) if own else None,
        "total_spent": float(state.spent),
        "reserved": float(state.reserved),
        "remaining": float(state.remaining) if state.remaining is not None else None,
        "breakdown": {
            "llm": {
                "total": float(to_usd(models.usd)),
                "calls": models.calls,
                "tokens": {name: leaf.tally.get(name, 0) for name in _CLASSES},
                "by_model": _by_name(leaf, "model"),
            },
            "tools": {
                "total": float(to_usd(tools.usd)),
                "calls": tools.calls,
                "by_tool": _by_name(leaf, "tool"),
            },
        },
        "limits": [_limit(view, now_ms) for view in leaf.limits],
        "overruns": {
            "count": leaf.tally.get("overruns", 0),
            "total": float(to_usd(leaf.tally.get("overrun_usd", 0))),
        },
        "refusals": leaf.tally.get("refusals", 0),
        "would_refuse": leaf.tally.get("would_refuse", 0),
        "contended": leaf.tally.get("contended", 0),
        "clamped": leaf.tally.get("clamped", 0),
        "truncated": leaf.tally.get("truncated", 0),
        "estimated": leaf.tally.get("estimated", 0),
        "saved": float(to_usd(leaf.tally.get("saved", 0))),
        "duration_seconds": max(0, now_ms - leaf.opened_ms) / 1000,
        "terminated_by": None,
        "durability": durability,
        "sessions": leaf.sessions,
        "children": [_build(now_ms, below, (*views, view), durability) for view in below.get(leaf.key, ())],
        "events": [],
    }


def summary(snapshot: Snapshot, views: tuple[AccountView, ...]) -> dict[str, dict[str, Any]]:
    """The figures of the last account of a path, and of the budgets right below it, by name."""
    found = {name_of(views[-1].key): _figures(views)}
    for view in by_parent(snapshot).get(views[-1].key, ()):
        found[name_of(view.key)] = _figures((*views, view))
    shown: dict[str, dict[str, Any]] = redacted(found)
    return shown


def tree(snapshot: Snapshot, views: tuple[AccountView, ...]) -> dict[str, dict[str, Any]]:
    """The figures of an account and of all budgets below it, nested."""
    shown: dict[str, dict[str, Any]] = redacted(_tree(by_parent(snapshot), views))
    return shown


def _tree(below: Below, views: tuple[AccountView, ...]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for view in below.get(views[-1].key, ()):
        found |= _tree(below, (*views, view))
    return {name_of(views[-1].key): {**_figures(views), "children": found}}


def _figures(views: tuple[AccountView, ...]) -> dict[str, Any]:
    state = balance(views)
    return {
        "spent": float(state.spent),
        "reserved": float(state.reserved),
        "remaining": float(state.remaining) if state.remaining is not None else None,
        "tokens": state.tokens_spent,
        "calls": state.calls,
    }


def _by_name(view: AccountView, kind: str) -> dict[str, float]:
    nanos: dict[str, int] = {}
    for subject, (spent, _) in view.subjects.items():
        if subject.kind == kind:
            name = (subject.models[0] if kind == "model" else subject.tool) or "unnamed"
            nanos[name] = nanos.get(name, 0) + spent.usd
    return {name: float(to_usd(amount)) for name, amount in nanos.items()}


def _limit(view: LimitView, now_ms: int) -> dict[str, Any]:
    limit, resets_ms = view.limit, view.frees_ms
    if limit.tz:
        resets_ms = getattr(calendar(now_ms, limit.tz), limit.window).end_ms
    return {
        "limit": str(view.limit),
        "spent": _number(view.limit, view.spent),
        "reserved": _number(view.limit, view.reserved),
        "remaining": _number(view.limit, view.remaining),
        "resets_at": None if resets_ms is None else _moment(resets_ms, limit.tz or "UTC"),
    }


def _moment(moment_ms: int, tz: str) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, zone(tz)).isoformat()


def _number(limit: Limit, amount: int) -> float | int:
    return float(to_usd(amount)) if limit.unit == "usd" else amount

"""The cost report: a plain dict that ``json.dumps`` takes."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from .account import is_session, name_of
from .limits import Limit
from .money import to_usd
from .standing import balance, by_kind, children
from .store.base import AccountView, LimitView, Snapshot

_CLASSES = ("input", "output", "cached_input", "cache_write", "reasoning", "audio_input", "audio_output")


def build_report(
    snapshot: Snapshot,
    views: tuple[AccountView, ...],
    *,
    events: Iterable[dict[str, Any]],
    terminated_by: str | None,
    durability: str,
) -> dict[str, Any]:
    """What the last account of a path spent, on what, and what is left.

    Money is in USD as float, for people and dashboards; the ledger itself keeps integers.
    """
    leaf = views[-1]
    state = balance(views)
    own = [view.limit.amount for view in leaf.limits if view.limit.unit == "usd" and not view.limit.selective]
    models, tools = by_kind(leaf, "model"), by_kind(leaf, "tool")
    return {
        "session_id": name_of(leaf.key),
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
        "limits": [_limit(view) for view in leaf.limits],
        "overruns": {
            "count": leaf.tally.get("overruns", 0),
            "total": float(to_usd(leaf.tally.get("overrun_usd", 0))),
        },
        "refusals": leaf.tally.get("refusals", 0),
        "estimated": leaf.tally.get("estimated", 0),
        "saved": float(to_usd(leaf.tally.get("saved", 0))),
        "duration_seconds": max(0, snapshot.now_ms - leaf.opened_ms) / 1000,
        "terminated_by": terminated_by,
        "durability": durability,
        "children": [
            build_report(snapshot, (*views, view), events=(), terminated_by=None, durability=durability)
            for key, view in children(snapshot, leaf.key).items()
            if is_session(key)
        ],
        "events": [_plain(event) for event in events],
    }


def _by_name(view: AccountView, kind: str) -> dict[str, float]:
    nanos: dict[str, int] = {}
    for subject, (spent, _) in view.subjects.items():
        if subject.kind == kind:
            name = (subject.models[0] if kind == "model" else subject.tool) or "unnamed"
            nanos[name] = nanos.get(name, 0) + spent.usd
    return {name: float(to_usd(amount)) for name, amount in nanos.items()}


def _limit(view: LimitView) -> dict[str, Any]:
    return {
        "limit": str(view.limit),
        "spent": _number(view.limit, view.spent),
        "reserved": _number(view.limit, view.reserved),
        "remaining": _number(view.limit, view.remaining),
        "resets_at": None,
    }


def _number(limit: Limit, amount: int) -> float | int:
    return float(to_usd(amount)) if limit.unit == "usd" else amount


def _plain(event: dict[str, Any]) -> dict[str, Any]:
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in event.items()}

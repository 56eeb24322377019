"""The text format of Prometheus: budgets and tenants, never sessions, and a bounded number of series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..reports.balance import balance, by_kind
from ..store.views import AccountView, LimitView
from ..values.account import is_session, shown_key
from ..values.limits import Limit
from ..values.money import to_usd
from .accounts import Found, keys_of_path
from .screen import harmless

MOST_SERIES = 1_000

_HELP = {
    "bursar_spent_usd": "Charged to the budget since its last reset.",
    "bursar_reserved_usd": "Held by calls in flight.",
    "bursar_remaining_usd": "The smallest that a limit in USD has left, of the budget or of one above it.",
    "bursar_tokens": "Input and output tokens.",
    "bursar_calls": "Answered, paid calls to models.",
    "bursar_refusals": "Calls that did not fit and were not made.",
    "bursar_stopped": "1 where the budget is stopped, by its kill switch or its breaker.",
    "bursar_limit": "A limit, in its unit.",
    "bursar_limit_used": "What is spent and reserved of a limit, in its unit.",
}


def exposition(found: Iterable[Found]) -> str:
    """All series of these budgets and those below them; of too many those that spent least are out."""
    paths = [path for one in found if not is_session(one.key) for path in _paths(one)]
    paths.sort(key=lambda views: (-views[-1].spent.usd, views[-1].key))
    series: dict[str, list[str]] = {}
    count = left_out = 0
    for views in paths:
        mine = list(_series(views))
        if count + len(mine) > MOST_SERIES:
            left_out += 1
            continue
        count += len(mine)
        for name, labels, value in mine:
            series.setdefault(name, []).append(f"{name}{{{labels}}} {value}")
    lines = [f"# {left_out} budgets are left out: there are at most {MOST_SERIES} series"] if left_out else []
    for name, samples in series.items():
        lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge", *samples]
    return "\n".join(lines)


def _paths(found: Found) -> Iterator[tuple[AccountView, ...]]:
    known = found.snapshot.accounts
    for key in known:
        if key == found.key or key.startswith(f"{found.key}/"):
            yield tuple(known[above] for above in keys_of_path(key))


def _series(views: tuple[AccountView, ...]) -> Iterator[tuple[str, str, str]]:
    view, state = views[-1], balance(views)
    account = _label("account", shown_key(view.key))
    yield "bursar_spent_usd", account, str(state.spent)
    yield "bursar_reserved_usd", account, str(state.reserved)
    if state.remaining is not None:
        yield "bursar_remaining_usd", account, str(state.remaining)
    yield "bursar_tokens", account, str(state.tokens_spent)
    yield "bursar_calls", account, str(by_kind(view, "model").calls)
    yield "bursar_refusals", account, str(view.tally.get("refusals", 0))
    yield (
        "bursar_stopped",
        account,
        str(int(view.tripped is not None or view.circuit in ("open", "forced_open"))),
    )
    for limit in view.limits:
        labels = f"{account},{_label('limit', str(limit.limit))},{_label('unit', limit.limit.unit)}"
        yield "bursar_limit", labels, _number(limit.limit, limit.limit.amount)
        yield "bursar_limit_used", labels, _number(limit.limit, _taken(limit))


def _taken(view: LimitView) -> int:
    return view.spent + view.reserved


def _number(limit: Limit, amount: int) -> str:
    return str(to_usd(amount)) if limit.unit == "usd" else str(amount)


def _label(name: str, value: str) -> str:
    escaped = harmless(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'

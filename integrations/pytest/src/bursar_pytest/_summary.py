"""What tests have spent, as properties of their reports, and the lines about it at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

_USD, _CALLS = "bursar_usd", "bursar_calls"  # they come in the XML of JUnit, too


class Cost(NamedTuple):
    """What a test has spent.

    Attributes:
        usd: in dollars.
        calls: of models, and runs of tools.
    """

    usd: Decimal
    calls: int


def properties(report: Mapping[str, Any]) -> list[tuple[str, object]]:
    """What the report of a session says; none where nothing was spent."""
    spent = report["breakdown"]
    usd, calls = report["total_spent"], spent["llm"]["calls"] + spent["tools"]["calls"]
    return [(_USD, f"{usd:.9f}"), (_CALLS, calls)] if usd or calls else []


def costs(reports: Iterator[Any]) -> dict[str, Cost]:
    """What each test has spent, by the properties of its reports: of each attempt, where it was repeated."""
    found: dict[str, Cost] = {}
    for report in reports:
        said = dict(report.user_properties)
        if _USD in said:
            before = found.get(report.nodeid, Cost(Decimal(0), 0))
            found[report.nodeid] = Cost(before.usd + Decimal(said[_USD]), before.calls + int(said[_CALLS]))
    return found


def lines(costs: Mapping[str, Cost]) -> Iterator[str]:
    """One for each test, the dearest first."""
    dearest = sorted(costs.items(), key=lambda test: (-test[1].usd, test[0]))
    width = max((len(shown(cost.usd)) for cost in costs.values()), default=0)
    for test, cost in dearest:
        calls = "1 call " if cost.calls == 1 else f"{cost.calls} calls"
        yield f"{shown(cost.usd):<{width}}  {calls}  {test}"


def shown(usd: Decimal) -> str:
    """An amount, with two decimals or as many as it has: ``$0.50``, ``$0.000525``."""
    whole, _, decimals = f"{usd:.9f}".partition(".")
    return f"${whole}.{decimals.rstrip('0'):0<2}"

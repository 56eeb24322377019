"""The public API as type checkers see it: this file is checked, and never run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from typing_extensions import assert_type

from bursar import Budget, BudgetExceeded, Charge, Hold, Limit, Price, Session, Usage
from bursar_langchain import BudgetCallback

budget = Budget("$5", "2M tokens/day", Limit("$1", model="gpt-4o"), prices={"mine": Price(1, "2.50")})
assert_type(budget.session("$1", id="run-7"), Session)
assert_type(budget.child("alice", 10), Budget)
assert_type(budget.spent, Decimal)
assert_type(budget.remaining, Decimal | None)
assert_type(budget.report(), dict[str, Any])

with budget.session() as session:
    assert_type(session, Session)
    with session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200) as hold:
        assert_type(hold, Hold)
        assert_type(hold.max_output_tokens, int | None)
        assert_type(hold.settle(input_tokens=640, output_tokens=120), Charge)
    assert_type(session.reserve(tool="search", cost="$0.01").settle(cost=Decimal("0.01")), Charge)
    assert_type(session.reserve("gpt-4o", messages=[{"role": "user"}]).settle(usage=Usage(1, 1)), Charge)


async def main() -> None:
    """The same for async code."""
    async with budget.session() as session:
        assert_type(session, Session)
        async with session.areserve("gpt-4o", input_tokens=800, max_output_tokens=200) as hold:
            assert_type(hold, Hold)
            assert_type(await hold.asettle(input_tokens=640, output_tokens=120), Charge)
        assert_type(await session.areserve("gpt-4o", input_tokens=1), Hold)
        assert_type(await budget.areport(), dict[str, Any])


def reads(refusal: BudgetExceeded, callback: BudgetCallback) -> None:
    """What a refusal and a callback tell."""
    assert_type(refusal.limit, str | None)
    assert_type(callback.session, Session)

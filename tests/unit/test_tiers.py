"""At each tier that is declared, calls are settled by hand until one is refused: the bill is within the limit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Usage

# The list prices of gpt-5 by tier, in dollars per million tokens: input, cached input, output.
RATES = {
    None: ("1.25", "0.125", "10"),
    "batch": ("0.625", "0.0625", "5"),
    "flex": ("0.625", "0.0625", "5"),
    "priority": ("2.5", "0.25", "20"),
}
CAP, CALLS = 400, 1_000


@pytest.mark.parametrize("tier", RATES)
def test_the_bill_of_a_thousand_calls_is_within_the_limit(tier: Any) -> None:
    """By literal rates, each call rounded up to a nano-dollar; and nearly all of the limit is spent."""
    random, bill = Random(str(tier)), 0
    plain, cached, output = (Fraction(rate) * 1_000 for rate in RATES[tier])
    limit = int(output * CAP * CALLS / 2)
    session = Budget(Decimal(limit).scaleb(-9), tier=tier).session()
    with pytest.raises(BudgetExceeded):
        for _ in range(CALLS * 4):
            sent = random.randint(1, 60)
            hold = session.reserve("gpt-5", input_tokens=60, max_output_tokens=CAP)
            read, made = random.randint(0, sent), random.randint(1, hold.max_output_tokens or CAP)
            hold.settle(usage=Usage(sent, made, cached_input_tokens=read))
            bill += -(-((sent - read) * plain + read * cached + made * output) // 1)
    assert session.calls > CALLS / 2
    assert session.spent * 10**9 == bill <= limit < bill + 2 * CAP * output

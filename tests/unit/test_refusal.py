"""A refusal of the store becomes an error that says everything."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bursar.errors import BudgetExceeded, Tripped
from bursar.ledger.refusals import booked_refusal, refusal
from bursar.store.base import Refused
from bursar.values.call import Call
from bursar.values.charge import Charge
from bursar.values.limits import Limit

MODEL = Call("1", "model", "gpt-4o")
TOOL = Call("1", "tool", tool="web_search")
BARE = Call("1", "tool")


def test_refusal_by_a_dollar_limit() -> None:
    """The message says what was asked, what was left, of which limit, and what to do; the attributes say it in dollars."""
    error = refusal(
        Refused(
            "default/alice/@run-7", Limit("$5"), 4_500_000_000, 400_000_000, 600_000_000, retry_after_s=30.0
        ),
        MODEL,
    )
    assert type(error) is BudgetExceeded
    assert str(error) == (
        "a call to 'gpt-4o' was not made: it may take $0.60, and of $5/session in 'default/alice/run-7'"
        " $0.10 is left ($4.50 spent, $0.40 reserved);"
        " wait 30 s, or raise the limit, ask for fewer output tokens, or use a cheaper model"
    )
    assert vars(error) == {
        "limit": "$5/session",
        "account": "default/alice/run-7",
        "spent": Decimal("4.5"),
        "reserved": Decimal("0.4"),
        "asked": Decimal("0.6"),
        "remaining": Decimal("0.1"),
        "retry_after": 30.0,
        "model": "gpt-4o",
        "tool": None,
    }


@pytest.mark.parametrize(
    ("limit", "parts", "advice"),
    [
        (Limit("10k tokens/total"), ("1,600 tokens", "10k tokens/total", "1,500 tokens"), "raise the limit"),
        (
            Limit("10k calls", tool="*"),
            ("1,600 calls", "10k calls/session (tool=*)", "1,500 calls"),
            "raise the limit",
        ),
    ],
)
def test_refusal_by_a_counting_limit(limit: Limit, parts: tuple[str, ...], advice: str) -> None:
    """For tokens and calls the amounts are counts, in the message and in the attributes."""
    error = refusal(Refused("default", limit, 8_000, 500, 1_600), TOOL)
    assert all(part in str(error) for part in ("a run of 'web_search'", *parts, advice))
    amounts: list[Any] = [error.spent, error.reserved, error.asked, error.remaining]
    assert amounts == [8_000, 500, 1_600, 1_500]
    assert {type(amount) for amount in amounts} == {int}
    assert (error.model, error.tool, error.retry_after) == (None, "web_search", None)


@pytest.mark.parametrize(
    ("limit", "call", "advice"),
    [
        (Limit("$1"), MODEL, "raise the limit, ask for fewer output tokens, or use a cheaper model"),
        (Limit("1 tokens"), MODEL, "raise the limit, or ask for fewer output tokens"),
        (Limit("1 calls"), MODEL, "raise the limit"),
        (Limit("$1"), TOOL, "raise the limit"),
        (Limit("$1"), BARE, "raise the limit"),
    ],
)
def test_advice_fits_the_call(limit: Limit, call: Call, advice: str) -> None:
    """The message advises only what would help: a cheaper model is none for a tool."""
    assert str(refusal(Refused("default", limit, 0, 0, 2 * 10**9), call)).endswith(f"; {advice}")


def test_refusal_in_debt() -> None:
    """After an overrun less than nothing is left, and the message says so."""
    error = refusal(Refused("default", Limit("$5"), 5_250_000_000, 0, 1), BARE)
    assert error.remaining == Decimal("-0.25")
    assert str(error).startswith(
        "this call was not made: it may take $0.000000001, and of $5/session in 'default' -$0.25"
    )


@pytest.mark.parametrize(
    ("call", "what"), [(MODEL, "a call to 'gpt-4o'"), (TOOL, "a run of 'web_search'"), (BARE, "this call")]
)
def test_refusal_of_a_stopped_account(call: Call, what: str) -> None:
    """A stopped account is `Tripped`, with the words of whoever stopped it."""
    error = refusal(Refused("default/@run", tripped="by hand"), call)
    assert isinstance(error, Tripped)
    assert str(error) == f"{what} was not made: 'default/run' is stopped (by hand); untrip it to go on"
    assert (error.reason, error.account, error.model, error.tool) == (
        "by hand",
        "default/run",
        call.model,
        call.tool,
    )
    assert error.limit is None
    assert error.remaining is None


@pytest.mark.parametrize("call", [MODEL, TOOL])
def test_refusal_after_the_fact_by_a_store_that_says_little(call: Call) -> None:
    """A store that names no limit is believed all the same, before the call and after it."""
    nothing, ten_cents = Decimal(0), Decimal("0.1")
    booked = booked_refusal(
        Refused("default/@run"), Charge("1", call, ten_cents, None, False, nothing, nothing, 0.0)
    )
    assert type(booked) is BudgetExceeded and "cost $0.10 and is booked; nothing more is admitted" in str(
        booked
    )
    asked = refusal(Refused("default/@run"), call)
    assert type(asked) is BudgetExceeded and "'default/run' refuses it; raise the limit" in str(asked)
    for error in (booked, asked):
        assert (error.account, error.model, error.tool) == ("default/run", call.model, call.tool)
        assert (error.limit, error.remaining) == (None, None)


def test_hostile_names_are_escaped() -> None:
    """Names that could steer a terminal are escaped in the message, and whole in the attributes."""
    error = refusal(Refused("a%2F%E2%80%AEb", Limit("$1"), 0, 0, 1), Call("1", "model", "\u202egnp"))
    assert str(error).isprintable()
    assert error.account == "a/\u202eb"
    assert error.model == "\u202egnp"

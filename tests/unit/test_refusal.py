"""A refusal of the store becomes an error that says everything."""

from __future__ import annotations

import copy
import pickle
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget
from bursar.errors import BudgetExceeded, LoopDetected, Tripped, VelocityExceeded
from bursar.ledger.refusals import booked_refusal, refusal
from bursar.pricing.book import PriceBook
from bursar.pricing.price import Price
from bursar.pricing.quote import Quote, quote
from bursar.pricing.request import CallRequest
from bursar.store.results import Refused
from bursar.values.call import Call
from bursar.values.charge import Charge
from bursar.values.limits import Limit
from bursar.values.policy import Policy, Terms

BOOK = PriceBook({"big": Price("1.75", "14", max_output_tokens=128_000), "gpt-4o": Price("2.5", "10")})
MADE = "default/@sess_0123456789abcdef-1"  # a session whose id nobody gave


def asked(*, smallest_cap: int | None = 16, **arguments: Any) -> Quote:
    policy = Policy(Terms(), "worst", smallest_cap, None, {})
    return quote(CallRequest(**arguments), "0123456789abcdef-2", BOOK, policy)


MODEL = asked(model="gpt-4o", input_tokens=8_000, max_output_tokens=500)
TOOL = asked(tool="web_search")
BARE = asked(cost=1)
DOLLAR = Limit("$1")


def usd(text: str) -> int:
    return int(Decimal(text) * 10**9)


def test_refusal_by_a_dollar_limit() -> None:
    """The message says what was asked, what was left, of which limit, and what to do; the attributes say it in dollars."""
    error = refusal(
        Refused(
            "default/alice/@run-7", Limit("$5"), usd("4.59"), usd("0.4"), usd("0.025"), retry_after_s=30.0
        ),
        MODEL,
    )
    assert type(error) is BudgetExceeded
    assert str(error) == (
        "a call to 'gpt-4o' was not made: it needs up to $0.0202 (with its output cap lowered to 16"
        " tokens, and 8,000 tokens of input at the most), and $0.01 of the $5/session limit of 'default/alice/run-7'"
        " is left, $0.40 of it is held by calls in flight; wait 30 s, raise the limit, shorten the input,"
        " or use a cheaper model"
    )
    assert vars(error) == {
        "limit": "$5/session",
        "account": "default/alice/run-7",
        "spent": Decimal("4.59"),
        "reserved": Decimal("0.4"),
        "asked": Decimal("0.025"),
        "remaining": Decimal("0.01"),
        "retry_after": 30.0,
        "model": "gpt-4o",
        "tool": None,
    }


@pytest.mark.parametrize(
    ("arguments", "left", "text"),
    [
        pytest.param(
            {"model": "big", "input_tokens": 8},
            "1",
            "it needs up to $1.79 (no output cap was set: the model's own 128,000 tokens), and $1.00 of the"
            " $1/session limit is left; with max_tokens=71,000 it would fit",
            id="no-cap",
        ),
        pytest.param(
            {"model": "big", "input_tokens": 8, "n": 2, "cap_name": "max_completion_tokens"},
            "1",
            "it needs up to $3.58 (no output cap was set: the model's own 128,000 tokens, 2 times), and $1.00 of"
            " the $1/session limit is left; with max_completion_tokens=35,000 it would fit",
            id="choices",
        ),
        pytest.param(
            {"model": "big", "input_tokens": 8, "cap_name": ""},
            "1",
            "it needs up to $1.79 (it takes no output cap: the model's own 128,000 tokens), and $1.00 of the"
            " $1/session limit is left; raise the limit, shorten the input, or use a cheaper model",
            id="takes-none",
        ),
        pytest.param(
            {"model": "gpt-4o", "input_tokens": 800, "max_output_tokens": 400},
            "0.004",
            "it needs up to $0.006 (800 tokens of input and 400 of output at the most), and $0.004 of the"
            " $1/session limit is left; with max_tokens=200 it would fit",
            id="a-cap",
        ),
        pytest.param(
            {"model": "gpt-4o", "input_tokens": 800, "max_output_tokens": 400},
            "0.00215",
            "it needs up to $0.006 (800 tokens of input and 400 of output at the most), and $0.00215 of the"
            " $1/session limit is left; raise the limit, shorten the input, or use a cheaper model",
            id="no-useful-cap",
        ),
        pytest.param(
            {"model": "gpt-4o", "input_tokens": 800, "max_output_tokens": 0},
            "0.001",
            "it needs up to $0.002 (800 tokens of input at the most), and $0.001 of the $1/session limit is"
            " left; raise the limit, shorten the input, or use a cheaper model",
            id="no-output",
        ),
        pytest.param(
            {"model": "gpt-4o", "cost": "0.5"},
            "0.25",
            "it needs up to $0.50, and $0.25 of the $1/session limit is left; raise the limit",
            id="cost",
        ),
    ],
)
def test_what_would_fit(arguments: dict[str, Any], left: str, text: str) -> None:
    """A call whose cap is not lowered is told why it needs so much, and the cap that would fit, if one is of use."""
    quoted = asked(smallest_cap=None, **arguments)
    refused = Refused(MADE, DOLLAR, usd("1") - usd(left), 0, quoted.minimum.usd)
    assert str(refusal(refused, quoted)).partition(" was not made: ")[2] == text


def test_the_cap_that_would_fit_fits() -> None:
    """The call is admitted with the cap that its refusal names."""
    session = Budget("$1", clamp=False).session()
    with pytest.raises(BudgetExceeded) as refused:
        session.reserve("gpt-5.2", input_tokens=8)
    assert "it needs up to $1.79 (no output cap was set: the model's own 128,000 tokens)" in str(
        refused.value
    )
    told = re.search(r"with max_tokens=([0-9,]+) it would fit", str(refused.value))
    assert told is not None
    assert session.reserve("gpt-5.2", input_tokens=8, max_output_tokens=int(told[1].replace(",", "")))


@pytest.mark.parametrize(
    ("limit", "quoted", "needs", "text"),
    [
        pytest.param(
            Limit("10k tokens/total"),
            MODEL,
            1_600,
            "a call to 'gpt-4o' was not made: it needs up to 1,600 tokens (with its output cap lowered to 16"
            " tokens, and 8,000 tokens of input at the most), and 1,500 tokens of the 10k tokens/total limit of"
            " 'default' are left, 500 tokens of it are held by calls in flight; raise the limit, or shorten the"
            " input",
            id="tokens",
        ),
        pytest.param(
            Limit("10k calls", tool="*"),
            TOOL,
            1,
            "a run of 'web_search' was not made: it needs 1 call, and 1,500 calls of the 10k calls/session"
            " limit (tool=*) of 'default' are left, 500 calls of it are held by calls in flight; let them end first,"
            " send fewer at once, give them output caps, or raise wait= or the limit",
            id="calls",
        ),
    ],
)
def test_refusal_by_a_counting_limit(limit: Limit, quoted: Quote, needs: int, text: str) -> None:
    """For tokens and calls the amounts are counts, in the message and in the attributes."""
    error = refusal(Refused("default", limit, 8_000, 500, needs), quoted)
    assert str(error) == text
    amounts: list[Any] = [error.spent, error.reserved, error.asked, error.remaining]
    assert amounts == [8_000, 500, needs, 1_500]
    assert {type(amount) for amount in amounts} == {int}
    assert (error.model, error.tool, error.retry_after) == (quoted.call.model, quoted.call.tool, None)


@pytest.mark.parametrize(
    ("limit", "quoted", "advice"),
    [
        (Limit("$1"), MODEL, "raise the limit, shorten the input, or use a cheaper model"),
        (Limit("1 tokens"), MODEL, "raise the limit, or shorten the input"),
        (Limit("1 calls"), MODEL, "raise the limit"),
        (Limit("$1"), TOOL, "raise the limit"),
        (Limit("$1"), BARE, "raise the limit"),
    ],
)
@pytest.mark.parametrize("wait_s", [None, 3_600.0])
def test_advice_fits_the_call(limit: Limit, quoted: Quote, advice: str, wait_s: float | None) -> None:
    """The message advises only what would help: a cheaper model is none for a tool."""
    refused = Refused("default", limit, 2 * 10**9, 0, 2 * 10**9, retry_after_s=wait_s)
    if wait_s is not None:
        ways = advice.replace(" or ", " ").split(", ")
        advice = ", ".join(["wait 3,600 s", *ways[:-1], f"or {ways[-1]}"])
    assert str(refusal(refused, quoted)).endswith(f"; {advice}")


def test_refusal_in_debt() -> None:
    """After an overrun less than nothing is left, and the message says so."""
    error = refusal(Refused("default", Limit("$5"), usd("5.25"), 0, 1), BARE)
    assert error.remaining == Decimal("-0.25")
    assert str(error).startswith(
        "this call was not made: it needs up to $0.000000001, and -$0.25 of the $5/session limit of 'default'"
    )


def test_amounts_that_look_alike_are_told_exactly() -> None:
    """Amounts are rounded for people, unless that would hide why the call does not fit."""
    error = refusal(Refused(MADE, Limit("$2"), 0, 0, usd("2.000000001")), BARE)
    assert "needs up to $2.000000001, and $2.00 of the $2/session limit is left" in str(error)


@pytest.mark.parametrize(
    ("quoted", "what"), [(MODEL, "a call to 'gpt-4o'"), (TOOL, "a run of 'web_search'"), (BARE, "this call")]
)
@pytest.mark.parametrize(
    ("account", "where"), [("default/@run", "'default/run'"), (MADE, "this session")], ids=["named", "made"]
)
def test_refusal_of_a_stopped_account(quoted: Quote, what: str, account: str, where: str) -> None:
    """A stopped account is `Tripped`, with the words of whoever stopped it."""
    error = refusal(Refused(account, tripped="by hand"), quoted)
    assert isinstance(error, Tripped)
    assert str(error) == f"{what} was not made: {where} is stopped (by hand); untrip it to go on"
    assert (error.reason, error.model, error.tool) == ("by hand", quoted.call.model, quoted.call.tool)
    assert error.account == account.replace("@", "")
    assert error.limit is None
    assert error.remaining is None


def test_refusal_of_a_repeated_call() -> None:
    """It says how often, where, and what to do."""
    error = refusal(Refused(MADE, cause="loop", reason="10 calls alike within 60 s", times=11), MODEL, 60)
    assert isinstance(error, LoopDetected)
    assert str(error) == (
        "a call to 'gpt-4o' was not made: 10 calls alike within 60 s, in this session; vary the call."
        " Raise max_repeated_calls= to allow more, or turn this off by max_repeated_calls=None"
    )
    again = Refused(MADE, cause="loop", reason="10 calls alike within 60 s", times=11, retry_after_s=12.5)
    assert "vary the call, or make it again in 12.5 s. Raise" in str(refusal(again, MODEL, 60))


def test_refusal_of_what_is_too_fast() -> None:
    """It says what is left of the span."""
    error = refusal(Refused(MADE, Limit("$1/60s"), usd("0.9"), 0, usd("0.6"), cause="velocity"), TOOL)
    assert isinstance(error, VelocityExceeded)
    assert str(error) == (
        "a run of 'web_search' was not made: it needs up to $0.60, and $0.10 of the $1/60s limit is left; spend"
        " more slowly, or raise max_velocity="
    )


@pytest.mark.parametrize("quoted", [MODEL, TOOL])
def test_refusal_after_the_fact_by_a_store_that_says_little(quoted: Quote) -> None:
    """A store that names no limit is believed all the same, before the call and after it."""
    call, nothing, ten_cents = quoted.call, Decimal(0), Decimal("0.1")
    booked = booked_refusal(
        Refused("default/@run"), Charge("1", call, ten_cents, None, False, nothing, nothing, 0.0)
    )
    assert type(booked) is BudgetExceeded and "cost $0.10 and is booked; nothing more is admitted" in str(
        booked
    )
    told = refusal(Refused("default/@run"), quoted)
    assert type(told) is BudgetExceeded and "'default/run' refuses it; raise the limit" in str(told)
    for error in (booked, told):
        assert (error.account, error.model, error.tool) == ("default/run", call.model, call.tool)
        assert (error.limit, error.remaining) == (None, None)


@pytest.mark.parametrize("kind", [BudgetExceeded, LoopDetected, VelocityExceeded, Tripped])
def test_a_refusal_has_the_status_of_a_payment_that_is_required(kind: type[BudgetExceeded]) -> None:
    """Libraries that read `status_code` do not repeat it; copies and pickles keep it."""
    error = kind("no")
    copies = [error, copy.copy(error), pickle.loads(pickle.dumps(error))]
    assert [one.status_code for one in copies] == [402, 402, 402]


@pytest.mark.parametrize("limit", ["$0.001", "10 tokens", "0 calls", "$0.001/total", "$0.001/1h"])
@pytest.mark.parametrize("child", [False, True])
def test_no_message_names_an_id_that_nobody_gave(limit: str, child: bool) -> None:
    """Neither the session's nor the call's, whatever refuses; the account is an attribute."""
    session = Budget(limit).session()
    payer = session.child_session() if child else session
    with pytest.raises(BudgetExceeded) as refused:
        payer.reserve("gpt-4o", input_tokens=8_000, max_output_tokens=500)
    assert not re.search("[0-9a-f]{8}", str(refused.value)), str(refused.value)
    session.trip("by hand")
    with pytest.raises(Tripped, match="this session is stopped") as tripped:
        payer.reserve(cost=0)
    assert not re.search("[0-9a-f]{8}", str(tripped.value))
    assert tripped.value.account is not None and session.id in tripped.value.account


def test_hostile_names_are_escaped() -> None:
    """Names that could steer a terminal are escaped in the message, and whole in the attributes."""
    hostile = replace(MODEL, call=Call("1", "model", "\u202egnp"))
    error = refusal(Refused("a%2F%E2%80%AEb", Limit("$1"), 0, 0, 1), hostile)
    assert str(error).isprintable()
    assert error.account == "a/\u202eb"
    assert error.model == "\u202egnp"

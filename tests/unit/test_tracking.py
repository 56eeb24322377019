"""Charges after the fact, and questions that book nothing."""

from __future__ import annotations

import asyncio
import copy
import http.client
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from bursar import (
    Budget,
    BudgetExceeded,
    BursarError,
    InvalidAmount,
    Limit,
    LoopDetected,
    Session,
    Tripped,
    UnknownModel,
    Usage,
    UsageMissing,
    VelocityExceeded,
)
from bursar.testing import ManualClock, ScriptedProvider

# gpt-4o costs $2.50 and $10 a million tokens, gpt-4o-mini $0.15 and $0.60.
TOKENS = {"input_tokens": 800, "output_tokens": 200}  # $0.004 of gpt-4o


class Answer:
    """What an SDK returns, as far as anybody looks at it."""

    def __init__(self, model: str | None = "gpt-4o-2024-08-06", **usage: Any) -> None:
        self.model = model
        self.usage = usage or None


def answer() -> Answer:
    """An answer of $0.004."""
    return Answer(prompt_tokens=800, completion_tokens=200)


# -- record -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "cost", "tokens"),
    [
        (("gpt-4o", 800, 200), "0.004", 1_000),
        (("gpt-4o-mini", 800, 200), "0.00024", 1_000),
        (("gpt-4o-2024-08-06", 800, 0), "0.002", 800),
    ],
)
def test_record_books_what_was_used(arguments: tuple[Any, ...], cost: str, tokens: int) -> None:
    """At the model's price, as a call to it, with its tokens."""
    session = Budget("$1").session()
    charge = session.record(*arguments)
    assert (str(charge.cost), charge.call.model, charge.estimated) == (cost, arguments[0], False)
    assert (session.spent, session.tokens_spent, session.calls) == (Decimal(cost), tokens, 1)
    assert session.report()["breakdown"]["llm"]["by_model"] == {arguments[0]: float(cost)}


@pytest.mark.parametrize(
    ("options", "cost"),
    [
        ({"tokens": 1_000}, "0.01"),
        ({"output_tokens": 100}, "0.001"),
        ({"usage": Usage(1_000, 100, cached_input_tokens=1_000)}, "0.00225"),
        ({**TOKENS, "tier": "batch"}, "0.002"),
        ({**TOKENS, "provider": "openai"}, "0.004"),
    ],
)
def test_record_takes_what_the_caller_knows(options: dict[str, Any], cost: str) -> None:
    """Tokens of unknown kind are those that cost more; a cache, a tier and a provider have their price."""
    session = Budget("$1").session()
    assert session.record("gpt-4o", **options).cost == session.spent == Decimal(cost)


def test_record_prices_by_aliases_and_the_tier_of_the_budget() -> None:
    """As a reserve does; the tier of the budget wins over that of the call."""
    session = Budget(aliases={"mine": "gpt-4o"}, tier="batch").session()
    assert session.record("mine", **TOKENS, tier="priority").cost == Decimal("0.002")


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (("gpt-4o",), {}, TypeError),
        (("gpt-4o", 1, 1), {"tokens": 2}, TypeError),
        (("gpt-4o",), {"tokens": 2, "usage": Usage(1, 1)}, TypeError),
        (("gpt-99", 1, 1), {}, UnknownModel),
        ((None, 1, 1), {}, ValueError),
        (("gpt-4o", -1, 1), {}, ValueError),
        (("gpt-4o", 1, 1.0), {}, ValueError),
        (("gpt-4o", True, 1), {}, ValueError),
        (("gpt-4o", 2**63, 1), {}, ValueError),
        (("gpt-4o",), {"tokens": "many"}, ValueError),
        (("gpt-4o",), {"usage": Usage(1, 1, cached_input_tokens=2)}, ValueError),
        (("gpt-4o", 1, 1), {"tier": "vip"}, ValueError),
        (("gpt-4o", 1, 1), {"provider": "\n"}, ValueError),
    ],
)
def test_what_cannot_be_recorded_books_nothing(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception]
) -> None:
    """Our own error, and never $0; the right call is booked afterwards."""
    session = Budget("$1").session()
    with pytest.raises(error):
        session.record(*arguments, **options)
    assert (session.spent, session.calls) == (0, 0)
    session.record("gpt-4o", **TOKENS)
    assert session.spent == Decimal("0.004")


# -- wrap ---------------------------------------------------------------------------------------------


def test_wrap_returns_the_answer_and_books_it_once() -> None:
    """However often it is wrapped, and by whichever session; a copy is another answer."""
    budget = Budget("$1")
    session, response = budget.session(), answer()
    assert session.wrap(response) is response
    assert session.wrap(response) is budget.session().wrap(response) is response
    assert budget.spent == Decimal("0.004")
    session.wrap(copy.copy(response))
    assert (budget.spent, budget.calls) == (Decimal("0.008"), 2)


def test_an_answer_is_paid_for_by_a_hold_or_by_wrap() -> None:
    """Whoever comes second books nothing, and a hold for it is given back."""
    session, response = Budget("$1").session(), answer()
    session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200).settle(response)
    session.wrap(response)
    assert session.spent == Decimal("0.004")
    other = session.wrap(answer())
    charge = session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200).settle(other)
    assert charge.cost == 0
    assert (session.spent, session.reserved) == (Decimal("0.008"), 0)


def test_wrap_agrees_with_the_bill_of_a_provider() -> None:
    """Real HTTP, plain dicts, no hold: the ledger has what the provider billed."""
    session = Budget("$1").session()
    with ScriptedProvider() as provider:
        for question in ("Why?", "Why not? " * 50):
            session.wrap(chat(provider, question))
        assert session.spent == provider.bill > 0


def chat(provider: ScriptedProvider, question: str) -> dict[str, Any]:
    """A chat completion without an SDK."""
    connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=30)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": "Bearer none"})
    document: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return document


def test_wrap_is_told_what_the_answer_does_not_say() -> None:
    """The model, and who bills it."""
    session = Budget("$1").session()
    session.wrap(Answer(None, prompt_tokens=800, completion_tokens=200), model="gpt-4o", provider="openai")
    assert session.spent == Decimal("0.004")


@pytest.mark.parametrize(
    ("model", "stated", "cost"),
    [
        ("openrouter/my-model", 0.001, "0.001"),
        ("openrouter/my-model", 0.009, "0.009"),
        ("my-model", 0.001, "0.005"),
        ("my-model", 0.009, "0.009"),
    ],
)
def test_wrap_books_what_the_answer_says_that_it_cost(model: str, stated: float, cost: str) -> None:
    """Where the host bills what it says, exactly that; elsewhere no less than the price of the tokens."""
    session = Budget("$1", prices={"my-model": (5, 20), "openrouter/my-model": (5, 20)}).session()
    session.wrap(Answer(model, prompt_tokens=1_000, completion_tokens=0, cost=stated))
    assert session.spent == Decimal(cost)


@pytest.mark.parametrize(
    "response",
    [
        None,
        "text",
        {},
        Answer(),
        Answer(prompt_tokens=0, completion_tokens=0),
        Answer(prompt_tokens=-1, completion_tokens=5),
        Answer(prompt_tokens="800", completion_tokens=5),
        Answer(None, prompt_tokens=800, completion_tokens=200),
    ],
    ids=["none", "text", "empty", "absent", "zeros", "negative", "strings", "no-model"],
)
def test_wrap_of_an_answer_without_usage_says_to_record(response: Any) -> None:
    """There is no hold to fall back on, and it is never free; the same call with usage is booked."""
    session = Budget("$1").session()
    with pytest.raises(UsageMissing, match="call record"):
        session.wrap(response)
    assert (session.spent, session.calls) == (0, 0)
    session.wrap(answer())
    assert session.spent == Decimal("0.004")


def test_an_answer_that_could_not_be_booked_is_booked_later() -> None:
    """Without a price nothing is booked, and nothing is taken for paid."""
    response = Answer("my-model", prompt_tokens=1_000, completion_tokens=0)
    with pytest.raises(UnknownModel):
        Budget("$1").session().wrap(response)
    session = Budget("$1", prices={"my-model": (5, 20)}).session()
    session.wrap(response)
    assert session.spent == Decimal("0.005")


def test_a_settle_that_failed_is_made_again() -> None:
    """A wrong cost beside an answer books nothing; the answer alone is booked then, not given back."""
    session, response = Budget("$1").session(), answer()
    hold = session.reserve("gpt-4o", input_tokens=800, max_output_tokens=200)
    with pytest.raises(InvalidAmount):
        hold.settle(response, cost="a lot")
    assert hold.settle(response).cost == session.spent == Decimal("0.004")


def test_wrap_async_awaits_and_books() -> None:
    """The answer comes back; one that passes the limit is booked too, and is in the refusal."""

    async def ask() -> Answer:
        await asyncio.sleep(0)
        return answer()

    async def main(session: Session) -> None:
        assert isinstance(await session.wrap_async(ask()), Answer)
        assert session.spent == Decimal("0.004")
        with pytest.raises(BudgetExceeded) as refusal:
            await session.wrap_async(ask())
        assert isinstance(refusal.value.result, Answer)
        assert session.spent == Decimal("0.008")

    asyncio.run(main(Budget("$0.005").session()))


# -- track, and tools -----------------------------------------------------------------------------------


def test_track_returns_the_result_and_books_the_cost() -> None:
    """Under the name of the tool, or none."""
    session = Budget("$1").session()
    found = ["a result"]
    assert session.track(found, "$0.25", tool_name="search") is found
    assert session.track(None, 0.05) is None
    assert session.report()["breakdown"]["tools"] == {
        "total": 0.3, "calls": 2, "by_tool": {"search": 0.25, "unnamed": 0.05},
    }  # fmt: skip
    assert (session.spent, session.calls) == (Decimal("0.3"), 0)


@pytest.mark.parametrize("paid", [True, False])
def test_track_of_an_answer_that_was_charged_says_so(paid: bool, caplog: pytest.LogCaptureFixture) -> None:
    """It is booked once more, as the caller says, and the log says it once; what was never charged is news."""
    session, found = Budget("$1").session(), answer()
    if paid:
        session.wrap(found)
    for _ in range(2):
        assert session.track(found, "$0.01") is found
    assert session.spent == Decimal("0.02") + (Decimal("0.004") if paid else 0)
    assert caplog.text.count("was charged already") == paid


@pytest.mark.parametrize(
    ("cost", "tool", "error"),
    [("-1", None, InvalidAmount), (None, None, InvalidAmount), (1, "", ValueError), (1, "a\nb", ValueError)],
)
def test_what_cannot_be_tracked_books_nothing(cost: Any, tool: Any, error: type[Exception]) -> None:
    """Our own error; the twin is booked."""
    session = Budget("$5").session()
    with pytest.raises(error):
        session.track("result", cost, tool)
    assert session.spent == 0
    session.track("result", 1, "search")
    assert session.spent == 1


def test_a_tracked_tool_reserves_before_it_runs() -> None:
    """It runs exactly as often as it is paid for, returns what it returns, and keeps its name."""
    ran: list[str] = []
    session = Budget("$0.03").session()

    @session.track_tool(cost="$0.01")
    def search(query: str, *, deep: bool = False) -> str:
        """Looks something up."""
        assert session.reserved == Decimal("0.01")
        ran.append(query)
        return f"found {query}, {deep}"

    assert search("cats", deep=True) == "found cats, True"
    assert (search.__name__, search.__doc__) == ("search", "Looks something up.")
    for query in "abc":
        try:
            search(query)
        except BudgetExceeded as refusal:
            assert (query, refusal.tool) == ("c", "search")
    assert ran == ["cats", "a", "b"]
    assert (session.spent, session.reserved) == (Decimal("0.03"), 0)


def test_a_tracked_tool_costs_its_price_in_the_budget() -> None:
    """Without a cost of its own; a tool without any price is counted."""
    session = Budget(Limit("2 calls", tool="free"), tool_prices={"search": "$0.01"}).session()
    search = session.track_tool(tool_name="search")(lambda query: query)
    free = session.track_tool(tool_name="free")(lambda query: query)
    search("a"), free("a"), free("b")
    assert session.spent == Decimal("0.01")
    with pytest.raises(BudgetExceeded, match="tool=free"):
        free("c")


def test_a_tracked_coroutine_is_paid_for_when_it_is_done() -> None:
    """Two at once hold twice."""

    async def main() -> None:
        session = Budget("$0.03").session()
        both, go = asyncio.Event(), asyncio.Event()
        running = 0

        @session.track_tool(cost="$0.01", tool_name="slow")
        async def slow(name: str) -> str:
            nonlocal running
            running += 1
            if running == 2:
                both.set()
            await go.wait()
            return name

        tasks = [asyncio.create_task(slow(name)) for name in "ab"]
        await both.wait()
        assert (session.reserved, session.spent) == (Decimal("0.02"), 0)
        go.set()
        assert await asyncio.gather(*tasks) == ["a", "b"]
        assert (session.reserved, session.spent) == (0, Decimal("0.02"))
        await slow("c")
        with pytest.raises(BudgetExceeded):
            await slow("d")

    asyncio.run(main())


@pytest.mark.parametrize(("error", "cost"), [(ValueError("no"), "0.01"), (ConnectionRefusedError(), "0")])
def test_a_tool_that_fails_is_booked_unless_it_never_ran(error: Exception, cost: str) -> None:
    """By the same rules as a call: only what was provably not sent is free."""
    session = Budget("$1").session()

    @session.track_tool(cost="$0.01")
    def broken() -> None:
        raise error

    with pytest.raises(type(error)):
        broken()
    assert (session.spent, session.reserved) == (Decimal(cost), 0)


def test_a_tracked_tool_that_loops_is_stopped() -> None:
    """Three runs with the same arguments, a fourth is refused; with others, or with what cannot be compared, it goes on."""
    session = Budget(max_repeated_calls=3).session()
    search = session.track_tool(tool_name="search")(lambda *args, **kwargs: (args, kwargs))
    for number in range(6):
        search(number)
        search(object())
    for _ in range(3):
        search("cats", deep=True)
    with pytest.raises(LoopDetected) as refusal:
        search("cats", deep=True)
    assert (refusal.value.key, refusal.value.count, refusal.value.window) == ("search", 4, 60)


def test_looking_at_the_input_of_a_tool_uses_nothing_up() -> None:
    """An iterator that is handed over arrives whole."""
    session = Budget().session()
    total = session.track_tool(tool_name="total")(sum)
    assert total(number for number in (1, 2, 3)) == 6


@pytest.mark.parametrize("cost", ["-1", "free", True, len])
def test_a_wrong_cost_of_a_tool_is_refused_at_once(cost: Any) -> None:
    """Where the tool is made, not where it runs."""
    with pytest.raises(InvalidAmount):
        Budget().session().track_tool(cost=cost)


# -- past a limit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["$0.009", "2.9k tokens", "2 calls", "$0.012"])
@pytest.mark.parametrize("how", ["record", "wrap", "track"])
def test_a_charge_that_passes_a_limit_is_booked_and_raised(limit: str, how: str) -> None:
    """The third of three equal charges raises where it passes the limit, and all three are booked."""
    session = Budget(limit).session()
    result: object = None
    if how == "track" and not limit.startswith("$"):
        session = Budget(Limit("2 calls", tool="search")).session()

    def charge() -> None:
        nonlocal result
        result = answer()
        if how == "record":
            session.record("gpt-4o", **TOKENS)
        elif how == "wrap":
            session.wrap(result)
        else:
            session.track(result, "$0.004", "search")

    charge(), charge()
    assert session.terminated_by is None
    if limit == "$0.012":
        charge()
        assert session.remaining == 0 and session.terminated_by is None
        return
    with pytest.raises(BudgetExceeded, match="is booked") as refusal:
        charge()
    assert refusal.value.result is (None if how == "record" else result)
    assert session.spent == Decimal("0.012")
    assert session.terminated_by == "budget_exhausted" == session.report()["terminated_by"]


def test_a_refusal_after_the_fact_says_where_it_stands() -> None:
    """Which limit, whose, what is spent, held and left, and that nothing more is admitted."""
    session = Budget("$0.01", clamp=False).session(id="run")
    hold = session.reserve(cost="$0.002")
    session.record("gpt-4o", **TOKENS)
    with pytest.raises(BudgetExceeded) as caught:
        session.record("gpt-4o", 800, 250)
    error = caught.value
    assert (error.limit, error.account, error.model) == ("$0.01/session", "default/run", "gpt-4o")
    assert (error.spent, error.reserved, error.remaining) == (
        Decimal("0.0085"), Decimal("0.002"), Decimal("-0.0005"),
    )  # fmt: skip
    for words in (
        "'gpt-4o' cost $0.0045",
        "$0.01/session limit of 'default/run'",
        "$0.0085 spent",
        "$0.002 held by calls in flight",
    ):
        assert words in str(error)
    hold.release()
    with pytest.raises(BudgetExceeded):
        session.reserve(cost="$0.0016")
    session.reserve(cost="$0.0015")


def test_a_charge_without_cost_may_pass_a_limit_of_calls() -> None:
    """The third free run of a tool that may run twice."""
    session = Budget(Limit("2 calls", tool="search")).session()
    session.track("a", 0, "search")
    session.track("b", 0, "search")
    with pytest.raises(BudgetExceeded) as refusal:
        session.track("c", 0, "search")
    assert (refusal.value.result, refusal.value.spent, refusal.value.remaining) == ("c", 3, -1)
    session.track("d", 0, "other")


def test_a_charge_may_be_too_fast() -> None:
    """It is booked, says so, and the breaker is open for the next."""
    session = Budget(max_velocity="$0.01/min", clock=ManualClock(0)).session()
    session.track("a", "$0.01")
    with pytest.raises(VelocityExceeded, match="is booked") as refusal:
        session.track("b", "$0.001", "search")
    assert (refusal.value.result, refusal.value.tool) == ("b", "search")
    assert session.spent == Decimal("0.011") and session.terminated_by == "velocity_exceeded"
    with pytest.raises(Tripped):
        session.reserve(cost=0)


# -- questions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "tokens", "options", "cost"),
    [
        ("gpt-4o", (800, 200), {}, "0.004"),
        ("gpt-4o-mini", (1_000_000, 0), {}, "0.15"),
        ("mine", (1, 1), {"prices": {"mine": ("1", "2")}}, "0.000003"),
        ("gpt-4o", (800, 200), {"tier": "batch"}, "0.002"),
        ("alias", (800, 200), {"aliases": {"alias": "gpt-4o"}}, "0.004"),
    ],
)
def test_an_estimate_is_what_such_a_call_would_cost(
    model: str, tokens: tuple[int, int], options: dict[str, Any], cost: str
) -> None:
    """Exactly, and without a trace; the same call is then booked at it."""
    session = Budget(**options).session()
    assert session.estimate(model, *tokens) == Decimal(cost)
    assert session.estimate(model, *tokens, provider=None) == Decimal(cost)
    assert (session.spent, session.calls) == (0, 0)
    assert session.record(model, *tokens).cost == Decimal(cost)


@pytest.mark.parametrize(
    ("model", "count", "error"), [("gpt-99", 1, UnknownModel), ("gpt-4o", -1, ValueError), (5, 1, ValueError)]
)
def test_an_estimate_of_nonsense_is_an_error(model: Any, count: Any, error: type[Exception]) -> None:
    """And never a guess."""
    with pytest.raises(error):
        Budget().session().estimate(model, count, 1)


@pytest.mark.parametrize(("cost", "fits"), [("$0.40", True), ("$0.400000001", False), (0, True), (1, False)])
def test_can_spend_and_would_exceed_answer_as_a_reserve_does(cost: Any, fits: bool) -> None:
    """With a hold open and money spent, to the nano-dollar; nothing is changed by asking."""
    session = Budget("$1").session()
    session.track("done", "$0.50")
    session.reserve(cost="$0.10").keep()
    assert session.can_spend(cost) is fits
    assert session.would_exceed(cost) is not fits
    assert asyncio.run(session.acan_spend(cost)) is fits
    assert (session.spent, session.reserved) == (Decimal("0.5"), Decimal("0.1"))
    assert session.report()["refusals"] == 0 and session.terminated_by is None
    if fits:
        session.reserve(cost=cost)
    else:
        with pytest.raises(BudgetExceeded):
            session.reserve(cost=cost)


@pytest.mark.parametrize(("output", "fits"), [(200, True), (201, False)])
def test_check_raises_as_a_reserve_would(output: int, fits: bool) -> None:
    """With the same words, unclamped; the question is not counted as a refusal."""
    session = Budget("$0.004").session()
    if fits:
        session.check("gpt-4o", 800, output)
        asyncio.run(session.acheck("gpt-4o", 800, output, provider="openai"))
    else:
        with pytest.raises(BudgetExceeded) as asked:
            session.check("gpt-4o", 800, output)
        with pytest.raises(BudgetExceeded) as made:
            session.reserve("gpt-4o", input_tokens=800, max_output_tokens=output, clamp=False)
        assert str(asked.value) == str(made.value)
        assert asked.value.asked == made.value.asked == Decimal("0.00401")
        assert session.report()["refusals"] == 1
    assert session.reserved == 0


def test_questions_see_a_stopped_session() -> None:
    """The kill switch and an open breaker, and that they are lifted."""
    session = Budget("$1", max_velocity="$0.50/min", clock=ManualClock(0)).session()
    session.trip("stop")
    assert session.would_exceed(0)
    with pytest.raises(Tripped, match="stop"):
        session.check("gpt-4o", 1, 1)
    session.untrip("go on")
    assert session.can_spend("$0.50") and not session.can_spend("$0.51")
    assert session.can_spend("$0.50"), "asking too much has not opened the breaker"


@pytest.mark.parametrize("question", ["would_exceed", "can_spend"])
def test_a_question_about_no_amount_is_an_error(question: str) -> None:
    """Not a yes."""
    with pytest.raises(InvalidAmount):
        getattr(Budget().session(), question)("a lot")
    with pytest.raises(UnknownModel):
        Budget().session().check("gpt-99", 1, 1)


def test_the_async_twins_book_the_same() -> None:
    """`arecord` and `atrack`, beside the blocking ones."""

    async def main() -> None:
        session = Budget("$1").session()
        await session.arecord("gpt-4o", 800, 200)
        assert await session.atrack("result", "$0.25") == "result"
        assert await session.awould_exceed("$0.75")
        assert (await session.abalance()).spent == Fraction("0.254")

    asyncio.run(main())


def test_a_closed_session_books_nothing_until_it_is_entered_again() -> None:
    """Each word says so, and the answer is still to be booked; inside `with session:` it is, once."""
    session = Budget("$1").session()
    session.close()
    paid = answer()
    for word in (
        lambda: session.record("gpt-4o", **TOKENS),
        lambda: session.wrap(paid),
        lambda: session.track("result", "$0.10"),
    ):
        with pytest.raises(BursarError, match="is closed; enter it again"):
            word()
    assert session.spent == 0
    with session:
        session.wrap(paid)
        session.wrap(paid)
        session.track("result", "$0.10")
    assert session.spent == Decimal("0.104")

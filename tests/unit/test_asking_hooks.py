"""Hooks that are asked before a call: price, estimate, usage, veto. A failure is never $0."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from bursar import (
    Budget,
    BudgetExceeded,
    Call,
    CallVetoed,
    Estimate,
    InvalidAmount,
    Price,
    Session,
    UnknownModel,
    Usage,
    UsageMissing,
    hookimpl,
    list_plugins,
)
from bursar.testing import ManualClock, Rate, Reply, ScriptedProvider

from .agents import PROMPT, WAYS, Recorder, endless, work

# gpt-4o costs $2.50 and $10 a million tokens: 800 in and 200 out are $0.004.
CALL = {"input_tokens": 800, "max_output_tokens": 200}
PRIVATE = Price(5, 15, context_window=128_000)
SECRET = "sk-secret"


class Pricing:
    """Prices by a function; keeps what it was asked."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.answer = answer

    @hookimpl
    def bursar_price(self, model: str, provider: str | None, tier: str | None) -> Any:
        self.asked.append((model, provider, tier))
        return self.answer()


class Estimating:
    """Estimates by a function; keeps what it was asked."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.asked: list[Call] = []
        self.answer = answer

    @hookimpl
    def bursar_estimate(self, call: Call) -> Any:
        self.asked.append(call)
        return self.answer()


class Reading:
    """Reads the usage of a response by a function."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.answer = answer

    @hookimpl
    def bursar_read_usage(self, response: Any) -> Any:
        return self.answer(response)


class Vetoing:
    """Does something before each reserve."""

    def __init__(self, act: Callable[[Call, Session], Any]) -> None:
        self.act = act

    @hookimpl
    def bursar_before_reserve(self, call: Call, session: Session) -> Any:
        return self.act(call, session)


def raising(error: type[BaseException]) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise error(SECRET)

    return fail


def forced(value: Any, field: str, nonsense: Any) -> Any:
    """A frozen value that was changed all the same."""
    object.__setattr__(value, field, nonsense)
    return value


FAILURES = [
    pytest.param(raising(ValueError), id="raises"),
    pytest.param(raising(SystemExit), id="exits"),
    pytest.param(raising(asyncio.CancelledError), id="is cancelled"),
    pytest.param(endless, id="recurses"),
    pytest.param(lambda *_: "$5", id="text"),
    pytest.param(lambda *_: -1, id="negative"),
    pytest.param(lambda *_: float("nan"), id="nan"),
    pytest.param(lambda *_: 10**400, id="huge"),
    pytest.param(lambda *_: (1, 2), id="pair"),
    pytest.param(lambda *_: Price, id="class"),
]


# -- bursar_price -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("known", [True, False])
def test_bursar_price_prices_a_private_model(way: str, known: bool) -> None:
    """With the hook a model that no table has costs what its provider bills; without it nothing is sent."""
    with ScriptedProvider() as provider:
        provider.rates["in-house"] = Rate("5", "15")
        budget = Budget("$1", plugins=[Pricing(lambda: PRIVATE)] if known else ())
        session = budget.session()
        if known:
            work(session, provider, 3, way=way, model="in-house")
            assert provider.hits == 3 and session.spent == provider.bill > 0
            return
        with pytest.raises(UnknownModel):
            work(session, provider, 3, way=way, model="in-house")
        assert provider.hits == 0 and session.spent == session.reserved == 0


@pytest.mark.parametrize("answer", [*FAILURES, lambda: forced(Price(1, 2), "input", Decimal(-1)),
                                    lambda: forced(Price(1, 2), "output", Decimal("NaN"))])  # fmt: skip
def test_a_bursar_price_that_fails_leaves_the_model_unknown(answer: Callable[[], Any]) -> None:
    """Whatever it raises or returns, and whatever `unknown_model` says: no guess, no $0, no secret, no call."""
    with ScriptedProvider() as provider:
        provider.rates["in-house"] = Rate("5", "15")
        session = Budget("$1", plugins=[Pricing(answer)], unknown_model="free").session()
        with pytest.raises(UnknownModel) as unknown:
            work(session, provider, 3, model="in-house")
        assert provider.hits == 0 and session.reserved == 0
        assert unknown.value.model == "in-house" and "'Pricing'" in str(unknown.value)
        assert SECRET not in str(unknown.value)
        work(session, provider, 2)  # a model with a price is not asked about
        assert provider.hits == 2 and session.spent == provider.bill


def test_bursar_price_is_asked_for_unknown_models_only() -> None:
    """By the name behind the alias, with provider and tier; not for a model that has a price."""
    plugin = Pricing(lambda: PRIVATE)
    session = Budget("$1", plugins=[plugin], aliases={"house": "in-house"}).session()
    session.reserve("gpt-4o", **CALL).release()
    assert plugin.asked == []
    session.reserve("house", provider="azure", tier="flex", **CALL).release()
    session.reserve("house", tier="default", **CALL).release()
    assert plugin.asked == [("in-house", "azure", "flex"), ("in-house", None, None)]
    with pytest.raises(ValueError, match="model"):
        session.reserve("a\nb", **CALL)
    assert len(plugin.asked) == 2


def test_bursar_price_none_leaves_the_model_to_unknown_model() -> None:
    """None is no answer: the next plugin is asked, then the budget decides."""
    budget = Budget("$1", plugins=[Pricing(lambda: None), Pricing(lambda: PRIVATE)])
    assert budget.session().reserve("in-house", **CALL).amount == Decimal("0.007")
    budget = Budget("$1", plugins=[Pricing(lambda: None)], unknown_model=(1, 1))
    assert budget.session().reserve("in-house", **CALL).amount == Decimal("0.001")


def test_bursar_price_that_fails_later_settles_at_the_price_of_the_hold() -> None:
    """A settle asks again, because another model may have answered, and never fails for it."""
    answers = iter([PRIVATE])
    session = Budget("$1", plugins=[Pricing(lambda: next(answers))]).session()
    hold = session.reserve("in-house", **CALL)
    charge = hold.settle(input_tokens=800, output_tokens=100)
    assert charge.cost == Decimal("0.0055") and not charge.estimated


def test_bursar_price_prices_what_is_booked_after_the_fact() -> None:
    """Words without a hold know the price too."""
    session = Budget("$1", plugins=[Pricing(lambda: PRIVATE)]).session()
    assert session.estimate("in-house", 800, 200) == Decimal("0.007")
    assert session.record("in-house", 800, 200).cost == Decimal("0.007")


# -- bursar_estimate ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_bursar_estimate_is_held_instead_of_the_worst_case(way: str) -> None:
    """The hold is the estimate; what the call costs above it is booked, and is an overrun."""
    plugin = Estimating(lambda: Estimate("$0.0001", 20))
    with ScriptedProvider() as provider:
        recorder = Recorder()
        session = Budget("$1", plugins=[plugin, recorder], alerts="inline").session()
        work(session, provider, 3, way=way)
        assert [hold.amount for hold in recorder.of("reserved")] == [Decimal("0.0001")] * 3
        assert provider.hits == 3 and session.spent == provider.bill > Decimal("0.0003")
        overruns = session.report()["overruns"]
        assert overruns["count"] == 3
        assert Decimal(str(overruns["total"])) == provider.bill - Decimal("0.0003")
    assert [(call.model, call.max_output_tokens) for call in plugin.asked] == [("gpt-4o", 100)] * 3


@pytest.mark.parametrize(
    "answer",
    [*FAILURES, lambda: Estimate(0, 100), lambda: Estimate("$0.01", 0), lambda: Estimate("$0.01", -1),
     lambda: forced(Estimate(1, 1), "usd", Decimal(-1)), lambda: forced(Estimate(1, 1), "tokens", 1.5)],
)  # fmt: skip
def test_a_bursar_estimate_that_fails_falls_back_to_the_worst_case(answer: Callable[[], Any]) -> None:
    """Whatever it raises or returns, what is held is what the call can cost; also for nothing at all."""
    budget = Budget("$0.004", plugins=[Estimating(answer)], clamp=False)
    session = budget.session()
    hold = session.reserve("gpt-4o", **CALL)
    assert hold.amount == Decimal("0.004")
    with pytest.raises(BudgetExceeded):
        session.reserve("gpt-4o", **CALL)
    assert list_plugins(budget)[0].failures == {"bursar_estimate": 2}


def test_bursar_estimate_of_nothing_is_one_for_a_free_model() -> None:
    """Where the worst case is $0 an estimate of $0 is no nonsense."""
    budget = Budget("$1", plugins=[Estimating(lambda: Estimate(0, 500))], prices={"mine": (0, 0)})
    session = budget.session("600 tokens")
    assert session.reserve("mine", **CALL).amount == 0
    assert list_plugins(budget)[0].failures == {}
    with pytest.raises(BudgetExceeded, match="500 tokens"):  # 100 are left, and it is not clamped to less
        session.reserve("mine", **CALL)


@pytest.mark.parametrize(
    ("left", "estimate", "cap"),
    [
        ("$0.003", Estimate("$0.003", 1_000), 200),  # it fits: sent as it is
        ("$0.003", Estimate("$0.0035", 1_000), 100),  # it does not: clamped to what surely fits
        ("$0.003", Estimate("$0.005", 2_000), 100),  # an estimate above the worst case, likewise
        ("$0.006", Estimate("$0.005", 2_000), 200),
        ("$0.001", Estimate("$0.0011", 1_000), None),  # less than the smallest useful cap can cost
    ],
)
def test_bursar_estimate_and_clamping(left: str, estimate: Estimate, cap: int | None) -> None:
    """What is less than the estimate is only lent to a call that cannot cost more than that."""
    session = Budget(left, plugins=[Estimating(lambda: estimate)]).session()
    if cap is None:
        with pytest.raises(BudgetExceeded):
            session.reserve("gpt-4o", **CALL)
        return
    hold = session.reserve("gpt-4o", **CALL)
    assert hold.max_output_tokens == cap
    assert hold.amount == min(Decimal(left[1:]), Decimal(str(estimate.usd)))


def test_bursar_estimate_has_no_say_where_the_cost_is_known() -> None:
    """Neither for a tool nor for a cost of the caller's; and `check` answers as a reserve would."""
    plugin = Estimating(lambda: Estimate("$0.75", 10))
    session = Budget("$1", plugins=[plugin], tool_prices={"search": "$0.01"}).session()
    assert session.reserve(tool="search").settle().cost == Decimal("0.01")
    assert session.reserve("gpt-4o", cost="$0.02").settle().cost == Decimal("0.02")
    assert plugin.asked == []
    session.check("gpt-4o", 800, 200)
    session.reserve("gpt-4o", **CALL)
    with pytest.raises(BudgetExceeded):
        session.check("gpt-4o", 800, 200)


def test_an_estimate_is_an_amount_and_a_count() -> None:
    """USD in any spelling, exact; anything else is refused by itself."""
    assert Estimate("$1,000.50", 5).usd == Decimal("1000.50") and Estimate(0.1, 5).usd == Decimal("0.1")
    for usd, tokens in [
        ("-1", 1),
        (float("nan"), 1),
        (None, 1),
        (5_000_000, 1),
        (1, -1),
        (1, True),
        (1, 1.0),
    ]:
        with pytest.raises(InvalidAmount):
            Estimate(usd, tokens)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        Estimate(1, 1).tokens = 5  # type: ignore[misc]


# -- bursar_read_usage --------------------------------------------------------------------------------


def odd(prompt: int, answer: int) -> Any:
    """An answer in a shape that only the plugin knows."""
    return SimpleNamespace(model="gpt-4o", counted=(prompt, answer))


def counted(response: Any) -> Usage | None:
    return Usage(*response.counted) if hasattr(response, "counted") else None


@pytest.mark.parametrize("way", WAYS)
def test_bursar_read_usage_reads_an_answer_of_its_own(way: str) -> None:
    """It settles exactly; answers that the plugin does not know are read as without it."""
    session = Budget("$1", plugins=[Reading(counted)]).session()

    async def settle(answer: Any) -> Decimal:
        hold = await session.areserve("gpt-4o", **CALL)
        return (await hold.asettle(answer) if way == "async" else hold.settle(answer)).cost

    assert asyncio.run(settle(odd(640, 120))) == Decimal("0.0028")
    known = {"usage": {"prompt_tokens": 640, "completion_tokens": 20}, "model": "gpt-4o"}
    assert asyncio.run(settle(known)) == Decimal("0.0018")
    with ScriptedProvider() as provider:
        work(session.child_session(name="inner"), provider, 2, way=way)
        assert session.spent == provider.bill + Decimal("0.0046")


@pytest.mark.parametrize(
    "answer",
    [*FAILURES, lambda _: Usage(0, 0), lambda _: Usage(-5, 5), lambda _: Usage(5, 5, 6),
     lambda _: Usage("5", 5), lambda _: Usage(float("nan"), 5), lambda _: Usage(2**63, 5)],
)  # fmt: skip
def test_a_bursar_read_usage_that_fails_books_the_hold(answer: Callable[[Any], Any]) -> None:
    """Whatever it raises or returns, the call is booked at its hold and marked, not at $0."""
    budget = Budget("$1", plugins=[Reading(answer)])
    session = budget.session()
    charge = session.reserve("gpt-4o", **CALL).settle({"usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    assert (charge.cost, charge.estimated, charge.usage) == (Decimal("0.004"), True, None)
    assert session.report()["estimated"] == 1
    with pytest.raises(UsageMissing, match="record"):
        session.wrap({"model": "gpt-4o", "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    assert list_plugins(budget)[0].failures == {"bursar_read_usage": 2}


def test_bursar_read_usage_is_asked_by_wrap() -> None:
    """An answer without a hold is read by the plugin, too; a usage that the caller gives is not doubted."""
    session = Budget("$1", plugins=[Reading(counted)]).session()
    session.wrap(odd(640, 120))
    assert session.spent == Decimal("0.0028")
    charge = session.reserve("gpt-4o", **CALL).settle(odd(1, 1), usage=Usage(640, 120))
    assert charge.cost == Decimal("0.0028")


# -- bursar_before_reserve ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("vetoes", [True, False])
def test_bursar_before_reserve_vetoes_a_call(way: str, vetoes: bool) -> None:
    """A veto of the third call leaves two on the bill and nothing reserved; without it all five are made."""
    seen: list[tuple[Call, Session]] = []

    def third(call: Call, session: Session) -> None:
        seen.append((call, session))
        if vetoes and len(seen) == 3:
            raise CallVetoed("no third call today")

    with ScriptedProvider() as provider:
        budget = Budget("$1", plugins=[Vetoing(third)])
        session = budget.session(id="run-7")
        if not vetoes:
            work(session, provider, 5, way=way)
            assert provider.hits == 5 and session.spent == provider.bill
            return
        with pytest.raises(BudgetExceeded) as refusal:
            work(session, provider, 5, way=way)
        assert provider.hits == 2 and session.spent == provider.bill and session.reserved == 0
    error = refusal.value
    assert isinstance(error, CallVetoed) and str(error) == error.reason == "no third call today"
    assert (error.account, error.model, error.tool) == ("default/run-7", "gpt-4o", None)
    assert error.asked is not None and error.asked > 0
    assert error.limit is error.spent is error.reserved is error.remaining is error.retry_after is None
    assert all(whose is session for _, whose in seen)
    assert seen[0][0].model == "gpt-4o" and seen[0][0].max_output_tokens == 100
    assert session.report()["events"][-1] | {"id": ""} == {
        "event": "refusal", "id": "", "model": "gpt-4o", "tool": None, "message": "no third call today",
    }  # fmt: skip
    assert session.terminated_by is None  # the budget is not exhausted
    assert list_plugins(budget)[0].failures == {}  # a veto is no failure


@pytest.mark.parametrize("act", FAILURES[:4])
def test_a_bursar_before_reserve_that_fails_is_a_veto(act: Callable[..., Any]) -> None:
    """Whatever it raises, the call is not made; the error tells its kind, not its words, and has it as its cause."""
    budget = Budget("$1", plugins=[Vetoing(act)])
    session = budget.session()
    with pytest.raises(CallVetoed) as veto:
        session.reserve("gpt-4o", **CALL)
    kind = type(veto.value.__cause__).__name__
    assert kind in {"ValueError", "SystemExit", "CancelledError", "RecursionError"}
    assert kind in str(veto.value) and "'gpt-4o'" in str(veto.value) and "'Vetoing'" in str(veto.value)
    assert SECRET not in str(veto.value) and SECRET not in str(session.report())
    assert session.reserved == session.spent == 0
    assert list_plugins(budget)[0].failures == {"bursar_before_reserve": 1}


def test_a_refusal_by_another_budget_is_a_veto_of_this_call() -> None:
    """A plugin that has its own budget, and may not ask, refuses; it does not pass its refusal on as ours."""
    other = Budget("$0").session()
    session = Budget("$1", plugins=[Vetoing(lambda *_: other.reserve("gpt-4o", **CALL))]).session()
    with pytest.raises(CallVetoed) as veto:
        session.reserve("gpt-4o", **CALL)
    assert isinstance(veto.value.__cause__, BudgetExceeded)
    assert veto.value.account == f"default/{session.id}"


@pytest.mark.parametrize("answer", [None, False, True, CallVetoed("not raised")])
def test_bursar_before_reserve_is_not_read(answer: Any) -> None:
    """Only an exception is a veto; what is returned means nothing."""
    session = Budget("$1", plugins=[Vetoing(lambda *_: answer)]).session()
    assert session.reserve("gpt-4o", **CALL).state == "reserved"


@pytest.mark.parametrize("hard_stop", [True, False])
def test_a_veto_holds_in_shadow_mode(hard_stop: bool) -> None:
    """It is no limit that could be switched off; and a question does not ask for it."""
    session = Budget("$1", plugins=[Vetoing(raising(CallVetoed))], hard_stop=hard_stop).session()
    session.check("gpt-4o", 800, 200)
    with pytest.raises(CallVetoed):
        session.reserve("gpt-4o", **CALL)
    assert session.reserved == 0


def test_every_bursar_before_reserve_has_to_agree() -> None:
    """The one that is asked last can still refuse, with a kind of its own, and says what it knows."""

    class OutOfHours(CallVetoed):
        """A kind of veto."""

    def closed(*_: Any) -> None:
        raise OutOfHours("closed", reason="it is night", account="the night shift")

    session = Budget("$1", plugins=[Vetoing(lambda *_: None), Vetoing(closed)]).session()
    with pytest.raises(OutOfHours) as veto:
        session.reserve(tool="search", cost="$0.01")
    error = veto.value
    assert (error.reason, error.account, error.tool, error.model) == (
        "it is night",
        "the night shift",
        "search",
        None,
    )


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_in_bursar_before_reserve_is_the_users(way: str) -> None:
    """A Ctrl-C goes through as it is, and nothing is reserved."""
    budget = Budget("$1", plugins=[Vetoing(raising(KeyboardInterrupt))])
    with ScriptedProvider() as provider:
        session = budget.session()
        with pytest.raises(KeyboardInterrupt):
            work(session, provider, 1, way=way)
        assert provider.hits == 0 and session.reserved == session.spent == 0


def test_an_interrupt_in_an_asking_hook_is_the_users() -> None:
    """It is not taken for a failure of the plugin."""
    session = Budget("$1", plugins=[Pricing(raising(KeyboardInterrupt))]).session()
    with pytest.raises(KeyboardInterrupt):
        session.reserve("in-house", **CALL)


def test_bursar_before_reserve_may_spend() -> None:
    """A plugin that pays for a check of each call from the same budget is not asked about its own call."""

    def moderate(call: Call, session: Session) -> None:
        with session.reserve("gpt-4o-mini", input_tokens=100, max_output_tokens=10) as hold:
            hold.settle(input_tokens=100, output_tokens=10)

    session = Budget("$1", plugins=[Vetoing(moderate)]).session()
    session.reserve("gpt-4o", **CALL).settle(input_tokens=800, output_tokens=200)
    assert session.calls == 2 and session.spent == Decimal("0.004021")


def test_what_a_hook_is_given_cannot_raise_the_hold() -> None:
    """A call that is forced to change is a copy; the cap to send is the one that is held."""
    session = Budget("$0.004", plugins=[Vetoing(lambda call, _: forced(call, "max_output_tokens", 10**6)),
                                        Estimating(lambda: None)]).session()  # fmt: skip
    assert session.reserve("gpt-4o", **CALL).max_output_tokens == 200


def test_a_reply_without_usage_is_booked_at_the_estimate() -> None:
    """The estimate takes the place of the worst case wherever the hold is booked: usage that is missing, a lease that ends."""
    clock = ManualClock()
    session = Budget("$1", plugins=[Estimating(lambda: Estimate("$0.002", 500))], clock=clock).session()
    with ScriptedProvider() as provider:
        provider.script(Reply(usage="absent"))
        work(session, provider, 1)
    assert session.spent == Decimal("0.002") and session.report()["estimated"] == 1
    session.reserve("gpt-4o", messages=PROMPT, max_output_tokens=100)
    clock.advance(3_600)
    assert session.spent == Decimal("0.004") and session.reserved == 0

"""Before a call: a promise that a covered SDK claims, or a hold of the adapter's own; sync and async."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, BursarError, UnknownModel, Usage, coverage
from bursar.integration import (
    FoundByText,
    OpenCall,
    Payer,
    Payers,
    Result,
    areserve_once,
    came_around,
    covered_hold,
    covered_sdks,
    is_sent_by,
    read_answer,
    reserve_once,
    texts_of,
)
from bursar.ledger.context import claimed
from bursar.testing import ScriptedProvider

from .toy_hooks import ASKED, Hooks, Passes, Plugin, ask, budget

pytestmark = pytest.mark.usefixtures("_nobody_pays")

WORST = Decimal("0.0005")  # of the output; the input comes on top


def blocking(hooks: Hooks, call: OpenCall, *args: Any, **how: Any) -> bool:
    return hooks.admit(call, *args, **how)


def awaited(hooks: Hooks, call: OpenCall, *args: Any, **how: Any) -> bool:
    call.watched = False  # its task is over before the call is
    return asyncio.run(hooks.aadmit(call, *args, **how))


both = pytest.mark.parametrize("admit", [blocking, awaited])


# -- holds of the adapter's own -----------------------------------------------------------------------


@both
def test_a_call_is_held_at_its_worst_case_until_it_ends(admit: Callable[..., bool]) -> None:
    """Held before, exact after; the run of the report has its cost."""
    hooks = Hooks("$1")
    assert admit(hooks, OpenCall("run"))
    assert hooks.session.reserved > WORST and len(hooks.calls) == 1
    hooks.end("run", Result(Usage(10, 5)))
    assert (hooks.session.reserved, hooks.session.spent) == (0, Decimal("0.000075"))
    (run,) = hooks.costs.report()
    assert run == {"run_id": "run", "name": "ask", "total_spent": 0.000075, "calls": 1}


@both
def test_a_call_that_does_not_fit_is_refused_in_the_class_that_passes(admit: Callable[..., bool]) -> None:
    """Nothing stays held, open or covered; the adapter is told whose money it was about."""
    hooks = Hooks("$0.0001")
    with pytest.raises(BudgetExceeded) as refused:
        admit(hooks, OpenCall("run"))
    assert isinstance(refused.value, Passes)
    assert hooks.refusals == [(refused.value, hooks.payers.payer())]
    assert (len(hooks.calls), hooks.session.reserved, covered_hold()) == (0, 0, None)
    assert hooks.costs.close("run") is None


def test_a_refusal_is_raised_without_a_listener_too() -> None:
    """`on_refusal` is left out by adapters that have nothing to do then; other errors are ours as well."""
    hooks = Hooks("$1", listens=False)
    with pytest.raises(UnknownModel) as refused:
        hooks.admit(OpenCall("run"), {**ASKED, "model": "nobody-knows"})
    assert isinstance(refused.value, Passes) and not hooks.refusals


@both
def test_the_hold_covers_what_is_sent_from_the_same_context(admit: Callable[..., bool]) -> None:
    """A covered SDK below finds it; the end of the call closes it. The run of a tool covers nothing."""
    hooks, call = Hooks("$1"), OpenCall("run")
    admit(hooks, call)
    assert call.cover is not None and call.cover.active
    hooks.end("run", Result(Usage(1, 1)))
    assert not call.cover.active and covered_hold() is None
    tool = OpenCall("tool", is_tool=True)
    admit(hooks, tool, {"tool": "search", "cost": "0.01"})
    assert tool.cover is None
    tool.pay()
    assert hooks.session.spent == Decimal("0.01001250")


@both
def test_a_prompt_that_another_task_sends_finds_its_hold(admit: Callable[..., bool], covered: Plugin) -> None:
    """By its text: no promise of this context would reach it; what is sent from here is not its request."""
    hooks = Hooks("$1")
    assert covered_sdks() == {"openai"}
    call = OpenCall("run", watched=False)
    admit(hooks, call, {**ASKED, "messages": ["Why?"]}, sdk="openai", text="Why?")
    assert covered_hold() is None and call.promise is None and isinstance(call.cover, FoundByText)
    assert call.hold is not None and call.hold.state == "reserved"
    with ThreadPoolExecutor(1) as another:  # what a covered SDK asks before it sends
        assert another.submit(claimed, ["Why?"]).result() is call.cover
    call.withdraw()
    assert not call.cover.active


@both
def test_the_same_call_heard_twice_is_admitted_once(admit: Callable[..., bool]) -> None:
    """By the objects that the hooks were given; another call with its key has a hold of its own."""
    hooks, messages = Hooks("$1"), ["hello"]
    assert admit(hooks, OpenCall("run", (messages,)))
    held = hooks.session.reserved
    assert not admit(hooks, OpenCall("run", (messages,)))
    assert hooks.session.reserved == held
    assert admit(hooks, OpenCall("run", (["hello"],)))
    assert hooks.session.reserved == 2 * held


def test_two_adapters_of_a_session_hold_a_call_once() -> None:
    """They get the same hold, and the second end of the call changes nothing."""
    session, given = budget(), (object(),)
    one, two = Hooks(session), Hooks(session)
    one.admit(OpenCall("run", given))
    held = session.reserved
    two.admit(OpenCall("run", given))
    assert session.reserved == held
    one.end("run", Result(Usage(10, 5)))
    two.end("run", Result(Usage(10, 5)))
    assert session.spent == Decimal("0.000075")


def test_a_refusal_gives_back_what_other_adapters_hold_for_the_call() -> None:
    """The call is not made: the first adapter, which had agreed, has nothing held for it any more."""
    given = (object(),)
    rich, poor = Hooks("$1"), Hooks("$0.0001")
    rich.admit(OpenCall("run", given))
    with pytest.raises(BudgetExceeded):
        poor.admit(OpenCall("run", given))
    assert (rich.session.reserved, rich.session.spent, len(rich.calls)) == (0, 0, 0)


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()])
def test_a_bug_or_an_interrupt_leaves_nothing_held(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was reserved is given back when the call is not made, whatever prevented it."""
    hooks = Hooks("$1")

    def fails(call: OpenCall) -> None:
        raise error

    monkeypatch.setattr(hooks.calls, "add", fails)
    with pytest.raises(type(error)):
        hooks.admit(OpenCall("run"))
    assert (hooks.session.reserved, hooks.session.spent, covered_hold()) == (0, 0, None)


def test_an_adapter_may_reserve_by_itself() -> None:
    """`hold=` is given the ids of holds that pay for other calls with the key."""
    hooks, seen = Hooks("$1"), []

    def own(taken: set[str]) -> Any:
        seen.append(taken)
        return hooks.session.reserve(cost="0.25")

    hooks.admit(OpenCall("run", (object(),)))
    (first,) = hooks.calls.known("run")
    assert first.hold is not None
    hooks.admit(OpenCall("run", (object(),)), hold=own)
    assert seen == [{first.hold.id}]
    assert hooks.calls.known("run")[1].hold.amount == Decimal("0.25")  # type: ignore[union-attr]


@both
@pytest.mark.parametrize(("limit", "says"), [("$1", True), ("$0", True), ("$1", False)])
def test_a_refusal_is_asked_about_once(limit: str, says: bool, admit: Callable[..., bool]) -> None:
    """Somebody may raise the limit; then the call is tried once more. A refusal that stands is told."""
    limits, seen = Budget("$0"), list[BudgetExceeded]()

    def person(refusal: BudgetExceeded) -> bool:
        seen.append(refusal)
        limits.set_limit(f"{limit}/session")
        return says

    hooks = Hooks(limits, on_budget=person)
    if says and limit == "$1":
        admit(hooks, OpenCall("run"))
        assert hooks.session.reserved > WORST and hooks.refusals == []
    else:
        with pytest.raises(BudgetExceeded):
            admit(hooks, OpenCall("run"))
        assert hooks.session.reserved == 0 and len(hooks.refusals) == 1
    assert len(seen) == 1 and isinstance(seen[0], Passes)


# -- keys -------------------------------------------------------------------------------------------


def reserve_awaited(*args: Any) -> Any:
    return asyncio.run(areserve_once(*args))


@pytest.mark.parametrize("reserve", [reserve_once, reserve_awaited])
def test_a_key_that_is_used_again_gets_a_hold_of_its_own(reserve: Callable[..., Any]) -> None:
    """Also when the first is settled, released or taken by another call; else it is the same one."""
    payer = Payers("$1").payer()
    first = reserve(payer, "key", set(), ASKED)
    assert reserve(payer, "key", set(), ASKED).id == first.id
    second = reserve(payer, "key", {first.id}, ASKED)
    assert second.id != first.id
    first.settle(usage=Usage(1, 1))
    second.release()
    third = reserve(payer, "key", set(), ASKED)
    assert third.id not in {first.id, second.id} and third.state == "reserved"
    fourth = reserve(payer, "key", set(), {**ASKED, "max_output_tokens": 60})  # the key of open holds
    assert fourth.id not in {first.id, second.id, third.id}


@pytest.mark.parametrize("reserve", [reserve_once, reserve_awaited])
def test_a_model_that_openai_does_not_have_is_looked_up_by_its_name(reserve: Callable[..., Any]) -> None:
    """Its client talks to other hosts; a model that nobody has is refused with either provider."""
    payer = Payers("$1").payer()
    asked = {**ASKED, "provider": "openai", "model": "claude-haiku-4-5"}
    assert reserve(payer, "key", set(), asked).call.model == "claude-haiku-4-5"
    assert asked["provider"] == "openai"
    for provider_name in ("openai", "anthropic"):
        with pytest.raises(UnknownModel):
            reserve(payer, "other", set(), {**asked, "provider": provider_name, "model": "nobody-knows"})


def test_an_output_cap_is_not_lowered_behind_the_framework() -> None:
    """What nobody can change any more is held whole, or refused."""
    payer = Payers("$0.0004").payer()
    with pytest.raises(BudgetExceeded):
        reserve_once(payer, "key", set(), ASKED)
    assert reserve_once(payer, "key", set(), {**ASKED, "clamp": True}).clamped


# -- promises -----------------------------------------------------------------------------------------


@both
def test_a_promise_is_claimed_by_the_sdk_which_books(
    admit: Callable[..., bool],
    covered: Plugin,
    provider: ScriptedProvider,
) -> None:
    """The adapter holds nothing and books nothing; the bill is exact, and the run has its cost."""
    hooks, call = Hooks("$1"), OpenCall("run")

    async def run() -> bytes:
        await hooks.aadmit(call, sdk="openai")
        return ask(provider)

    if admit is blocking:
        hooks.admit(call, sdk="openai")
        answer = ask(provider)
    else:
        call.watched = False
        answer = asyncio.run(run())
    assert call.promise is not None and call.promise.claimed
    hooks.end("run", Result(read_answer(json.loads(answer)).usage))
    assert (hooks.session.spent, hooks.session.reserved) == (provider.bill, 0)
    assert hooks.costs.report()[0]["total_spent"] == float(provider.bill) > 0


def test_the_sdk_lowers_the_cap_of_a_promised_call(covered: Plugin, provider: ScriptedProvider) -> None:
    """What the adapter could only refuse, the SDK sends with what is left."""
    hooks = Hooks("$0.0004")
    hooks.admit(OpenCall("run"), sdk="openai")
    answer = json.loads(ask(provider))
    assert 0 < answer["usage"]["completion_tokens"] < 50
    assert hooks.session.spent == provider.bill <= Decimal("0.0004")


def test_a_promised_call_that_does_not_fit_is_refused_by_the_sdk(
    covered: Plugin,
    provider: ScriptedProvider,
) -> None:
    """In the class that passes, told to the adapter, and nothing is sent; its end books nothing."""
    hooks = Hooks("$0.0000001")
    hooks.admit(OpenCall("run"), sdk="openai")
    with pytest.raises(BudgetExceeded) as refused:
        ask(provider)
    assert isinstance(refused.value, Passes) and hooks.refusals[0][0] is refused.value
    call = hooks.calls.take("run")
    assert call is not None
    call.fail(refused.value)
    assert (provider.arrivals, hooks.session.spent, hooks.session.reserved) == (0, 0, 0)


def test_two_adapters_of_a_session_promise_a_call_once(covered: Plugin, provider: ScriptedProvider) -> None:
    """One request, one charge; both runs have its cost."""
    session, given = budget(), (object(),)
    one, two = Hooks(session), Hooks(session)
    for hooks in (one, two):
        hooks.admit(OpenCall("run", given), sdk="openai")
    ask(provider)
    for hooks in (one, two):
        hooks.end("run", Result(Usage(1, 1)))
        assert hooks.costs.report()[0]["total_spent"] == float(provider.bill)
    assert session.spent == provider.bill > 0


@pytest.mark.parametrize("claimed", [True, False])
def test_two_sessions_pay_for_one_promised_call_each(
    claimed: bool,
    covered: Plugin,
    provider: ScriptedProvider,
) -> None:
    """The second holds beside the SDK, and settles by itself; if the answer came around, both book it."""
    given = (object(),)
    one, two = Hooks("$1"), Hooks("$1")
    for hooks in (one, two):
        hooks.admit(OpenCall("run", given), sdk="openai")
    usage = read_answer(json.loads(ask(provider))).usage if claimed else Usage(20, 9)
    assert (two.session.reserved > 0) is claimed
    for hooks in (one, two):
        hooks.end("run", Result(usage))
    assert one.session.spent == two.session.spent > 0
    assert (one.session.reserved, two.session.reserved) == (0, 0)
    if claimed:
        assert one.session.spent == provider.bill


def test_a_refusal_by_the_sdk_is_asked_about_once(covered: Plugin, provider: ScriptedProvider) -> None:
    """It asks before it sends, and again after somebody raised the limit."""
    limits, seen = Budget("$0"), list[BudgetExceeded]()

    def person(refusal: BudgetExceeded) -> bool:
        seen.append(refusal)
        limits.set_limit("$1/session")
        return True

    hooks = Hooks(limits, on_budget=person)
    hooks.admit(OpenCall("run"), sdk="openai")
    ask(provider)
    assert len(seen) == 1 and hooks.refusals == []
    assert hooks.session.spent == provider.bill > 0


def test_a_session_beside_lowers_what_the_sdk_sends(covered: Plugin, provider: ScriptedProvider) -> None:
    """The cap that both can bear is sent; an adapter that reads no usage has that which the SDK saw."""
    given = (object(),)
    rich, poor = Hooks("$1"), Hooks("$0.0004")
    for hooks in (rich, poor):
        hooks.admit(OpenCall("run", given), sdk="openai")
    answer = json.loads(ask(provider))
    assert 0 < answer["usage"]["completion_tokens"] < 50
    for hooks in (rich, poor):
        hooks.end("run", Result(finished=True))
        assert hooks.session.spent == provider.bill <= Decimal("0.0004")


def test_an_adapter_that_would_reserve_by_itself_listens_to_a_promise(
    covered: Plugin, provider: ScriptedProvider
) -> None:
    """The SDK sends on one hold only: where another session has promised, nothing is held beforehand."""
    given = (object(),)
    one, two = Hooks("$1"), Hooks("$1")
    one.admit(OpenCall("run", given), sdk="openai")
    two.admit(OpenCall("run", given), sdk="openai", hold=lambda taken: pytest.fail("it was asked"))
    ask(provider)
    for hooks in (one, two):
        hooks.end("run", Result())
        assert hooks.session.spent == provider.bill


def test_a_session_beside_that_has_no_money_prevents_the_call(
    covered: Plugin,
    provider: ScriptedProvider,
) -> None:
    """Its refusal reaches the caller of the SDK; the others get back what they held."""
    given = (object(),)
    rich, beside, poor = Hooks("$1"), Hooks("$1"), Hooks("$0.0001")
    for hooks in (rich, beside, poor):
        hooks.admit(OpenCall("run", given), sdk="openai")
    with pytest.raises(BudgetExceeded) as refused:
        ask(provider)
    assert isinstance(refused.value, Passes) and poor.refusals[0][0] is refused.value
    assert provider.arrivals == 0
    for hooks in (rich, beside, poor):
        hooks.end("run", Result(Usage(1, 1)))
        assert (hooks.session.spent, hooks.session.reserved) == (0, 0)


def test_a_retry_of_the_sdk_is_held_beside_once(covered: Plugin, provider: ScriptedProvider) -> None:
    """The second hold on the promise is the same call for a session beside."""
    given = (object(),)
    one, two = Hooks("$1"), Hooks("$1")
    for hooks in (one, two):
        hooks.admit(OpenCall("run", given), sdk="openai")
    (call,) = one.calls.known("run")
    assert call.promise is not None
    for _ in range(2):
        call.promise.tell(one.session.reserve("gpt-4o", input_tokens=10, max_output_tokens=10))
    assert two.session.reserved == one.session.reserved / 2


def test_an_answer_that_came_around_the_sdk_is_booked_and_the_next_is_held(
    covered: Plugin,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, though two adapters hear of it; the kind of client is not trusted again, and said so once."""
    session, given = budget(), (object(),)
    one, two = Hooks(session), Hooks(session)
    for hooks in (one, two):
        hooks.admit(OpenCall("run", given), sdk="openai", kind=("toys", "Client"))
    with caplog.at_level(logging.ERROR, "bursar"):
        for hooks in (one, two):
            hooks.end("run", Result(Usage(10, 5), model="gpt-4o"))
        came_around(("toys", "Client"))
    assert session.spent == Decimal("0.000075")
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [text.split(" did")[0] for text in errors] == ["toys.Client"]
    one.admit(OpenCall("next"), sdk="openai", kind=("toys", "Client"))
    assert session.reserved > WORST


def test_without_a_kind_an_adapter_has_one_of_each_sdk(
    covered: Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    """What came around one adapter says nothing about the clients of another."""
    one, other = Hooks("$1"), Hooks("$1", prefix="other")
    one.admit(OpenCall("run"), sdk="openai")
    one.end("run", Result(Usage(10, 5)))
    assert not is_sent_by("openai", ("toy", "openai"))
    other.admit(OpenCall("run"), sdk="openai")
    assert (one.session.spent, other.session.reserved) == (Decimal("0.000075"), 0)


def test_a_bill_that_came_around_and_passes_the_limit_is_booked_and_told(covered: Plugin) -> None:
    """The end of a call raises nothing; the next call is refused."""
    hooks = Hooks("$0.00001")
    hooks.admit(OpenCall("run"), sdk="openai")
    hooks.end("run", Result(Usage(10, 5)))
    assert hooks.session.spent == Decimal("0.000075")
    assert isinstance(hooks.refusals[0][0], BudgetExceeded)
    with pytest.raises(BudgetExceeded):
        hooks.admit(OpenCall("next"), sdk="openai")


def test_a_hit_of_a_cache_costs_nothing_and_is_counted(covered: Plugin) -> None:
    """Neither a promised call nor a held one is charged; the client is trusted as before."""
    hooks = Hooks("$1")
    for sdk in ("openai", None):
        hooks.admit(OpenCall("run"), sdk=sdk)
        hooks.end("run", Result(Usage(10, 5), cached=True))
    assert (hooks.session.spent, hooks.session.reserved) == (0, 0)
    assert hooks.session.report()["saved"] == 0.00015
    assert is_sent_by("openai", ("toy", "openai"))


def test_who_sends_a_request(covered: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an SDK that is imported and has a plugin; one that fails to be covered is an error."""
    assert not is_sent_by(None, "kind") and not is_sent_by("anthropic", "kind")
    assert is_sent_by("openai", "kind") and covered_sdks() == {"openai"}
    monkeypatch.setattr(coverage, "_for_good", set())
    covered.fails = True
    hooks = Hooks("$1")
    with pytest.raises(BursarError, match="openai is not covered") as refused:
        hooks.admit(OpenCall("run"), sdk="openai")
    assert isinstance(refused.value, Passes) and hooks.session.reserved == 0


def test_a_kind_that_is_no_tuple_is_named_as_it_is(covered: Plugin, caplog: pytest.LogCaptureFixture) -> None:
    """The log says which client it is about."""
    came_around("Client")
    assert caplog.records[0].getMessage().startswith("Client did not send")


def test_texts_of_messages() -> None:
    """A prompt, prompts, and contents of messages that are texts."""
    assert list(texts_of("hello")) == ["hello"]
    assert list(texts_of(None)) == []
    assert list(texts_of(["one", {"content": "two"}, {"content": ["three"]}, {"content": ""}, 4])) == [
        "one",
        "two",
    ]


def test_a_payer_is_a_session_and_a_part_of_it() -> None:
    """What is refused in the part is surfaced at the session."""
    session = Budget("$1").session()
    payer = Payer(session, session.part("writer", "$0.0001"))
    hooks = Hooks(session)
    with pytest.raises(BudgetExceeded) as refused:
        hooks.admission.admit(OpenCall("run"), payer, ASKED, name="ask")
    assert session.last_refusal is not None and str(session.last_refusal) == str(refused.value)

"""Whatever of ours is combined around a call, it is charged once, to one session, at the provider's bill."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from tests.unit.sdk import AsyncClient, Client, Options, patching

from bursar import Budget, BudgetExceeded, Hold, Session, Usage
from bursar.integration import cover_later
from bursar.testing import ManualClock, Rate, Reply, ScriptedProvider

WAYS = pytest.mark.parametrize("way", ["sync", "async", "stream"])
HI: Any = [{"role": "user", "content": "hi"}]
HELD: Any = {"input_tokens": 300, "max_output_tokens": 50}


class Stage(NamedTuple):
    """Who may pay, and how a call is made."""

    mine: Session
    other: Session
    call: Callable[..., Any]  # returns the answer, or its usage alone where it was streamed
    wrapped: Callable[[Session], dict[str, Any]]  # makes the client of the next call one of this session


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(rates={"gpt-4o": Rate("2.50", "10")}) as provider:
        provider.always(Reply("blue", output_tokens=7))
        patching.patch()
        yield provider
        patching.unpatch()


def make(provider: ScriptedProvider, way: str, **settings: Any) -> Stage:
    def call(client: Any = None, model: str = "gpt-4o") -> dict[str, Any]:
        kind = AsyncClient if way == "async" else Client
        client = kind(provider.openai_url) if client is None else client
        options = Options(model=model, messages=HI, max_tokens=50, stream=way == "stream")
        if way == "async":
            answer: dict[str, Any] = json.loads(asyncio.run(client.request(object, options)))
            return answer
        if way == "sync":
            return json.loads(client.request(object, options))  # type: ignore[no-any-return]
        options.json_data["stream_options"] = {"include_usage": True}
        for _ in client.request(object, options, stream=True).iter_bytes():
            """Read to its end."""
        sent = (provider.served[-1].cost_nanos - 7 * 10_000) // 2_500  # by the rates above
        return {"usage": {"prompt_tokens": sent, "completion_tokens": 7}}

    def wrapped(session: Session) -> Any:
        kind = AsyncClient if way == "async" else Client
        return patching.wrap(kind(provider.openai_url), session)

    budgets = [Budget("$1", **settings) for _ in range(2)]
    return Stage(budgets[0].session(), budgets[1].session(), call, wrapped)


def counts(answer: dict[str, Any]) -> dict[str, int]:
    usage = answer["usage"]
    return {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}


# -- the rows: each makes one call, and `mine` pays ------------------------------------------------------


def in_session(on: Stage) -> None:
    with on.mine:
        on.call()


def in_session_and_wrap(on: Stage) -> None:
    with on.mine:
        answer = on.call()
        if "id" in answer:
            on.mine.wrap(answer)


def hold_not_entered(on: Stage) -> None:
    with on.mine:
        hold = on.mine.reserve("gpt-4o", **HELD)
        on.call()
        assert hold.state == "settled" and hold.used


def hold_not_entered_and_settle_response(on: Stage) -> None:
    with on.mine:
        hold = on.mine.reserve("gpt-4o", **HELD)
        charge = hold.settle(on.call())
        assert charge == hold.charge


def hold_not_entered_and_settle_numbers(on: Stage) -> None:
    with on.mine:
        hold = on.mine.reserve("gpt-4o", **HELD)
        hold.settle(**counts(on.call()))


def hold_not_entered_and_settle_other_numbers(on: Stage) -> None:
    with on.mine:
        hold = on.mine.reserve("gpt-4o", **HELD)
        on.call()
        hold.settle(input_tokens=1, output_tokens=1)


def in_hold(on: Stage) -> None:
    with on.mine.reserve("gpt-4o", **HELD):
        on.call()


def in_hold_and_settle_response(on: Stage) -> None:
    with on.mine.reserve("gpt-4o", **HELD) as hold:
        hold.settle(on.call())


def in_hold_and_settle_numbers(on: Stage) -> None:
    with on.mine, on.mine.reserve("gpt-4o", **HELD) as hold:
        hold.settle(**counts(on.call()))


def in_hold_within_another_session(on: Stage) -> None:
    with on.other, on.mine.reserve("gpt-4o", **HELD):
        on.call()


def callback_of_the_same_session(on: Stage) -> None:
    with on.mine, cover_later(on.mine):
        on.call()


def callback_of_another_session(on: Stage) -> None:
    with on.other, cover_later(on.mine):
        on.call()


def session_within_a_callback(on: Stage) -> None:
    with cover_later(on.mine), on.mine:
        on.call()


def child_session(on: Stage) -> None:
    with on.mine, on.mine.child_session("$0.50") as child:
        on.call()
    assert child.calls == 1


def another_budget_within(on: Stage) -> None:
    with on.other, on.mine:
        on.call()


def wrapped_client(on: Stage) -> None:
    on.call(on.wrapped(on.mine))


def wrapped_client_within_another_session(on: Stage) -> None:
    with on.other:
        on.call(on.wrapped(on.mine))


def wrapped_client_and_wrap(on: Stage) -> None:
    answer = on.call(on.wrapped(on.mine))
    if "id" in answer:
        on.mine.wrap(answer)


def wrapped_client_and_a_hold_not_entered(on: Stage) -> None:
    hold = on.mine.reserve("gpt-4o", **HELD)
    hold.settle(**counts(on.call(on.wrapped(on.mine))))


def wrapped_client_in_a_hold(on: Stage) -> None:
    client = on.wrapped(on.mine)
    with on.mine.reserve("gpt-4o", **HELD) as hold:
        hold.settle(**counts(on.call(client)))


def not_covering_and_record(on: Stage) -> None:
    quiet = on.mine.budget.session(cover=False)
    patching.unpatch()
    with quiet:
        quiet.record("gpt-4o", **counts(on.call()))
    on.mine.track(None, quiet.spent)  # for the comparison


ROWS = (
    *(in_session, in_session_and_wrap, hold_not_entered, hold_not_entered_and_settle_response),
    *(hold_not_entered_and_settle_numbers, hold_not_entered_and_settle_other_numbers, in_hold),
    *(in_hold_and_settle_response, in_hold_and_settle_numbers, in_hold_within_another_session),
    *(callback_of_the_same_session, callback_of_another_session, session_within_a_callback, child_session),
    *(another_budget_within, wrapped_client, wrapped_client_within_another_session, wrapped_client_and_wrap),
    *(wrapped_client_and_a_hold_not_entered, wrapped_client_in_a_hold, not_covering_and_record),
)


@WAYS
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_a_call_is_charged_once_to_one_session(
    row: Callable[[Stage], None], way: str, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """What is booked is the bill, nothing is held, no other session pays, and nobody is warned."""
    stage = make(provider, way)
    row(stage)
    assert provider.calls == 1 and provider.bill > 0
    assert (stage.mine.spent, stage.mine.reserved) == (provider.bill, 0)
    assert (stage.other.spent, stage.other.reserved) == (0, 0)
    assert caplog.text == ""


# -- a hold that is not entered -------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_hold_that_is_not_entered_pays_for_one_call(way: str, provider: ScriptedProvider) -> None:
    """Its cap is sent; a second call reserves for itself, the newest hold is taken first."""
    stage = make(provider, way)
    with stage.mine:
        older = stage.mine.reserve("gpt-4o", input_tokens=300, max_output_tokens=40)
        newer = stage.mine.reserve("gpt-4o", input_tokens=300, max_output_tokens=20)
        for state in (["reserved", "settled"], ["settled", "settled"], ["settled", "settled"]):
            stage.call()
            assert [older.state, newer.state] == state
    assert [served.body["max_tokens"] for served in provider.served] == [20, 40, 50]
    assert (stage.mine.spent, stage.mine.reserved) == (provider.bill, 0)


def test_a_hold_is_left_to_whoever_reserved_it_for_something_else(provider: ScriptedProvider) -> None:
    """Of another model, session, thread, tool, or an amount; one that is closed, or that nobody has any more."""
    stage = make(provider, "sync")
    sibling = stage.mine.budget.session()
    with stage.mine:
        kept = [
            stage.mine.reserve("gpt-4o-mini", **HELD),
            sibling.reserve("gpt-4o", **HELD),
            stage.other.reserve("gpt-4o", **HELD),
            stage.mine.reserve(cost="$0.01"),
            stage.mine.reserve(tool="search", cost="$0.01"),
        ]
        elsewhere: list[Hold] = []
        thread = threading.Thread(target=lambda: elsewhere.append(stage.mine.reserve("gpt-4o", **HELD)))
        thread.start()
        thread.join()
        closed = stage.mine.reserve("gpt-4o", **HELD)
        closed.release()
        forgotten = stage.mine.reserve("gpt-4o", **HELD)
        forgotten.release()
        del forgotten
        gc.collect()
        stage.call()
        stage.mine.reserve(cost=0).release()
    assert {hold.state for hold in (*kept, *elsewhere)} == {"reserved"}
    for hold in (*kept, *elsewhere):
        hold.release()
    assert (stage.mine.spent, stage.mine.reserved) == (provider.bill, 0)


def test_a_call_that_fails_on_a_hold_that_is_not_entered(provider: ScriptedProvider) -> None:
    """It is given back, as within `with hold:`."""
    stage = make(provider, "sync")
    provider.script(Reply(status=400))
    with stage.mine:
        hold = stage.mine.reserve("gpt-4o", **HELD)
        with pytest.raises(Exception, match="400"):
            stage.call()
        assert hold.state == "released"
    assert (stage.mine.spent, stage.mine.reserved) == (0, 0)


def test_money_for_one_call_is_enough_for_a_hold_and_its_call(provider: ScriptedProvider) -> None:
    """And a second pair is refused."""
    stage = make(provider, "sync")
    amount = stage.mine.estimate("gpt-4o", 300, 50)
    session = Budget(amount, clamp=False).session()
    with session:
        hold = session.reserve("gpt-4o", **HELD)
        stage.call()
        assert hold.state == "settled"
        with pytest.raises(BudgetExceeded):
            session.reserve("gpt-4o", **HELD)
    assert provider.calls == session.calls == 1


# -- booked by hand beside the charge -------------------------------------------------------------------


@WAYS
def test_a_call_that_was_charged_is_recorded_as_told_with_one_warning(
    way: str, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """By its counts, under the model asked for, or the one that answered."""
    stage = make(provider, way)
    with stage.mine:
        numbers = counts(stage.call())
        stage.mine.record("gpt-4o", **numbers)
        stage.mine.record("gpt-4o", usage=Usage(**numbers))
    assert stage.mine.spent == 3 * provider.bill
    assert caplog.text.count("was charged already") == 1 and "cover=False" in caplog.text


@pytest.mark.parametrize("tracked", ["answer", "object"])
def test_an_answer_that_was_charged_is_tracked_as_told_with_one_warning(
    tracked: str, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """An equal one by its id, and the very object that a hold was settled with."""

    class Answer:
        def __init__(self, **members: Any) -> None:
            self.__dict__ = members

    stage = make(provider, "sync")
    with stage.mine:
        answer: Any = stage.call()
        if tracked == "object":
            answer = Answer(**answer)
            stage.mine.reserve("gpt-4o", **HELD).settle(answer)
        assert stage.mine.track(answer, "$0.01") is answer
        stage.mine.track(answer, "$0.01")
    assert stage.mine.spent >= provider.bill
    assert caplog.text.count("was charged already") == 1


def test_what_is_booked_by_hand_and_was_not_charged_is_nobodys_warning(
    provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """Other counts, another model, after a minute, in another thread, another object; and where nothing covers."""

    class Odd:
        @property
        def id(self) -> str:
            raise KeyError

    clock = ManualClock()
    stage = make(provider, "sync", clock=clock)
    with stage.mine:
        numbers = counts(stage.call())
        stage.mine.record("gpt-4o", input_tokens=numbers["input_tokens"], output_tokens=8)
        stage.mine.record("gpt-4o-mini", **numbers)
        stage.mine.track("found", "$0.01")
        stage.mine.track(Odd(), "$0.01")
        thread = threading.Thread(target=lambda: stage.mine.record("gpt-4o", **numbers))
        thread.start()
        thread.join()
        with stage.mine.budget.session(cover=False) as quiet:
            quiet.record("gpt-4o", **numbers)
        clock.advance(61)
        stage.mine.record("gpt-4o", **numbers)
    assert caplog.text == ""


def test_a_call_that_a_task_has_made_is_known_to_its_parent(
    provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """The tasks of a session remember together."""
    session = Budget("$1").session()

    async def ask() -> dict[str, Any]:
        options = Options(model="gpt-4o", messages=HI, max_tokens=50)
        answer: dict[str, Any] = json.loads(await AsyncClient(provider.openai_url).request(object, options))
        return answer

    async def main() -> None:
        async with session:
            answers = await asyncio.gather(ask(), ask())
            session.record("gpt-4o", **counts(answers[0]))

    asyncio.run(main())
    assert caplog.text.count("was charged already") == 1

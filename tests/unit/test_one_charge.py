"""Whatever of ours is combined around a call, it is charged once, to one session, at the provider's bill."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.sdk import AsyncClient, Client, Options, patching

from bursar import Budget, BudgetExceeded, Hold, Session
from bursar.integration import cover_later
from bursar.testing import ManualClock, Rate, Reply, ScriptedProvider

from .. import one_charge
from ..one_charge import ENOUGH, HELD, Row, Stage

WAYS = pytest.mark.parametrize("way", ["sync", "async", "stream"])
HI: Any = [{"role": "user", "content": "hi"}]


class Miniature(Stage):
    """The SDK in miniature, called one way."""

    def __init__(self, provider: ScriptedProvider, way: str, limit: str = ENOUGH, **settings: Any) -> None:
        super().__init__(provider, "gpt-4o", limit, **settings)
        self._kind: Any = AsyncClient if way == "async" else Client
        self._way = way

    def wrapped(self, session: Session) -> Any:
        return patching.wrap(self._kind(self.provider.openai_url), session)

    def call(self, client: Any = None) -> Any:
        client = client or self._kind(self.provider.openai_url)
        options = Options(model="gpt-4o", messages=HI, max_tokens=50, stream=self._way == "stream")
        if self._way == "async":
            return json.loads(asyncio.run(client.request(object, options)))
        if self._way == "sync":
            return json.loads(client.request(object, options))
        options.json_data["stream_options"] = {"include_usage": True}
        *_, last, _ = (
            b"".join(client.request(object, options, stream=True).iter_bytes()).strip().split(b"\n\n")
        )
        counts = self.counts()  # a reading of the miniature takes the event with the usage out
        usage = {"prompt_tokens": counts["input_tokens"], "completion_tokens": counts["output_tokens"]}
        return {**json.loads(last.removeprefix(b"data: ")), "usage": usage}


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(rates={"gpt-4o": Rate("2.50", "10")}) as provider:
        provider.always(Reply("blue", output_tokens=7))
        patching.patch()
        yield provider
        patching.unpatch()


@WAYS
@one_charge.each()
def test_a_call_is_charged_once_to_one_session(
    row: Row, limit: str, way: str, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """What is booked is the bill, and whose it is; with too little money for it, nothing is sent or booked."""
    one_charge.assert_charged_once(row, Miniature(provider, way, limit), limit, caplog)


@WAYS
@one_charge.BY_HAND
def test_a_call_that_was_charged_is_booked_by_hand_as_told_with_one_warning(
    by_hand: Any, way: str, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """Recorded or tracked."""
    one_charge.assert_booked_as_told(by_hand, Miniature(provider, way), caplog)


# -- a hold that is not entered -------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_hold_that_is_not_entered_pays_for_one_call(way: str, provider: ScriptedProvider) -> None:
    """Its cap is sent; a second call reserves for itself, the newest hold is taken first."""
    stage = Miniature(provider, way)
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
    stage = Miniature(provider, "sync")
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


def test_the_listeners_of_a_promise_are_told_a_hold_that_is_not_entered(provider: ScriptedProvider) -> None:
    """Its cap is lowered to what they bear; one that refuses prevents the call, and the hold is its owner's still."""
    stage = Miniature(provider, "sync")
    told: list[Hold] = []

    def bears(hold: Hold) -> int:
        told.append(hold)
        return 20

    def refuses(hold: Hold) -> None:
        raise LookupError(hold.id)

    with stage.mine:
        hold = stage.hold()
        with cover_later(stage.mine, on_hold=refuses), pytest.raises(LookupError, match=hold.id):
            stage.call()
        assert (hold.state, hold.used, provider.arrivals) == ("reserved", False, 0)
        with cover_later(stage.mine, on_hold=bears):
            stage.call()
    assert (told, provider.served[0].body["max_tokens"]) == ([hold], 20)
    assert (stage.mine.spent, stage.mine.reserved) == (provider.bill, 0)


def test_a_hold_that_pays_within_a_promise_pays_for_no_other_call(provider: ScriptedProvider) -> None:
    """While its stream is read, another call in `with hold:` reserves for itself."""
    stage = Miniature(provider, "sync")
    with stage.mine, stage.hold() as hold:
        with stage.callback(stage.mine):
            options = Options(model="gpt-4o", messages=HI, max_tokens=50, stream=True)
            options.json_data["stream_options"] = {"include_usage": True}
            answer = Client(provider.openai_url).request(object, options, stream=True)
        Client(provider.openai_url).request(object, Options(model="gpt-4o", messages=HI, max_tokens=50))
        assert (hold.state, stage.mine.calls) == ("reserved", 1)
        list(answer.iter_bytes())
        assert (hold.state, stage.mine.calls) == ("settled", 2)
    assert (stage.mine.spent, stage.mine.reserved) == (provider.bill, 0)


def test_a_call_that_fails_on_a_hold_that_is_not_entered(provider: ScriptedProvider) -> None:
    """It is given back, as within `with hold:`."""
    stage = Miniature(provider, "sync")
    provider.script(Reply(status=400))
    with stage.mine:
        hold = stage.mine.reserve("gpt-4o", **HELD)
        with pytest.raises(Exception, match="400"):
            stage.call()
        assert hold.state == "released"
    assert (stage.mine.spent, stage.mine.reserved) == (0, 0)


@pytest.mark.parametrize("promised", [False, True], ids=["bare", "promised"])
def test_money_for_one_call_is_enough_for_a_hold_and_its_call(
    promised: bool, provider: ScriptedProvider
) -> None:
    """And a second pair is refused; also where a framework has promised that the session pays for the call."""
    stage = Miniature(provider, "sync")
    amount = stage.mine.estimate("gpt-4o", 300, 50)
    session = Budget(amount, clamp=False).session()
    with session:
        hold = session.reserve("gpt-4o", **HELD)
        with stage.callback(session) if promised else contextlib.nullcontext():
            stage.call()
        assert hold.state == "settled"
        with pytest.raises(BudgetExceeded):
            session.reserve("gpt-4o", **HELD)
    assert provider.calls == session.calls == 1


# -- booked by hand beside the charge -------------------------------------------------------------------


def test_an_object_that_a_hold_was_settled_with_is_tracked_as_told_with_one_warning(
    provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """As an equal answer is by its id."""

    class Answer:
        def __init__(self, **members: Any) -> None:
            self.__dict__ = members

    stage = Miniature(provider, "sync")
    with stage.mine:
        answer = Answer(**stage.call())
        stage.hold().settle(answer)
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
    stage = Miniature(provider, "sync", clock=clock)
    with stage.mine:
        stage.call()
        numbers = stage.counts()
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
            usage = answers[0]["usage"]
            session.record("gpt-4o", usage["prompt_tokens"], usage["completion_tokens"])

    asyncio.run(main())
    assert caplog.text.count("was charged already") == 1

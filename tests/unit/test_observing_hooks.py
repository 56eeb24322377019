"""Hooks that are told afterwards: what each hears, when, and how often."""

from __future__ import annotations

import asyncio
import gc
from decimal import Decimal
from typing import Any

import pytest

from bursar import (
    Alert,
    AlertKind,
    Budget,
    BudgetExceeded,
    CallVetoed,
    Refusal,
    Session,
    StoreUnavailable,
    Tripped,
    UnknownModel,
    Usage,
    hookimpl,
)
from bursar.store.memory import MemoryStore
from bursar.store.views import Snapshot
from bursar.testing import ManualClock, Reply, ScriptedProvider

from .agents import WAYS, Recorder, work

# gpt-4o costs $2.50 and $10 a million tokens: 800 in and 200 out are $0.004.
CALL = {"input_tokens": 800, "max_output_tokens": 200}


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.mark.parametrize("way", WAYS)
def test_bursar_reserved_and_bursar_settled_hear_every_call(way: str, recorder: Recorder) -> None:
    """One hold and one charge for each request, in order; the charges add up to the provider's bill."""
    with ScriptedProvider() as provider:
        session = Budget("$1", plugins=[recorder], alerts="inline").session()
        work(session, provider, 4, way=way)
        assert provider.hits == 4
        assert recorder.names == ["session_opened", *["reserved", "settled"] * 4]
        assert sum(charge.cost for charge in recorder.of("settled")) == provider.bill == session.spent
    holds, charges = recorder.of("reserved"), recorder.of("settled")
    assert [hold.id for hold in holds] == [charge.id for charge in charges]
    assert [hold.charge for hold in holds] == charges
    assert {charge.call.model for charge in charges} == {"gpt-4o"}


def test_bursar_reserved_comes_before_the_call() -> None:
    """It sees the hold as the caller gets it: reserved, and with the cap that was granted."""
    seen: list[Any] = []

    class Looking:
        """Looks at once."""

        @hookimpl
        def bursar_reserved(self, hold: Any) -> None:
            seen.append((hold.state, hold.amount, hold.max_output_tokens, hold.charge, session.reserved))

    session = Budget("$0.003", plugins=[Looking()]).session()
    hold = session.reserve("gpt-4o", **CALL)
    assert seen == [("reserved", Decimal("0.003"), 100, None, Decimal("0.003"))]
    assert hold.max_output_tokens == 100


def test_nothing_is_told_twice(recorder: Recorder) -> None:
    """A repeated reserve, settle, doubt or release moves no money and tells nobody."""
    session = Budget("$1", plugins=[recorder], alerts="inline").session()
    hold = session.reserve("gpt-4o", key="a", **CALL)
    assert session.reserve("gpt-4o", key="a", **CALL).repeated
    for _ in range(2):
        hold.settle(input_tokens=800, output_tokens=100)
    hold.settle_unknown()
    other = session.reserve("gpt-4o", key="b", **CALL)
    for _ in range(2):
        other.release()
    session.reserve("gpt-4o", key="b", **CALL).release()
    assert recorder.names == ["session_opened", "reserved", "settled", "reserved", "released"]


def test_bursar_settled_hears_a_correction_with_the_same_id(recorder: Recorder) -> None:
    """An unknown outcome is a charge that is estimated; the truth comes as another one for the same call."""
    session = Budget("$1", plugins=[recorder], alerts="inline").session()
    hold = session.reserve("gpt-4o", **CALL)
    hold.settle_unknown()
    hold.settle(input_tokens=800, output_tokens=100)
    first, second = recorder.of("settled")
    assert (first.id, first.cost, first.estimated) == (second.id, Decimal("0.004"), True)
    assert (second.cost, second.estimated) == (Decimal("0.003"), False)


def test_bursar_settled_hears_what_nobody_held(recorder: Recorder) -> None:
    """Calls and runs that are booked after the fact, and corrections by hand: all that is in `spent`."""
    budget = Budget("$0.01", plugins=[recorder], alerts="inline")
    session = budget.session()
    session.record("gpt-4o", 800, 200)
    session.wrap({"model": "gpt-4o", "usage": {"prompt_tokens": 400, "completion_tokens": 100}})
    session.track("result", cost="$0.001", tool_name="search")
    with pytest.raises(BudgetExceeded):
        session.record("gpt-4o", 800, 200)
    budget.correct("-$0.004", "the provider's bill says so")
    costs = [charge.cost for charge in recorder.of("settled")]
    assert costs == [Decimal(cost) for cost in ("0.004", "0.002", "0.001", "0.004", "-0.004")]
    assert sum(costs) == budget.spent
    assert recorder.of("refused") == []  # the call was made


@pytest.mark.parametrize("way", WAYS)
def test_bursar_settled_hears_how_a_with_block_ends(way: str, recorder: Recorder) -> None:
    """A lost connection is a charge in doubt; a refused connection is a release."""
    session = Budget("$1", plugins=[recorder], alerts="inline").session()

    async def fail(error: Exception) -> None:
        if way == "async":
            async with session.areserve("gpt-4o", **CALL):
                raise error
        with session.reserve("gpt-4o", **CALL):
            raise error

    for error in (TimeoutError(), ConnectionRefusedError()):
        with pytest.raises(type(error)):
            asyncio.run(fail(error))
    assert recorder.names[1:] == ["reserved", "settled", "reserved", "released"]
    assert recorder.of("settled")[0].estimated
    assert recorder.of("released")[0].state == "released"


def test_bursar_settled_hears_what_a_finaliser_left(recorder: Recorder) -> None:
    """An abandoned call is told with the next step of the ledger, before that."""
    session = Budget("$1", plugins=[recorder], alerts="inline").session()
    session.reserve("gpt-4o", **CALL).abandon()
    gc.collect()
    assert recorder.of("settled") == []
    assert session.spent == Decimal("0.004")
    assert [charge.cost for charge in recorder.of("settled")] == [Decimal("0.004")]


def test_bursar_released_hears_what_a_cache_answered(recorder: Recorder) -> None:
    """A release with savings, and the release of a hold whose answer was paid for already."""
    session = Budget("$1", plugins=[recorder], alerts="inline").session()
    session.reserve("gpt-4o", **CALL).release(saved=Usage(800, 200))

    class Answer:
        model, usage = "gpt-4o", {"prompt_tokens": 400, "completion_tokens": 100}

    answer = Answer()
    session.wrap(answer)
    session.wrap(answer)  # it is paid for
    session.reserve("gpt-4o", **CALL).settle(answer)
    assert recorder.names[1:] == ["reserved", "released", "settled", "reserved", "released"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", ["$0.003", "$1"])
def test_bursar_refused_hears_a_refusal(way: str, limit: str, recorder: Recorder) -> None:
    """The very error that the caller gets, once; nobody is refused where the money suffices."""
    clock = ManualClock(1_700_000_000)
    with ScriptedProvider(output_tokens=100) as provider:
        session = Budget(limit, plugins=[recorder], alerts="inline", clamp=False, clock=clock).session()
        if limit == "$1":
            work(session, provider, 4, way=way)
            assert provider.hits == 4 and recorder.of("refused") == []
            return
        with pytest.raises(BudgetExceeded) as refused:
            work(session, provider, 4, way=way)
        assert provider.hits == 2 and session.spent == provider.bill
    (refusal,) = recorder.of("refused")
    assert isinstance(refusal, Refusal)
    assert refusal.error is refused.value and refusal.at == 1_700_000_000
    assert refusal.call.model == "gpt-4o" and refusal.call.max_output_tokens == 100
    assert recorder.names[-1] == "refused"


def test_bursar_refused_hears_vetoes_and_the_kill_switch(recorder: Recorder) -> None:
    """Every refusal of a reserve; neither questions, nor calls that nobody could price."""

    class Closed:
        """Refuses tools."""

        @hookimpl
        def bursar_before_reserve(self, call: Any) -> None:
            if call.kind == "tool":
                raise CallVetoed("no tools")

    session = Budget("$0.004", plugins=[Closed(), recorder], alerts="inline").session()
    with pytest.raises(CallVetoed):
        session.reserve(tool="search")
    with pytest.raises(UnknownModel):
        session.reserve("no-such-model", **CALL)
    assert session.would_exceed("$1")
    session.trip("enough")
    with pytest.raises(Tripped):
        session.reserve("gpt-4o", **CALL)
    assert [type(refusal.error) for refusal in recorder.of("refused")] == [CallVetoed, Tripped]


def test_bursar_refused_is_silent_in_shadow_mode(recorder: Recorder) -> None:
    """Where nothing is refused there is no refusal to be told."""
    session = Budget("$0.001", plugins=[recorder], alerts="inline", hard_stop=False, clamp=False).session()
    session.reserve("gpt-4o", **CALL)
    assert recorder.of("refused") == [] and len(recorder.of("reserved")) == 1


def test_bursar_alert_hears_what_on_alert_hears(recorder: Recorder) -> None:
    """Each alert, with a report of its own to each plugin."""
    heard: list[Alert] = []

    class Spoiling:
        """Empties what it is given."""

        @hookimpl(tryfirst=True)
        def bursar_alert(self, alert: Alert) -> None:
            alert.report.clear()  # type: ignore[attr-defined]

    budget = Budget("$0.01", plugins=[Spoiling(), recorder], on_alert=heard.append, alerts="inline")
    session = budget.session()
    session.reserve(cost="$0.0095").settle(cost="$0.0095")
    with pytest.raises(BudgetExceeded):
        session.reserve("gpt-4o", **CALL)
    assert [alert.kind for alert in heard] == [AlertKind.SOFT_LIMIT, AlertKind.HARD_LIMIT]
    assert recorder.of("alert") == heard
    assert all(alert.report["total_spent"] == 0.0095 for alert in recorder.of("alert"))


def test_bursar_session_opened_hears_every_session(recorder: Recorder) -> None:
    """Of the budget, of its children, and sessions in sessions; before anything is reserved."""
    budget = Budget("$1", plugins=[recorder], alerts="inline")
    session = budget.session(id="a")
    inner = session.child_session(name="b")
    other = budget.child("alice").session(id="a")
    assert recorder.of("session_opened") == [session, inner, other]
    assert [type(opened) for opened in recorder.of("session_opened")] == [Session] * 3


@pytest.mark.parametrize("way", WAYS)
def test_bursar_session_closed_hears_a_report_once_at_the_end_of_the_outermost_with(
    way: str, recorder: Recorder
) -> None:
    """And not again when it is closed, unless it was used since; what it does to the report changes nothing."""

    class Spoiling:
        """Empties what it is given."""

        @hookimpl(tryfirst=True)
        def bursar_session_closed(self, report: dict[str, Any]) -> None:
            report["metadata"]["team"] = "other"
            report["limits"].clear()
            report.clear()

    async def close(session: Session) -> None:
        for _ in range(2):
            if way == "async":
                await session.aclose()
            session.close()

    with ScriptedProvider() as provider:
        session = Budget("$1", plugins=[Spoiling(), recorder], alerts="inline").session(
            id="run-7", team="blue"
        )

        async def enter() -> None:
            async with session:
                pass

        with session:
            with session:
                work(session, provider, 2, way=way)
            asyncio.run(enter())
            assert recorder.of("session_closed") == []
        (report,) = recorder.of("session_closed")
        assert Decimal(str(report["total_spent"])) == provider.bill
        asyncio.run(enter())
        assert len(recorder.of("session_closed")) == 2
        session.track("found", "$0.10")
        asyncio.run(close(session))
        *_, last = recorder.of("session_closed")
        assert len(recorder.of("session_closed")) == 3 and last["total_spent"] > report["total_spent"]
        again = Budget("$1", plugins=[recorder]).session()
        with again:
            pass
        asyncio.run(close(again))
        assert len(recorder.of("session_closed")) == 4
    assert (report["session_id"], report["metadata"]) == ("run-7", {"team": "blue"})
    assert len(report["limits"]) == 1 and session.metadata == {"team": "blue"}


class Unreadable(MemoryStore):
    """A store that is down when somebody reads."""

    def read(self, root: str, keys: tuple[str, ...] | None = None) -> Snapshot:
        """Fail."""
        raise StoreUnavailable("no answer")


def test_a_session_closes_when_the_store_is_down(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no report then, and that is in the log; the session is closed all the same."""
    session = Budget("$1", store=Unreadable(), plugins=[recorder], alerts="inline").session(id="run-7")
    session.close()
    assert recorder.of("session_closed") == []
    assert "run-7" in caplog.text and "no answer" in caplog.text
    session = Budget("$1", store=Unreadable()).session()
    caplog.clear()
    session.close()
    assert caplog.text == ""  # nobody asked for a report


def test_an_expired_lease_is_not_told_until_it_is_settled(recorder: Recorder) -> None:
    """Nobody is there when a lease ends; the late settle is told."""
    clock = ManualClock()
    session = Budget("$1", plugins=[recorder], alerts="inline", clock=clock).session()
    hold = session.reserve("gpt-4o", **CALL)
    clock.advance(3_600)
    assert session.spent == Decimal("0.004") and recorder.of("settled") == []
    hold.settle(input_tokens=800, output_tokens=100)
    assert [charge.cost for charge in recorder.of("settled")] == [Decimal("0.003")]


def test_an_answer_without_usage_is_told_as_estimated(recorder: Recorder) -> None:
    """A listener sees which charges are guesses."""
    with ScriptedProvider() as provider:
        provider.script(Reply(usage="absent"), Reply())
        session = Budget("$1", plugins=[recorder], alerts="inline").session()
        work(session, provider, 2)
    assert [charge.estimated for charge in recorder.of("settled")] == [True, False]

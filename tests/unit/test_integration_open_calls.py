"""The calls in flight: found by key, and booked where no hook ends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from bursar import Usage
from bursar.integration import OpenCall, Result, covered_hold, open_calls, withdraw
from bursar.ledger.context import innermost

from .toy_hooks import Hooks, Plugin

pytestmark = pytest.mark.usefixtures("_nobody_pays")


def admitted(hooks: Hooks, key: str, **settings: object) -> OpenCall:
    call = OpenCall(key, (object(),), **settings)  # type: ignore[arg-type]
    hooks.admit(call)
    return call


def test_calls_are_taken_in_the_order_in_which_they_began() -> None:
    """By key, the oldest first; then there is none."""
    hooks = Hooks("$1")
    first, second = admitted(hooks, "run"), admitted(hooks, "run")
    assert hooks.calls.known("run") == (first, second)
    assert [hooks.calls.take("run") for _ in range(3)] == [first, second, None]
    assert len(hooks.calls) == 0 and hooks.calls.known("run") == ()


def test_a_request_that_was_sent_is_covered_no_more() -> None:
    """The consumer of a stream runs in the same context, and may send other requests."""
    hooks = Hooks("$1")
    call = admitted(hooks, "run")
    assert covered_hold() is call.hold
    hooks.calls.uncover("run")
    assert covered_hold() is None and hooks.calls.known("run") == (call,)


def test_calls_of_a_run_that_is_over_are_booked() -> None:
    """At the worst case, as nobody knows; those of other runs stay open, and late ends correct them."""
    hooks = Hooks("$1")
    lost, other = admitted(hooks, "a", parent="run"), admitted(hooks, "b", parent="other")
    hooks.calls.sweep("run")
    hooks.calls.sweep("run")
    assert lost.doubted and not other.doubted
    assert lost.hold is not None and hooks.session.spent == lost.hold.amount
    hooks.end("a", Result(Usage(10, 5)))
    hooks.end("b", Result(Usage(10, 5)))
    assert float(hooks.session.spent) == 0.00015


async def cancelled(admit: Callable[[], Awaitable[object]]) -> None:
    """A task that is cancelled amid its call, as frameworks cancel without a hook."""
    sent = asyncio.Event()

    async def call() -> None:
        await admit()
        sent.set()
        await asyncio.sleep(60)

    task = asyncio.ensure_future(call())
    await sent.wait()
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)


def test_a_cancelled_task_is_the_end_of_its_call() -> None:
    """No hook is called; the task tells. A call that ends in time is booked by its answer only."""
    hooks = Hooks("$1")
    lost = OpenCall("run")
    asyncio.run(cancelled(lambda: hooks.aadmit(lost)))
    assert lost.hold is not None and lost.hold.state == "in_doubt" and lost.doubted

    async def ends() -> None:
        await hooks.aadmit(OpenCall("well"))
        taken = hooks.calls.take("well")
        assert taken is not None and taken.task is not None
        await taken.asettle(Result(Usage(10, 5)))

    before = hooks.session.spent
    asyncio.run(ends())
    assert float(hooks.session.spent - before) == 0.000075


def test_a_call_whose_hook_runs_in_a_task_of_its_own_is_not_watched() -> None:
    """That task is over before the request is sent."""
    hooks, call = Hooks("$1"), OpenCall("run", watched=False)

    async def hook() -> None:
        await hooks.aadmit(call)

    asyncio.run(hook())
    assert call.hold is not None and call.hold.state == "reserved" and call.task is None


def test_a_call_that_a_loop_makes_without_a_task_is_not_watched() -> None:
    """Within a callback of the event loop there is no task whose end could tell."""
    hooks, call = Hooks("$1"), OpenCall("run")

    async def main() -> None:
        asyncio.get_running_loop().call_soon(hooks.admit, call)
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert call.hold is not None and call.task is None


def test_a_failure_ends_its_whole_batch() -> None:
    """Those before it were sent: in doubt; those after never were: given back. Others stay open."""
    hooks, batch = Hooks("$1"), object()
    before, failed, after = (admitted(hooks, key, batch=batch) for key in "abc")
    alone = admitted(hooks, "d")
    taken = hooks.calls.take("b")
    assert taken is failed
    hooks.calls.orphan(failed)
    states = [call.hold.state for call in (before, after, alone) if call.hold is not None]
    assert states == ["in_doubt", "released", "reserved"]
    hooks.calls.orphan(alone)
    assert len(hooks.calls) == 2


def test_in_an_event_loop_the_whole_batch_may_have_been_sent() -> None:
    """Then those after the failure are in doubt, too."""
    hooks, batch = Hooks("$1"), object()

    async def main() -> OpenCall:
        calls = [OpenCall(key, (object(),), batch=batch) for key in "ab"]
        for call in calls:
            await hooks.aadmit(call)
        failed = hooks.calls.take("a")
        assert failed is calls[0]
        hooks.calls.orphan(failed)
        return calls[1]

    later = asyncio.run(main())
    assert later.hold is not None and later.hold.state == "in_doubt"


def test_one_answer_ends_its_whole_batch() -> None:
    """Its other calls are taken out with it, and cover nothing any more."""
    hooks, batch = Hooks("$1"), object()
    calls = [admitted(hooks, key, batch=batch) for key in "abc"]
    ended = hooks.calls.take("a")
    assert ended is not None
    assert hooks.calls.take_others(ended) == calls[1:]
    assert len(hooks.calls) == 0 and covered_hold() is None


def test_what_a_refusal_prevents_is_given_back_everywhere() -> None:
    """The call in any adapter, and the others of its batch; by the module's word for it."""
    one, two, batch = Hooks("$1"), Hooks("$1"), object()
    given = (object(),)
    one.admit(OpenCall("run", given))
    two.admit(OpenCall("other", (object(),), batch=batch))
    stays = admitted(two, "third")
    withdraw(OpenCall("run", given, batch=batch))
    assert (len(one.calls), len(two.calls)) == (0, 1)
    assert one.session.reserved == 0 and stays.hold is not None
    assert two.session.reserved == stays.hold.amount


def test_a_store_that_fails_breaks_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ends that no hook tells are booked where nobody could take an error."""
    hooks = Hooks("$1")
    admitted(hooks, "run", parent="chain")

    def fails(*_: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(OpenCall, "lose", fails)
    with caplog.at_level(logging.ERROR, "bursar"):
        hooks.calls.sweep("chain")
    assert "lose failed" in caplog.text


def test_of_lost_calls_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch, covered: Plugin) -> None:
    """Their ends may still come; what is older than that is forgotten, so that nothing piles up."""
    monkeypatch.setattr(open_calls, "_LOST_KEPT", 2)
    hooks = Hooks("$1")
    for key in "abcd":
        hooks.admit(OpenCall(key, parent="run"), sdk="openai")
    hooks.calls.sweep("run")
    assert [bool(hooks.calls.known(key)) for key in "abcd"] == [False, False, True, True]


def test_forgetting_a_lost_call_that_has_ended_leaves_others_with_its_key(
    monkeypatch: pytest.MonkeyPatch, covered: Plugin
) -> None:
    """Its late end has taken it out; the key belongs to another call now."""
    monkeypatch.setattr(open_calls, "_LOST_KEPT", 0)
    hooks, ended = Hooks("$1"), OpenCall("run")
    hooks.admit(ended, sdk="openai")
    assert hooks.calls.take("run") is ended
    hooks.admit(OpenCall("run"), sdk="openai")
    hooks.calls.lose(ended)
    assert len(hooks.calls.known("run")) == 1


def test_a_call_that_is_booked_already_is_not_lost() -> None:
    """A client below has closed its hold: there is nothing to doubt."""
    hooks = Hooks("$1")
    call = admitted(hooks, "run", parent="chain")
    assert call.hold is not None
    call.hold.settle(usage=Usage(10, 5))
    for _ in range(2):
        hooks.calls.sweep("chain")
        assert not call.doubted and float(hooks.session.spent) == 0.000075
        assert call.cover is not None and not call.cover.active


@pytest.mark.parametrize("sdk", ["openai", None])
def test_a_call_that_something_else_stopped_pays_for_no_other(sdk: str | None, covered: Plugin) -> None:
    """Neither its promise nor its hold; a hold is booked when the run around it is over."""
    hooks = Hooks("$1")
    given = (object(),)
    hooks.admit(OpenCall("run", given, parent="chain"), sdk=sdk)
    hooks.calls.stopped(OpenCall("run", (object(),)))
    assert innermost() is not None
    hooks.calls.stopped(OpenCall("run", given))
    assert innermost() is None
    assert (len(hooks.calls), hooks.session.spent) == (sdk is None, 0)
    hooks.calls.sweep("chain")
    assert (hooks.session.spent > 0) is (sdk is None)
    assert hooks.session.reserved == 0

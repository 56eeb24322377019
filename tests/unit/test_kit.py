"""The scenarios for adapters, played on a framework in miniature: a right adapter passes, each broken one fails its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.toy import framework
from tests.toy.adapter import BudgetHandler, Refusal
from tests.toy.client import PlainClient, SdkClient
from tests.toy.framework import Agent, Call

from bursar import Budget, BudgetExceeded
from bursar.integration import OpenCall, book_unclaimed, fails_closed, never_breaks
from bursar.testing import ScriptedProvider

from ..integration import kit
from .toy_hooks import Plugin

pytestmark = pytest.mark.usefixtures("_nobody_pays")


class Plain(BudgetHandler):
    """Of a client that no covered SDK sends for."""

    sdk = None


class ToyAgent(Agent):
    @property
    def session(self) -> Any:
        return self.handler.session  # type: ignore[attr-defined]


class Toy:
    """The stage of the framework in miniature."""

    retries = True

    def __init__(self, handler: type[BudgetHandler] = Plain, client: type[PlainClient] = PlainClient) -> None:
        self.handler = handler
        self.client = client

    def agent(
        self,
        provider: ScriptedProvider,
        budget: Budget,
        tool: Callable[[str], str],
        tool_prices: Mapping[str, str],
    ) -> ToyAgent:
        handler = self.handler(budget, tool_prices=tool_prices)
        return ToyAgent("writer", self.client(provider), handler, {kit.TOOL: tool})


every = pytest.mark.parametrize("scenario", kit.scenarios(), ids=kit.name_of)


@every
def test_an_adapter_that_holds_by_itself_passes(scenario: kit.Scenario) -> None:
    """The one of docs/adapters.md, with a client that no SDK is below of."""
    kit.play(scenario, Toy)


@every
def test_an_adapter_that_promises_passes(scenario: kit.Scenario, covered: Plugin) -> None:
    """The same, with a client made of a covered SDK, which holds and books."""
    kit.play(scenario, lambda: Toy(BudgetHandler, SdkClient))


class LateCall(OpenCall):
    __slots__ = ()

    def lose(self, error: BaseException | None = None) -> None:
        OpenCall.lose(self, error)
        assert self.account is not None
        book_unclaimed(self.account, {"model": "gpt-4o", "input_tokens": 999, "max_output_tokens": 50}, None)


class BooksAfterTheCall(Plain):
    """Sends first and books what it cost: the error of every tool that adds costs up."""

    @fails_closed(Refusal)
    def before_model(self, call: Call) -> None:
        _, payer, asked = self._model(call)
        late = LateCall(call.id, (call,), call.run)
        late.account = payer.account
        late.booking = lambda result: payer.account._book_unreserved(asked, result.usage, None, None)
        self._calls.add(late)

    async def abefore_model(self, call: Call) -> None:
        self.before_model(call)

    @fails_closed(Refusal)
    def after_model(self, call: Call, answer: dict[str, Any]) -> None:
        BudgetHandler.after_model.__wrapped__(self, call, answer)  # type: ignore[attr-defined]

    @never_breaks
    def model_failed(self, call: Call, error: BaseException) -> None:
        taken = self._calls.take(call.id)
        if taken is not None and isinstance(error, GeneratorExit):
            taken.lose()


class SwallowsTheRefusal(Plain):
    """Raises it in a class that the framework tries again and answers for, and outside of any run."""

    def run_started(self, run: int, agent: str) -> None:
        self.costs.open(run, None, agent)

    def run_ended(self, run: int, error: BaseException | None) -> None:
        self._calls.sweep(run, error)

    def before_model(self, call: Call) -> None:
        try:
            super().before_model(call)
        except BudgetExceeded as refusal:
            raise TimeoutError(str(refusal)) from None

    async def abefore_model(self, call: Call) -> None:
        try:
            await super().abefore_model(call)
        except BudgetExceeded as refusal:
            raise TimeoutError(str(refusal)) from None


class ForgetsACancelledCall(Plain):
    """Leaves the hold of a call that no hook ends to its lease."""

    def _model(self, call: Call) -> tuple[Any, Any, Any]:
        opened, payer, asked = super()._model(call)
        opened.watched = False
        return opened, payer, asked


BROKEN = {
    BooksAfterTheCall: "a_call_that_may_not_fit_is_never_sent",
    SwallowsTheRefusal: "a_refusal_reaches_the_caller",
    ForgetsACancelledCall: "a_cancelled_call_is_booked",
}


@every
@pytest.mark.parametrize("handler", BROKEN, ids=lambda handler: handler.__name__)
def test_a_broken_adapter_fails_the_scenario_that_is_named_for_it(
    handler: type[BudgetHandler], scenario: kit.Scenario
) -> None:
    """And only that: a scenario that fails for any fault tells nobody what is wrong."""
    if scenario.name == BROKEN[handler]:
        with pytest.raises(AssertionError) as failed:
            kit.play(scenario, lambda: Toy(handler))
        assert not isinstance(failed.value, kit.NotRun)
    else:
        kit.play(scenario, lambda: Toy(handler))


def test_a_scenario_that_sends_too_little_is_not_run() -> None:
    """One paid request proves nothing of the next; each way has to send two."""
    for times in (1, 2):

        def some(play: kit.Play, times: int = times) -> None:
            for _ in range(times):
                play.run(kit.ENOUGH, kit.Reply())

        scenario = kit.Scenario(some, ("sync", "async"), "(?!)")
        if times == 2:
            kit.play(scenario, Toy)
        else:
            with pytest.raises(kit.NotRun, match="some, sync: 1 requests were paid for"):
                kit.play(scenario, Toy)


def test_an_adapter_that_warns_fails() -> None:
    """Unless the scenario is about just that; what others warn of is not its fault."""
    log = logging.getLogger("bursar")
    with kit.no_other_warning("disk"):
        log.warning("the disk is full")
        logging.getLogger("others").warning("anything")
    with pytest.raises(AssertionError, match="the disk is full"), kit.no_other_warning("memory"):
        log.warning("the disk is full")


def test_a_framework_that_repeats_nothing_is_judged_too() -> None:
    """Its failed run costs nothing; one that does repeat, though its stage denies it, is found out."""

    class Once(Toy):
        retries = False

    scenario = next(
        one
        for one in kit.scenarios(streams=False)
        if one.name == "a_failure_that_is_not_billed_costs_nothing"
    )
    with pytest.raises(AssertionError):
        kit.play(scenario, Once)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framework, "TRIES", 1)
        kit.play(scenario, Once)

"""Scenarios for the adapter of any framework: a scripted agent, and the provider's bill to judge it by.

The tests of an adapter write one class, a `Stage`, and play each scenario on it:

    @pytest.mark.parametrize("scenario", kit.scenarios(), ids=kit.name_of)
    def test_scenario(scenario: kit.Scenario) -> None:
        kit.play(scenario, MyStage)

An agent is told to use its tool twice and then to answer: three requests, each dearer than the one before. Where
a scenario is about a refusal, its twin has the same agent, and money enough. A scenario in which the provider
billed fewer than two requests proves nothing, and fails as not run.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias

from bursar import Budget, BudgetExceeded, Session
from bursar.testing import Reply, Request, ScriptedProvider, ToolCall

Answer: TypeAlias = "Reply | Callable[[Request], Reply]"

PROMPT = "What is the weather in Oslo?"
TOOL = "look_up"
USE = Reply(tool_calls=[ToolCall(TOOL, {"place": "Oslo"})], output_tokens=20)
SCRIPT: tuple[Answer, ...] = (USE, USE, Reply("Rain.", output_tokens=10))
ENOUGH = Decimal(5)
NANO = Decimal("0.000000001")


class Agent(Protocol):
    """An agent of the framework, with the adapter that pays for it."""

    @property
    def session(self) -> Session: ...
    def run(self, prompt: str) -> object: ...
    async def arun(self, prompt: str) -> object: ...
    def stream(self, prompt: str) -> Iterator[object]: ...


class Stage(Protocol):
    """A framework, as far as the scenarios need it."""

    retries: bool  # whether the framework, or the client below it, repeats what failed with a 500

    def agent(
        self,
        provider: ScriptedProvider,
        budget: Budget,
        tool: Callable[[str], str],
        tool_prices: Mapping[str, str],
    ) -> Agent:
        """One that may call the tool, whose name is `TOOL` and whose argument ``place``, and asks for gpt-4o.

        Each answer is capped at some 50 tokens.
        """


@dataclass(frozen=True)
class Outcome:
    """What came of one run of an agent, by the adapter and by the provider."""

    session: Session
    costs: tuple[Decimal, ...]  # of each request that is on the bill
    error: BaseException | None  # of the run, or of the end of `with session:`
    tools: int  # runs of the tool

    @property
    def bill(self) -> Decimal:
        return sum(self.costs, Decimal(0))

    def is_exact(self, beside: Decimal = Decimal(0)) -> None:
        """Nothing went wrong, and what was booked is the bill, and what the tools cost."""
        assert self.error is None, f"the run failed: {self.error!r}"
        assert self.session.reserved == 0, f"{self.session.reserved} is held after the run"
        assert self.session.spent == self.bill + beside, f"booked {self.session.spent}, billed {self.bill}"

    def is_covered(self) -> None:
        """What was booked is at least the bill; nothing is held."""
        assert self.session.reserved == 0, f"{self.session.reserved} is held after the run"
        assert self.session.spent >= self.bill, f"booked {self.session.spent}, billed {self.bill}"


class Play:
    """One playing of a scenario: runs agents, blocking or awaited, and counts what was paid for."""

    def __init__(self, stage: Stage, provider: ScriptedProvider, *, asynchronous: bool) -> None:
        self.stage = stage
        self.provider = provider
        self.asynchronous = asynchronous
        self.paid = 0
        self.tools = 0

    def agent(self, limit: Decimal = ENOUGH, tool_prices: Mapping[str, str] | None = None) -> Agent:
        return self.stage.agent(self.provider, Budget(f"${limit:f}"), self._tool, tool_prices or {})

    def run(
        self, limit: Decimal = ENOUGH, *script: Answer, tool_prices: Mapping[str, str] | None = None
    ) -> Outcome:
        """An agent from its start to the end of its session."""
        agent = self.agent(limit, tool_prices)
        return self.act(agent, lambda: self.ask(agent), *(script or SCRIPT))

    def ask(self, agent: Agent) -> None:
        if self.asynchronous:
            asyncio.run(self._awaited(agent))
        else:
            agent.run(PROMPT)

    def act(self, agent: Agent, does: Callable[[], object], *script: Answer) -> Outcome:
        """Something within the session of an agent."""
        self.provider.reset()
        self.provider.script(*script)
        error, before = None, self.tools
        try:
            with agent.session:
                does()
        except Exception as raised:
            error = raised
        costs = tuple(Decimal(one.cost_nanos).scaleb(-9) for one in self.provider.served if one.billed)
        self.paid += len(costs)
        return Outcome(agent.session, costs, error, self.tools - before)

    async def _awaited(self, agent: Agent) -> None:
        await agent.arun(PROMPT)

    def _tool(self, place: str) -> str:
        self.tools += 1
        return f"The weather station of {place} says: rain, later more rain, and wind from the west."


@dataclass(frozen=True)
class Scenario:
    """What is played, which ways it can be, and the warnings that belong to it."""

    plays: Callable[[Play], None]
    ways: tuple[str, ...]
    warns: str

    @property
    def name(self) -> str:
        return self.plays.__name__


_scenarios: list[Scenario] = []
_EVERYWHERE = r"is reached|% of .* is spent|the last call of this session was refused|is not covered: no budget sees its calls"


def scenario(*ways: str, warns: str = "(?!)") -> Callable[[Callable[[Play], None]], Callable[[Play], None]]:
    """A scenario, played ``"sync"``, ``"async"``, or both."""

    def decorate(plays: Callable[[Play], None]) -> Callable[[Play], None]:
        _scenarios.append(Scenario(plays, ways or ("sync", "async"), warns))
        return plays

    return decorate


def scenarios(*, streams: bool = True) -> list[Scenario]:
    """All of them, or those for a framework that has no streams."""
    return [one for one in _scenarios if streams or "stream" not in one.name]


def name_of(scenario: Scenario) -> str:
    return scenario.name


class NotRun(AssertionError):
    """The provider billed fewer than two requests: nothing was proved."""


def play(scenario: Scenario, stage: Callable[[], Stage]) -> None:
    """Play a scenario each way; raises what is wrong.

    Raises:
        NotRun: too few requests were paid for.
        AssertionError: the adapter is wrong, or it warned of what is no matter of the scenario.
    """
    for way in scenario.ways:
        with ScriptedProvider() as provider, no_other_warning(f"{scenario.warns}|{_EVERYWHERE}"):
            played = Play(stage(), provider, asynchronous=way == "async")
            scenario.plays(played)
            if played.paid < 2:
                raise NotRun(f"{scenario.name}, {way}: {played.paid} requests were paid for")


@contextmanager
def no_other_warning(expected: str) -> Iterator[None]:
    """What bursar logs or warns of inside is as expected: an adapter that works is silent."""
    heard: list[str] = []
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("bursar")
    log.addHandler(listener)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield
    finally:
        log.removeHandler(listener)
    heard += [str(one.message) for one in warned if "bursar" in one.filename]
    unexpected = [text for text in heard if not re.search(expected, text)]
    assert not unexpected, f"it warned: {unexpected}"


# -- the scenarios ----------------------------------------------------------------------------------


@scenario()
def every_call_is_booked_exactly(play: Play) -> None:
    """The sum of the calls is the bill, and nothing stays held."""
    whole = play.run()
    whole.is_exact()
    assert (len(whole.costs), whole.tools) == (3, 2)


@scenario()
def a_call_that_may_not_fit_is_never_sent(play: Play) -> None:
    """With money for all requests but the last, the last is not sent; its twin has a nano-dollar too much."""
    twin = play.run()
    twin.is_exact()
    for sent in range(1, len(twin.costs)):
        limit = sum(twin.costs[:sent]) + NANO
        refused = play.run(limit)
        assert len(refused.costs) <= sent, f"{len(refused.costs)} requests on the money of {sent}"
        assert refused.bill <= limit, f"billed {refused.bill} on {limit}"
        refused.is_covered()


@scenario()
def a_refusal_reaches_the_caller(play: Play) -> None:
    """From the run, or from the end of its session; the twin, with money enough, hears nothing."""
    twin = play.run()
    assert twin.error is None
    refused = play.run(sum(twin.costs[:2]) + NANO)
    assert isinstance(refused.error, BudgetExceeded), f"the caller got {refused.error!r}"


@scenario("async")
def a_cancelled_call_is_booked(play: Play) -> None:
    """Cancelled amid its second request: what may be on the bill is booked, and nothing stays held."""
    play.run().is_exact()
    agent, gate = play.agent(), threading.Event()

    async def cancel() -> None:
        task = asyncio.ensure_future(agent.arun(PROMPT))
        while play.provider.hits < 2:
            assert not task.done(), "it ended before its second request"
            await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled(), "the cancellation did not end the run"
        await asyncio.sleep(0)
        gate.set()

    try:
        play.act(agent, lambda: asyncio.run(cancel()), USE, Reply(gate=gate)).is_covered()
    finally:
        gate.set()


@scenario()
def a_failure_that_is_not_billed_costs_nothing(play: Play) -> None:
    """A 500 is repeated where the framework does so; its hold is given back."""
    failed = play.run(ENOUGH, Reply(status=500), *SCRIPT)
    if play.stage.retries:
        failed.is_exact()
    else:
        failed.is_covered()
        assert failed.session.spent == 0
        play.run().is_exact()


@scenario("sync")
def a_stream_is_booked_exactly(play: Play) -> None:
    """By the usage that comes last; twice, on one session."""
    agent = play.agent()
    streamed = play.act(agent, lambda: [list(agent.stream(PROMPT)) for _ in range(2)], Reply(), Reply())
    streamed.is_exact()


@scenario("sync")
def a_stream_that_is_left_is_booked(play: Play) -> None:
    """The provider bills all of it, whatever was read."""
    agent = play.agent()

    def leave() -> None:
        for _ in range(2):
            stream = agent.stream(PROMPT)
            next(stream)
            stream.close()  # type: ignore[attr-defined]

    left = play.act(agent, leave, Reply(output_tokens=40), Reply(output_tokens=40))
    assert left.error is None, f"leaving a stream failed: {left.error!r}"
    agent.session.reserve(cost=0).release()  # what was left to the collector is booked by now
    left.is_covered()


@scenario()
def a_tool_that_does_not_fit_does_not_run(play: Play) -> None:
    """A run of the tool costs a dollar: one fits, and the twin pays for two."""
    twin = play.run(tool_prices={TOOL: "$1"})
    twin.is_exact(beside=Decimal(2))
    assert twin.tools == 2
    refused = play.run(Decimal("1.5"), tool_prices={TOOL: "$1"})
    assert refused.tools == 1, f"the tool ran {refused.tools} times on the money of one"
    refused.is_covered()


@scenario()
def two_agents_at_once_pay_for_their_own_calls(play: Play) -> None:
    """In two threads, each with a budget: together they have booked the bill."""
    agents = [play.agent(), play.agent()]

    def at_once() -> None:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(play.ask, agents))

    both = play.act(agents[0], at_once, *[_use_once] * 4)
    assert both.error is None, f"the runs failed: {both.error!r}"
    spent = [agent.session.spent for agent in agents]
    assert (sum(spent), len(both.costs), both.tools) == (both.bill, 4, 2)
    assert spent[0] == spent[1], f"of two equal runs one paid for the other: {spent}"


_USED = ("'role': 'tool'", "function_call_output", "tool_result")  # in the words of each endpoint


def _use_once(request: Request) -> Reply:
    used = any(mark in str(request.body) for mark in _USED)
    return Reply("Rain.", output_tokens=10) if used else USE

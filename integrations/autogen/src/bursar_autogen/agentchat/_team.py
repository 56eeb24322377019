"""Teams on a budget: every call of every agent, of the selector and of the orchestrator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypeVar, overload

from autogen_agentchat.base import ChatAgent, TaskResult, Team
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    StopMessage,
    TextMessage,
)
from autogen_core import CancellationToken, Component, ComponentModel
from pydantic import BaseModel
from typing_extensions import Self

from bursar import BudgetExceeded, get_session
from bursar.integration import Limits, Payee, Payers, Run

from .._refusals import RunRefusals
from .._spender import BudgetLike, Money, OnBudget, Spender
from ._closing import final_answer, said
from ._components import BudgetConfig, dumped, loaded
from ._tree import name_of, spend_from

A = TypeVar("A", bound=ChatAgent)


class BudgetedTeamConfig(BaseModel):
    """How a `BudgetedTeam` is written down."""

    team: ComponentModel
    budget: BudgetConfig


class BudgetedTeam(Team, Component[BudgetedTeamConfig], Payee):
    """A team whose refusals keep their type; made by `budgeted`.

    A team that raised cannot run again, also after ``reset()``: make it anew, and load its state. A stream
    that is left in the middle stops the team: without this, AutoGen goes on in the background.

    Args:
        team: of any kind, whose agents spend from `spender`.
        spender: who pays.
    """

    component_config_schema = BudgetedTeamConfig
    component_provider_override = "bursar_autogen.agentchat.BudgetedTeam"
    places = "agents"

    def __init__(self, team: Team, spender: Spender) -> None:
        self.team = team
        self.spender = spender

    @property
    def payers(self) -> Payers:  # type: ignore[override]  # an attribute of `Payee`
        """Who pays."""
        return self.spender.payers

    @property
    def name(self) -> str:
        """Of the team."""
        return name_of(self.team)

    @property
    def description(self) -> str:
        """Of the team."""
        return str(getattr(self.team, "description", ""))

    async def run(
        self,
        *,
        task: str | BaseChatMessage | Sequence[BaseChatMessage] | None = None,
        cancellation_token: CancellationToken | None = None,
        **options: Any,
    ) -> TaskResult:
        """Run the team. Raises: `BudgetExceeded`: a call was refused, and nobody was to end well."""
        stream = self.run_stream(task=task, cancellation_token=cancellation_token, **options)
        result = TaskResult(messages=[])
        async for message in stream:  # to its end: the team is running until then
            if isinstance(message, TaskResult):
                result = message
        return result

    async def run_stream(
        self,
        *,
        task: str | BaseChatMessage | Sequence[BaseChatMessage] | None = None,
        cancellation_token: CancellationToken | None = None,
        **options: Any,
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        """Run the team, and hand on what it says. Raises: `BudgetExceeded`: as `run`."""
        own = CancellationToken()  # the caller's may be used elsewhere, too
        if cancellation_token is not None:
            cancellation_token.add_callback(own.cancel)
        heard: list[BaseAgentEvent | BaseChatMessage] = []
        run, refusals = Run(), RunRefusals()
        stream = self.team.run_stream(task=task, cancellation_token=own, **options)
        try:
            async for message in stream:
                if not isinstance(message, TaskResult | ModelClientStreamingChunkEvent):
                    heard.append(message)
                yield message
        except GeneratorExit as error:
            own.cancel()
            run.close(error)
            raise
        except Exception as error:
            refusal = error if isinstance(error, BudgetExceeded) else refusals.cause_of(error)
            if self.spender.stops and isinstance(refusal, BudgetExceeded):
                self.spender.handled(refusal)
                answer = await final_answer(self.spender.session, said(heard or _asked(task)))
                run.close()
                if answer is not None:
                    heard.append(StopMessage(content=answer, source=self.name))
                    yield heard[-1]
                yield TaskResult(messages=heard, stop_reason=f"Stopped by the budget: {refusal}")
                return
            run.close(error)
            if refusal is None or refusal is error:
                raise
            raise refusal from error
        finally:
            run.close()
            refusals.close()

    async def reset(self) -> None:
        """Reset the team; what was spent stays spent."""
        await self.team.reset()

    async def pause(self) -> None:
        """Pause the team."""
        await self.team.pause()

    async def resume(self) -> None:
        """Resume the team."""
        await self.team.resume()

    async def save_state(self) -> Mapping[str, Any]:
        """The state of the team; what was spent lives in the store."""
        return await self.team.save_state()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Load a state of the team; what was spent stays spent."""
        await self.team.load_state(state)

    def _to_config(self) -> BudgetedTeamConfig:
        return BudgetedTeamConfig(team=self.team.dump_component(), budget=dumped(self.spender))

    @classmethod
    def _from_config(cls, config: BudgetedTeamConfig) -> Self:
        spender = loaded(config.budget, get_session())
        team = Team.load_component(config.team)
        spend_from(team, spender)
        return cls(team, spender)


def _asked(task: str | BaseChatMessage | Sequence[BaseChatMessage] | None) -> Sequence[BaseChatMessage]:
    """What a team was asked, which it has not said yet where its first call is refused."""
    if isinstance(task, str):
        return [TextMessage(content=task, source="user")]
    return [task] if isinstance(task, BaseChatMessage) else task or []


@overload
def budgeted(
    runner: A,
    budget: BudgetLike,
    *,
    agents: Limits | None = ...,
    tool_prices: Mapping[str, Money] | None = ...,
    on_budget: OnBudget = ...,
) -> A: ...
@overload
def budgeted(
    runner: Team,
    budget: BudgetLike,
    *,
    agents: Limits | None = ...,
    tool_prices: Mapping[str, Money] | None = ...,
    on_budget: OnBudget = ...,
) -> BudgetedTeam: ...
def budgeted(
    runner: ChatAgent | Team,
    budget: BudgetLike,
    *,
    agents: Limits | None = None,
    tool_prices: Mapping[str, Money] | None = None,
    on_budget: OnBudget = "raise",
) -> Any:
    """Let an agent or a team spend from one budget, with all that is below it.

    Covered are all participants, the selector's and the orchestrator's own calls, nested teams, and agents
    and teams that are tools (``AgentTool``, ``TeamTool``). They are changed in place.

    Args:
        runner: an agent; or a team, before its first run.
        budget: a limit (``"$5"``), a `bursar.Budget`, or a `bursar.Session` to share one with others.
        agents: limits by the name of an agent: ``{"writer": "$1"}``; the report has the cost of each.
        tool_prices: USD for a run, by tool; beside those of the budget.
        on_budget: ``"raise"``: a refused call raises `bursar.BudgetExceeded`; ``"stop"``: the agent says so
            in its last message, and the team ends with a stop reason, ready to go on after a top-up; or a
            function of the refusal, sync or async, that returns True to try once more.

    Returns:
        The agent; for a team, a `BudgetedTeam` to run instead of it.

    Raises:
        InvalidAmount: a limit or a price is not one.
        ValueError: a setting has a value that it cannot have, or the team has run already.
    """
    spender = Spender(budget, agents=agents, tool_prices=tool_prices, on_budget=on_budget)
    spend_from(runner, spender)
    return BudgetedTeam(runner, spender) if isinstance(runner, Team) else runner

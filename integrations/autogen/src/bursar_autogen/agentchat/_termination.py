"""When a team has nothing left to spend."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from autogen_agentchat.base import TerminatedException, TerminationCondition
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StopMessage
from autogen_core import Component
from pydantic import BaseModel
from typing_extensions import Self

from bursar import get_session
from bursar.integration import Payee, Payers

from .._spender import BudgetLike, Spender
from ._closing import final_answer, said
from ._components import BudgetConfig, dumped, loaded
from ._ending import stopped


class BudgetTerminationConfig(BaseModel):
    """How a `BudgetTermination` is written down."""

    budget: BudgetConfig
    at: float = 1.0


class BudgetTermination(TerminationCondition, Component[BudgetTerminationConfig], Payee):
    """Ends a team when its budget is used up, or one of its agents was stopped by it (``on_budget="stop"``).

    AutoGen asks it after each message of an agent, never in the middle of its turn: it ends a team well,
    and refuses nothing. Clients and agents with a budget do that. Composes with ``|`` and ``&``.

    Where the budget has a `finalization_reserve`, the client that asked last is asked once more, without
    tools, for a final answer from it, once a session; the stop reason ends with the answer. An agent that
    was stopped has given its own.

    Args:
        budget: the `bursar.Session` that the agents spend from, or a budgeted client or agent.
        at: the part of the limit in USD at which the team ends: 0.9 leaves a tenth.

    Raises:
        ValueError: `at` is not above 0 and at most 1.
    """

    component_config_schema = BudgetTerminationConfig
    component_provider_override = "bursar_autogen.agentchat.BudgetTermination"

    def __init__(self, budget: BudgetLike | Payee, *, at: float = 1.0) -> None:
        if not 0 < at <= 1:
            raise ValueError(f"at={at!r} is not above 0 and at most 1")
        if isinstance(budget, Spender):
            self.spender = budget
        else:
            self.spender = Spender(budget.session if isinstance(budget, Payee) else budget)
        self._at = at
        self._terminated = False
        self._heard: list[BaseAgentEvent | BaseChatMessage] = []

    @property
    def payers(self) -> Payers:  # type: ignore[override]  # an attribute of `Payee`
        """Who pays."""
        return self.spender.payers

    @property
    def terminated(self) -> bool:
        """True from the message that ends the team until `reset`."""
        return self._terminated

    async def __call__(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> StopMessage | None:
        """Called with what was said since the last time. Raises: `TerminatedException`: it has ended."""
        if self._terminated:
            raise TerminatedException("Termination condition has already been reached")
        self._heard += messages
        session = self.session
        spent, remaining = session.spent, session.remaining
        limit = None if remaining is None else spent + session.reserved + remaining
        used_up = limit is not None and spent >= limit * Decimal(str(self._at))
        if not used_up and not any(map(stopped, messages)):
            return None
        self._terminated = True
        of = "" if limit is None else f" of ${limit.normalize():f}"
        why = f"Stopped by the budget: ${spent.normalize():f}{of} spent"
        answer = await final_answer(session, said(self._heard))
        content = why if answer is None else f"{why}. Final answer: {answer}"
        return StopMessage(content=content, source="BudgetTermination")

    async def reset(self) -> None:
        """Let the team go on, for instance after a top-up."""
        self._terminated = False
        self._heard = []

    def _to_config(self) -> BudgetTerminationConfig:
        return BudgetTerminationConfig(budget=dumped(self.spender), at=self._at)

    @classmethod
    def _from_config(cls, config: BudgetTerminationConfig) -> Self:
        return cls(loaded(config.budget, get_session()), at=config.at)

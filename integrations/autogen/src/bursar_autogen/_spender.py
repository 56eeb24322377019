"""Whose money the calls of some agents are, how they are admitted, and what a refusal does."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import uuid4

from bursar import Budget, BudgetExceeded, Limit, Session
from bursar.integration import (
    Admission,
    Costs,
    Limits,
    OpenCall,
    OpenCalls,
    Payee,
    Payers,
    Result,
    fails_closed,
    never_breaks,
)

from ._refusals import note

BudgetLike: TypeAlias = "str | float | Decimal | Limit | Budget | Session"
Money: TypeAlias = "str | float | Decimal"
Ask: TypeAlias = "Callable[[BudgetExceeded], bool | Awaitable[bool]]"
OrAsk: TypeAlias = 'Literal["raise"] | Ask'
OnBudget: TypeAlias = 'Literal["stop"] | OrAsk'

# The call that the outermost wrapper is making: a wrapper inside it hears the same call.
_making: ContextVar[OpenCall | None] = ContextVar("bursar_autogen_call", default=None)


class Request(NamedTuple):
    """A model call that is about to be sent.

    Attributes:
        asked: the arguments of `Session.reserve` for it.
        sdk: the SDK that sends it; None: another library, or nobody knows.
        kind: of the client that sends it.
    """

    asked: Mapping[str, Any]
    sdk: str | None
    kind: str


class Spender(Payee):
    """Reserves, settles and counts for all agents that spend from one budget together.

    Args:
        budget: a limit, a Budget or a Session.
        agents: limits by the name of an agent.
        tool_prices: USD for a run, by tool; beside those of the budget.
        on_budget: ``"raise"``, ``"stop"``, or what is asked whether to try a refused call once more.

    Raises:
        InvalidAmount: a limit or a price is not one.
        ValueError: a setting has a value that it cannot have; the message names it.
    """

    places = "agents"

    def __init__(
        self,
        budget: BudgetLike,
        *,
        agents: Limits | None = None,
        tool_prices: Mapping[str, Money] | None = None,
        on_budget: OnBudget = "raise",
    ) -> None:
        if on_budget not in {"raise", "stop"} and not callable(on_budget):
            raise ValueError(f"on_budget={on_budget!r:.60} is not 'raise', 'stop' or a callable")
        Budget(tool_prices=tool_prices)  # says what is wrong with them
        self.payers = Payers(budget, {"agents": agents})
        self.budget = budget
        self.agents = agents
        self.tool_prices = dict(tool_prices or {})
        self.on_budget = on_budget
        self._calls = OpenCalls()
        self.costs = Costs()
        self._admission = Admission(
            self._calls,
            self.costs,
            raise_as=Exception,
            prefix="autogen",
            on_refusal=lambda refusal, _: note(refusal),
        )

    # -- a call of a model --------------------------------------------------------------------

    @fails_closed(Exception)
    def admit(self, name: str | None, read: Callable[[], Request]) -> OpenCall | None:
        """Let a model be asked; None where a wrapper around this one has admitted the very same call.

        Args:
            name: of the agent that asks; None: nobody's.
            read: reads what is about to be sent.

        Raises:
            BursarError: it must not be asked.
        """
        outer = _making.get()
        call = OpenCall(uuid4().hex if outer is None else outer.key, (), watched=False)
        payer, (asked, sdk, kind) = self.payers.payer([name] if name else []), read()
        if self._admission.admit(call, payer, asked, name=name or "model", sdk=sdk, kind=kind):
            return call
        return None

    @never_breaks
    def settle(self, call: OpenCall | None, result: Result) -> None:
        """An answer came. Never raises."""
        if call is not None and self._take(call) and call.is_open:
            outer = _making.get()  # the covered SDK has booked the same answer for that one
            charge = None if outer is None or outer.hold is None else outer.hold.charge
            if charge is not None and charge.usage is not None:
                result = replace(result, usage=charge.usage)
            call.settle(result)

    @never_breaks
    def fail(self, call: OpenCall | None, error: BaseException) -> None:
        """An error came, or the stream was left. Never raises."""
        if call is not None and self._take(call):
            call.fail(error)

    def uncover(self, call: OpenCall | None) -> None:
        """Its request was sent: what the context sends from here on is another call."""
        if call is not None:
            call.uncover()

    def _take(self, call: OpenCall) -> bool:
        self.costs.close(call.key)
        return self._calls.take(call.key) is not None

    # -- the run of a tool --------------------------------------------------------------------

    @fails_closed(Exception)
    def admit_tool(self, name: str | None, tool: str, arguments: object) -> OpenCall:
        """Let a tool run. Raises: `BursarError`: it must not be run."""
        call = OpenCall(uuid4().hex, (), is_tool=True, watched=False)
        asked = {"tool": tool, "cost": self.tool_prices.get(tool), "messages": [arguments]}
        self._admission.admit(call, self.payers.payer([name] if name else []), asked, name=tool)
        return call

    @never_breaks
    def pay_tool(self, call: OpenCall, error: BaseException | None = None) -> None:
        """It has run, well or not. Never raises."""
        self._take(call)
        if isinstance(error, GeneratorExit):
            call.lose(error)  # perhaps the garbage collector's doing: no store may be touched
        else:
            call.pay()

    # -- a refusal ----------------------------------------------------------------------------

    @property
    def stops(self) -> bool:
        """True where an agent is to end well."""
        return self.on_budget == "stop"

    async def asks_again(self, refusal: BudgetExceeded) -> bool:
        """Ask the callable of `on_budget` whether the call is to be tried once more."""
        if not callable(self.on_budget):
            return False
        answer = self.on_budget(refusal)
        again = bool(await answer if inspect.isawaitable(answer) else answer)
        if again:
            self.session.handled(refusal)
        return again

    def asks(self, refusal: BudgetExceeded) -> bool:
        """`asks_again` where nobody can wait for the answer."""
        again = callable(self.on_budget) and self.on_budget(refusal) is True
        if again:
            self.session.handled(refusal)
        return again

    def handled(self, refusal: BaseException) -> None:
        """The model or the caller was told of a refusal in another way than by its raising."""
        self.session.handled(refusal)


def spender_of(budget: BudgetLike | Spender, on_budget: OrAsk) -> Spender:
    """Who pays for a client: it can raise, or ask again; only an agent can stop.

    Raises:
        ValueError: `on_budget` is neither.
    """
    if isinstance(budget, Spender):
        return budget
    if on_budget != "raise" and not callable(on_budget):
        raise ValueError(f"on_budget={on_budget!r:.60} is not 'raise' or a callable: a client cannot stop")
    return Spender(budget, on_budget=on_budget)


@contextmanager
def making(call: OpenCall | None) -> Iterator[None]:
    """A wrapper that is entered inside hears this very call, and charges it once."""
    if call is None:
        yield
        return
    token = _making.set(_making.get() or call)
    try:
        yield
    finally:
        _making.reset(token)

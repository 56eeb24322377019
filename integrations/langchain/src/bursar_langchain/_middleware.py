"""What an agent does when its budget runs out: policy on the ledger that the handler keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Annotated, Any, Literal, get_args
from uuid import uuid4

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse, PrivateStateAttr
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.channels.untracked_value import UntrackedValue
from typing_extensions import NotRequired, TypedDict

from bursar import Budget, BudgetExceeded, Session
from bursar.integration import Payee

from ._adapter import BudgetCallback
from ._admission import OnBudget
from ._attempt import Attempt
from ._caps import Lowered
from ._coverage import covers_agents
from ._denials import denial, denials
from ._fallbacks import Fallbacks
from ._payers import LimitLike

ExitBehavior = Literal["end", "error", "downgrade"]
ToolDenial = Literal["raise", "tell"]


def _state_with(channel: str) -> Any:
    """The state of an agent with one more entry, which nobody sees and nothing is written to."""
    entry = Annotated[Any, UntrackedValue, PrivateStateAttr]
    typed: Any = TypedDict  # checkers know it with the literal names of a class only
    return typed("BudgetState", {channel: NotRequired[entry]})


class BudgetMiddleware(Payee, AgentMiddleware):
    """Ends an agent of `langchain.agents.create_agent` well when its budget runs out.

    Put it first. It brings its own `BudgetCallback`, so that what the agent and its tools spend is
    reserved and charged once; a handler of the same session that hangs on the run as well does no harm.

    A call that does not fit as it is gets a lower output cap, if at least 256 tokens are affordable; then
    the fallback model is asked, if there is one; then, if the budget has a `finalization_reserve`, the
    model is asked for its final answer, without tools. What comes then is `exit_behavior`.

    Args:
        budget: a limit, a `bursar.Budget` or a `bursar.Session`; or a `BudgetCallback` with its settings.
        exit_behavior: ``"end"`` ends the run with a message that says why; ``"error"`` raises
            `bursar.BudgetExceeded`; ``"downgrade"`` goes on with `fallback_model`, and ends when
            that does not fit, either.
        fallback_model: a cheaper chat model, or its name, for ``"downgrade"``.
        on_tool_denied: a tool that is refused never runs. By default the run ends then as `exit_behavior`
            says; ``"raise"`` ends it with the error, ``"tell"`` lets the model know, so that it can answer
            without: once in a row, since a second round of refused tools ends the run.
        on_budget: ``f(refusal) -> bool``, asked once about a refusal: a person may raise the limit, and
            return True to try once more; see `BudgetCallback`. A coroutine function is awaited when the agent
            itself would end, or a tool of its would not run; it needs ``ainvoke`` or ``astream``.

    Raises:
        InvalidAmount: the limit is not one.
        TypeError: a coroutine function is given as `on_budget`, and the agent is not run with ``await``.
        ValueError: a setting has a value that it cannot have; the message names it.
    """

    places = "nodes"

    def __init__(
        self,
        budget: LimitLike | Budget | Session | BudgetCallback,
        *,
        exit_behavior: ExitBehavior = "end",
        fallback_model: BaseChatModel | str | None = None,
        on_tool_denied: ToolDenial | None = None,
        on_budget: OnBudget | Callable[[BudgetExceeded], Awaitable[object]] | None = None,
    ) -> None:
        super().__init__()
        for setting, word, words in (
            ("exit_behavior", exit_behavior, get_args(ExitBehavior)),
            ("on_tool_denied", on_tool_denied, (None, *get_args(ToolDenial))),
        ):
            if word not in words:
                raise ValueError(f"{setting}={word!r:.60} is not one of {', '.join(map(repr, words))}")
        if (exit_behavior == "downgrade") != (fallback_model is not None):
            raise ValueError("exit_behavior='downgrade' and fallback_model= go together")
        if isinstance(fallback_model, str):
            fallback_model = init_chat_model(fallback_model)
        self._ask: Any = on_budget if iscoroutinefunction(on_budget) else None
        ask_inside: Any = None if self._ask else on_budget
        if not isinstance(budget, BudgetCallback):
            budget = BudgetCallback(budget, on_budget=ask_inside)
        elif ask_inside is not None:
            raise ValueError("a BudgetCallback has its own on_budget=")
        self.callback, self.payers, self.costs = budget, budget.payers, budget.costs
        # Other middleware asks models in nodes of its own. Those of this agent are told by their state.
        channel = f"bursar_{uuid4().hex}"
        self.state_schema = _state_with(channel)
        covers_agents(channel, self.callback)
        self._name = f"{type(self).__name__}.{channel[-8:]}"
        self._exit_behavior = exit_behavior
        self._fallback = fallback_model
        self._on_tool_denied = on_tool_denied or ("raise" if exit_behavior == "error" else None)

    @property
    def name(self) -> str:
        """One for each middleware: LangChain takes no two of one name, and an agent may have two budgets."""
        return self._name

    # -- models -------------------------------------------------------------------------------

    def wrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]
    ) -> ModelResponse | AIMessage:
        """Called around each step of the agent. Raises: `BudgetExceeded`, if `exit_behavior` says so."""
        trial = self._trial(request)
        for attempt in trial:
            try:
                with attempt:
                    return handler(attempt.request)
            except (BudgetExceeded, Lowered) as refusal:
                trial.refused(attempt, refusal)
        self._cannot_ask()
        return self._exit(trial)

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse | AIMessage:
        """`wrap_model_call` for async agents."""
        may_ask = self._ask is not None
        while True:
            trial = self._trial(request)
            for attempt in trial:
                try:
                    with attempt:
                        return await handler(attempt.request)
                except (BudgetExceeded, Lowered) as refusal:
                    trial.refused(attempt, refusal)
            if not may_ask or await self._ask(trial.refusal) is not True:
                return self._exit(trial)
            may_ask = False

    def _trial(self, request: ModelRequest) -> Fallbacks:
        """How the step may be paid: after tools that were refused, by a final answer at most."""
        denied = denials(request.messages, self._name)
        only_finally = bool(denied) and (self._on_tool_denied is None or len(denied) > 1)
        return Fallbacks(self.callback, request, self._fallback, denied[-1] if only_finally else None)

    def _exit(self, trial: Fallbacks) -> AIMessage:
        if self._exit_behavior == "error":
            raise trial.refusal
        if trial.session is not None:
            trial.session.handled(trial.refusal)
        return AIMessage(f"The run ends here, since its budget is used up: {trial.refusal}")

    # -- tools --------------------------------------------------------------------------------

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Called around each run of a tool. Raises: `BudgetExceeded`, if `on_tool_denied` says so."""
        attempt = Attempt(request, self.callback)
        try:
            with attempt:
                return handler(request)
        except BudgetExceeded as refusal:
            self._cannot_ask()
            return self._deny(attempt, refusal)

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """`wrap_tool_call` for async agents."""
        for may_ask in (self._ask is not None, False):
            attempt = Attempt(request, self.callback)
            try:
                with attempt:
                    return await handler(request)
            except BudgetExceeded as refusal:
                # One of a call inside the tool does not undo what the tool has done before.
                never_ran = refusal.tool == request.tool_call["name"] and attempt.session is not None
                if not (may_ask and never_ran and await self._ask(refusal) is True):
                    return self._deny(attempt, refusal)
        raise AssertionError  # the second time is the last

    def _cannot_ask(self) -> None:
        if self._ask is not None:
            raise TypeError("on_budget= is a coroutine function: run the agent by ainvoke or astream")

    def _deny(self, attempt: Attempt, refusal: BudgetExceeded) -> ToolMessage:
        if self._on_tool_denied == "raise" or attempt.is_of_another(refusal):
            raise refusal
        if attempt.session is not None:
            attempt.session.handled(refusal)
        return denial(attempt.request.tool_call, refusal, self._name)

"""The middleware: everything that runs in its context is paid from one budget."""

from __future__ import annotations

import contextvars
import functools
import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, TypeVar, cast, get_args

from crewai import __version__ as crewai_version
from crewai.events import stream_context

from bursar import Budget, BudgetExceeded, BursarError, Session
from bursar.integration import Limits, Payee, Payers, cover_later, covered_sdks

from ._breakdown import Breakdown, clean
from ._hooks import Hooks
from ._refusal import CrewRefusal, keep_out_of_the_log
from ._sink import Sink
from ._tasks import Tasks

logger = logging.getLogger("bursar")
F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C")
ToolDenial = Literal["raise", "tell"]

_entered: ContextVar[tuple[BudgetMiddleware, ...]] = ContextVar("bursar_crewai", default=())
_STARTERS = (
    "kickoff", "kickoff_async", "akickoff", "kickoff_for_each", "kickoff_for_each_async", "akickoff_for_each",
    "train", "test",
)  # fmt: skip


class BudgetMiddleware(Payee):
    """Keeps all model calls and tool runs of crews, flows and agents within a budget.

    A context manager, sync and async, and a decorator::

        with BudgetMiddleware("$3") as budget:
            crew.kickoff()

    A call that may not fit is never sent: ``kickoff()`` raises `bursar.BudgetExceeded`, in a class that
    CrewAI neither retries nor hides. A model without a price raises `bursar.UnknownModel` in the same way.
    Requests of the covered SDKs that are no call of a model of CrewAI's, such as embeddings for memory
    and knowledge, are paid by it, too.

    It may be entered again, also by several threads and tasks at once, and within another one: then both pay.

    Args:
        budget: a limit (``"$3"``), a `bursar.Budget`, which gets a session for this middleware, or a
            `bursar.Session` to share one with others.
        agents: limits by the role of an agent, one or several: ``{"Researcher": "$1"}``.
        tasks: limits by the name of a task (its description, where it has none), whoever works on it; kept in
            the store, beside the session.
        tool_prices: USD for a run, by the name of a tool; beside those of the budget.
        on_tool_denied: a tool that is refused never runs: ``"raise"`` ends the crew with the error,
            ``"tell"`` lets the model know, so that it can answer without.
        on_budget: called with each refusal; it may raise the limit (`Budget.set_limit`) and return
            True, so that the call is tried once more.
        wrap_up: True to tell each agent once, when a soft limit of the budget is reached, to come to
            an end.

    Raises:
        BursarError: this CrewAI does not tell of its calls in the way that is needed.
        InvalidAmount: a limit or a price is not one.
        TypeError: `on_budget` is async: CrewAI cannot wait for it.
        ValueError: a setting has a value that it cannot have; the message names it.
    """

    places = "agents"
    costs: Breakdown

    def __init__(
        self,
        budget: Any,
        *,
        agents: Limits | None = None,
        tasks: Limits | None = None,
        tool_prices: Mapping[str, Any] | None = None,
        on_tool_denied: ToolDenial = "raise",
        on_budget: Callable[[BudgetExceeded], bool] | None = None,
        wrap_up: bool = False,
    ) -> None:
        _check_crewai()
        if on_tool_denied not in get_args(ToolDenial):
            words = ", ".join(map(repr, get_args(ToolDenial)))
            raise ValueError(f"on_tool_denied={on_tool_denied!r:.60} is not one of {words}")
        if inspect.iscoroutinefunction(on_budget):
            raise TypeError("on_budget= takes no async function: CrewAI asks where it cannot wait")
        Budget(tool_prices=tool_prices)  # says what is wrong with them
        if isinstance(agents, Mapping):
            agents = {clean(role): limits for role, limits in agents.items()}
        if isinstance(budget, Session):
            if wrap_up:
                raise ValueError(
                    "wrap_up= needs a limit or a Budget: a session does not tell of its soft limit"
                )
        elif not isinstance(budget, Budget):
            budget = Budget(budget)
        self.payers = Payers(budget, {"agents": agents})
        self.costs = Breakdown()
        tell = on_tool_denied == "tell"
        limited = Tasks(tasks, self.session)
        self._sink = Sink(self.payers, self.costs, limited, tool_prices or {}, on_budget, tell=tell)
        self._hooks = Hooks(self._sink, budget if wrap_up else None)
        self._entries: ContextVar[tuple[Callable[[], None], ...]] = ContextVar(
            "bursar_crewai_entries", default=()
        )
        self._warned = False

    # -- in a context ---------------------------------------------------------------------------

    def __enter__(self) -> BudgetMiddleware:
        covered_sdks()
        keep_out_of_the_log()
        self.session.__enter__()
        leave: Callable[[], None] = _nothing if self in _entered.get() else self._enter()
        self._entries.set((*self._entries.get(), leave))
        return self

    def _enter(self) -> Callable[[], None]:
        """Hear what happens in this context. Returns: what ends it."""
        token = _entered.set((*_entered.get(), self))
        promise = cover_later(self.session, raise_as=CrewRefusal)
        promise.claim()  # it is for no request; but what it says of the type of refusals holds for all
        unhook = self._hooks.enter()
        sink = stream_context.add_stream_sink(self._sink)

        def leave() -> None:
            promise.close()
            try:
                stream_context.reset_stream_sinks(sink)
                unhook()
                _entered.reset(token)
            except ValueError:  # another context than the one that it was entered in, which goes on
                pass

        return leave

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        entries = self._entries.get()
        if entries:
            self._entries.set(entries[:-1])
            entries[-1]()
        self.session.__exit__(kind, error, trace)

    async def __aenter__(self) -> BudgetMiddleware:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """Let a function, sync or async, run in this budget: a decorator, also for methods of a Flow.

        Raises:
            TypeError: it is a generator, whose body runs when it is read.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__name__} is a generator: use `with` inside of it instead")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def arun(*args: Any, **kwargs: Any) -> Any:
                async with self:
                    result = await function(*args, **kwargs)
                return self._guard(result)

            return cast("F", arun)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                result = function(*args, **kwargs)
            return self._guard(result)

        return cast("F", run)

    def _guard(self, result: C) -> C:
        """Let a streaming output, which starts its crew when it is read, start it in this budget."""
        chunks, achunks = getattr(result, "_sync_iterator", None), getattr(result, "_async_iterator", None)
        if chunks is not None:
            result._sync_iterator = self._chunks(chunks)  # type: ignore[attr-defined]
        if achunks is not None:
            result._async_iterator = self._achunks(achunks)  # type: ignore[attr-defined]
        return result

    def _chunks(self, chunks: Iterator[Any]) -> Iterator[Any]:
        with self:
            first = next(chunks, None)
        if first is not None:
            yield first
        yield from chunks

    async def _achunks(self, chunks: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        async with aclosing(chunks):
            async with self:
                first = await anext(chunks, None)
            if first is not None:
                yield first
            async for chunk in chunks:
                yield chunk

    def bind(self, function: F) -> F:
        """The function, for a thread of your own: it runs in this budget, and in the context of now."""
        context = contextvars.copy_context()
        bound = self(function)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            return context.copy().run(bound, *args, **kwargs)

        return cast("F", run)

    # -- what was spent -------------------------------------------------------------------------

    def track(self, result: C, cost: Any, tool_name: str | None = None) -> C:
        """Book something that nobody reserved for, as told.

        Args:
            result: handed back.
            cost: USD.
            tool_name: the tool.

        Raises:
            BudgetExceeded: it is booked, and a limit is exceeded now; `result` has the result.
        """
        if self._sink.charged and type(result).__module__.startswith("crewai.") and not self._warned:
            self._warned = True
            logger.warning(
                "track() books the output of a crew whose calls were charged already: delete the line"
            )
        return self.session.track(result, cost, tool_name)

    def report(self) -> dict[str, Any]:
        """The cost report of the session, with the USD of each crew, agent, task, model and tool.

        ``"agents"`` is what the session knows, also from other processes; ``"crews"``, ``"tasks"``,
        ``"models"`` and ``"tools"`` are what this middleware saw.
        """
        seen = self.costs.by_label()
        return {**seen, **super().report()}


def budgeted(runner: C, budget: Any, **settings: Any) -> C:
    """Let a crew, a flow or an agent run in a budget, however it is started.

    Args:
        runner: it is changed, and handed back.
        budget: a limit, a Budget, a Session, or a `BudgetMiddleware`, which you can ask what was spent.
        settings: of the middleware.
    """
    middleware = budget if isinstance(budget, BudgetMiddleware) else BudgetMiddleware(budget, **settings)
    for name in _STARTERS:
        method = getattr(runner, name, None)
        if method is not None:
            object.__setattr__(runner, name, middleware(method))
    return runner


def _check_crewai() -> None:
    """The canary: what this package needs of CrewAI, and no page of CrewAI's promises.

    Raises:
        BursarError: it is gone.
    """
    needed = ("add_stream_sink", "reset_stream_sinks", "publish_stream_event")
    missing = [name for name in needed if not hasattr(stream_context, name)]
    if missing:
        raise BursarError(
            f"crewai {crewai_version} has no {' and no '.join(missing)}, so that its calls cannot be held:"
            " bursar-crewai works with crewai 1.15.19 to 1.15.30"
        )


def _nothing() -> None:
    """What ends an entry within another one of the same middleware."""

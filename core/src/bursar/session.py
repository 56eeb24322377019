"""One run of an agent: a view of its account in the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Mapping
from types import TracebackType
from typing import Any

from .account import name_of, session_account
from . import current
from .ask import Ask
from .errors import BudgetExceeded, BursarError, Tripped
from .handle import Handle
from .hold import Hold
from .ids import new_id
from .ledger import Ledger
from .limits import LimitLike
from .money import Money
from .report import build_report
from .settings import parse_limits
from .standing import standing
from .steps import Steps, awaitable, blocking
from .store.base import Path

_EVENTS = 1_000


class Reserving:
    """What `Session.areserve` returns: await it for the hold, or enter it with ``async with``."""

    __slots__ = ("_hold", "_ledger", "_steps")

    def __init__(self, ledger: Ledger, steps: Steps[Hold]) -> None:
        self._ledger = ledger
        self._steps = steps

    def __await__(self) -> Generator[Any, None, Hold]:
        return self._ledger.arun(self._steps).__await__()

    async def __aenter__(self) -> Hold:
        self._hold = await self
        return await self._hold.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hold.__aexit__(kind, error, trace)


class Session(Handle):
    """A run that spends from its own limits and from those of every budget above it.

    Made by `Budget.session`. A context manager, sync and async: inside it the session is the
    current one of the thread or task, which pays for what clients covered by `bursar.init` send.
    It may be entered again, and works outside ``with`` until it is closed. Safe for threads
    and tasks.

    Attributes:
        id: its name in the budget; the same id in the same store is the same session.
        metadata: what `Budget.session` was given beside the limits; the report carries it.
    """

    def __init__(self, ledger: Ledger, path: Path, metadata: dict[str, Any]) -> None:
        super().__init__(ledger, path)
        self._events: deque[dict[str, Any]] = deque(maxlen=_EVENTS)
        self._refusal: BudgetExceeded | None = None
        self._opened_s = ledger.clock.now()
        self._closed_s: float | None = None
        self.metadata = metadata

    @property
    def id(self) -> str:
        return name_of(self._path[-1].key)

    # -- paid calls -------------------------------------------------------------------------

    def _reserve(
        self,
        model: str | None = None,
        *,
        provider: str | None = None,
        input_tokens: int | None = None,
        messages: Iterable[Any] | str | None = None,
        tools: Iterable[Any] | None = None,
        max_output_tokens: int | None = None,
        n: int = 1,
        tool: str | None = None,
        cost: Money | None = None,
        tier: str | None = None,
        key: str | None = None,
        clamp: bool = True,
        windows: int = 1,
        requests: Mapping[str, int] | None = None,
    ) -> Steps[Hold]:
        """Set aside what a call may cost at the worst, before it is sent.

        Args:
            model: the model to be called.
            provider: who bills it, where the name of the model does not say.
            input_tokens: the most input that it can be billed for.
            messages: what will be sent, instead of a number; bounded by its bytes.
            tools: the tool schemas that go with the messages.
            max_output_tokens: the output cap of one choice; the model's own by default.
            n: how many choices are asked for.
            tool: the tool to be run, at its price in `tool_prices`, instead of a model.
            cost: USD, where the caller knows the worst case better.
            tier: the service tier: ``"batch"``, ``"flex"`` or ``"priority"``.
            key: makes the reserve idempotent within the session.
            clamp: False when the request cannot be changed any more, so that its output
                cap cannot be lowered to what is left.
            windows: how many context windows the input may fill: one for each prompt of several,
                and one more for each run of a tool of the provider's.
            requests: how often such tools may run, by name (``{"web_search": 3}``).

        Raises:
            BudgetExceeded: it does not fit; nothing was changed, and the call must not be made.
            UnknownModel: the model has no price.
            UnpriceableCall: its worst case has no bound.
            ValueError: a name or a count is not one.
            StoreError: the store cannot say; the call must not be made.
        """
        if self._closed_s is not None:
            raise BursarError(f"the session {self.id!r} is closed; open another one, or this one by its id")
        ask = Ask(
            model=model,
            provider=provider,
            input_tokens=input_tokens,
            messages=messages,
            tools=tools,
            max_output_tokens=max_output_tokens,
            n=n,
            tool=tool,
            cost=cost,
            tier=tier,
            key=key,
            clamp=clamp,
            windows=windows,
            requests=requests or {},
        )
        try:
            hold = yield from self._ledger.reserve(self._path, ask, self._events)
        except BudgetExceeded as refusal:
            self._refusal = refusal
            raise
        self._refusal = None
        return hold

    reserve = blocking(_reserve)

    def areserve(self, *args: Any, **kwargs: Any) -> Reserving:
        """`reserve` without blocking the event loop: ``await`` it, or ``async with`` it."""
        return Reserving(self._ledger, self._reserve(*args, **kwargs))

    def child_session(
        self, *limits: LimitLike, name: str | None = None, max_spend: LimitLike | None = None
    ) -> Session:
        """A session below this one: what it spends counts here at once.

        Args:
            limits: its own limits; it always has those of this session too.
            name: its name in this session; a new one by default.
            max_spend: another way to write a limit.
        """
        extra = () if max_spend is None else (max_spend,)
        account = session_account(self._path[-1], name or new_id(), parse_limits((*limits, *extra)))
        return Session(self._ledger, (*self._path, account), {})

    # -- where it stands --------------------------------------------------------------------

    @property
    def terminated_by(self) -> str | None:
        """Why the last call was refused: ``"budget_exhausted"``, ``"tripped"``; None when it was not."""
        if self._refusal is None:
            return None
        return "tripped" if isinstance(self._refusal, Tripped) else "budget_exhausted"

    def _report(self) -> Steps[dict[str, Any]]:
        """The cost report: a plain dict that ``json.dumps`` takes; money in USD as float."""
        snapshot = yield from self._snapshot(whole_tree=True)
        report = build_report(
            snapshot,
            standing(snapshot, self._path),
            events=tuple(self._events),
            terminated_by=self.terminated_by,
            durability=self._ledger.store.durability,
        )
        ended_s = self._ledger.clock.now() if self._closed_s is None else self._closed_s
        return report | {"duration_seconds": max(0.0, ended_s - self._opened_s), "metadata": self.metadata}

    report, areport = blocking(_report), awaitable(_report)

    # -- its life ---------------------------------------------------------------------------

    def close(self) -> None:
        """End the session; holds that are open still settle."""
        if self._closed_s is None:
            self._closed_s = self._ledger.clock.now()

    async def aclose(self) -> None:
        """`close` for async code."""
        self.close()

    def __enter__(self) -> Session:
        current.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        current.leave(self)

    async def __aenter__(self) -> Session:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"<Session {self.id!r}>"

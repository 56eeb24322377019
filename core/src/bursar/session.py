"""One run of an agent: a view of its account in the store."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from inspect import signature
from itertools import count
from types import TracebackType
from typing import Any, NoReturn, TypeAlias, TypeVar, cast

from .errors import BudgetExceeded, BursarError, StoreError
from .ledger import context, reservation
from .ledger.hold import Hold
from .ledger.ledger import Ledger
from .ledger.reading import read_session
from .ledger.reservation import Reserving
from .ledger.steps import Steps, awaitable, blocking
from .ledger.swallowed import SwallowedRefusals, current_run
from .ledger.twice import remember_charges
from .pricing.request import CallRequest, checked
from .redaction import redacted
from .reports.balance import account_views
from .reports.events import Events
from .reports.plain import plain
from .reports.report import build_report
from .runtime import fork
from .runtime.functions import within
from .runtime.ids import is_made, new_id
from .runtime.log import logger
from .store.entry import Path
from .tracking import Tracking
from .values.account import name_of, session_account
from .values.call import Call
from .values.charge import Charge
from .values.limits import LimitLike, parse_limits
from .values.money import Money, to_nanos
from .values.peer_names import unknown_setting
from .values.policy import Terms
from .values.usage import Usage

F = TypeVar("F", bound=Callable[..., Any])

_EVENTS = 1_000
_Place: TypeAlias = "tuple[int, str]"  # of an account: its store, its key
_finalizing: ContextVar[frozenset[_Place]] = ContextVar("bursar_finalizing", default=frozenset())


class Session(Tracking):
    """A run that spends from its own limits and from those of every budget above it.

    Made by `Budget.session`. A context manager, sync and async: inside it the session is the
    current one of the thread or task, and pays for what clients of the OpenAI and Anthropic SDKs
    send; these are covered as soon as they are imported. It may be entered again, and works
    outside ``with`` until it is closed. Safe for threads and tasks.

    Attributes:
        id: its name in the budget; the same id in the same store is the same session.
        budget: the `Budget` that it spends from.
        metadata: what `Budget.session` was given beside the limits; the report carries it.
    """

    def __init__(
        self,
        ledger: Ledger,
        path: Path,
        metadata: dict[str, Any],
        *,
        swallow: bool = False,
        whole: Session | None = None,
        named: bool = True,
        budget: Any = None,
        cover: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(ledger, path, Events(maxlen=_EVENTS) if whole is None else whole._events)
        self._whole = whole  # the session that this is a part of
        self._swallowed: SwallowedRefusals = SwallowedRefusals(
            swallow=swallow, whole=None if whole is None else whole._swallowed
        )
        self._entered = 0
        self._cover = cover
        self._at_end: Callable[[], object] | None = None  # of the outermost `with`: that of init() tears down
        self._end_was_told = False
        self._opened_s = ledger.clock.now()
        self._closed_s: float | None = None
        self._closings = count()
        self.budget = budget
        self.metadata = metadata
        if not named:
            weakref.finalize(self, _over, weakref.ref(ledger), path[-1].key, fork.count).atexit = False
        ledger.hooks.session_opened(self)

    @property
    def id(self) -> str:
        """Its name in the budget."""
        return name_of(self._path[-1].key)

    def is_same_account(self, other: Session) -> bool:
        """True where both are views of one account in one store."""
        mine, theirs = self._path[-1].key, other._path[-1].key
        return mine == theirs and self._ledger.store is other._ledger.store

    @property
    def covers(self) -> bool:
        """True where it pays, once entered, for the SDKs; not with ``budget.session(cover=False)``."""
        return self._cover is not None

    _covers = covers

    # -- paid calls -------------------------------------------------------------------------

    def _reserve(
        self,
        /,
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
        clamp: bool | int = True,
        floor: int = 0,
        formatted: bool = False,
        cap_name: str = "max_tokens",
        windows: int = 1,
        stored_tokens: int = 0,
        requests: Mapping[str, int] | None = None,
        sent: bool = False,
        alternatives: Sequence[Mapping[str, Any]] = (),
        **unknown: NoReturn,
    ) -> Steps[Hold]:
        """Set aside what a call may cost at the worst, before it is sent.

        Args:
            model: the model to be called.
            provider: who bills it, where the name of the model does not say.
            input_tokens: the most input that it can be billed for.
            messages: what will be sent, instead of a number; bounded by its bytes. For a tool its
                input, so that the same run over and over is noticed.
            tools: the tool schemas that go with the messages.
            max_output_tokens: the output cap of one choice; the model's own by default.
            n: how many choices are asked for.
            tool: the tool to be run, at its price in `tool_prices`, instead of a model.
            cost: USD, where the caller knows the worst case better.
            tier: the service tier: ``"batch"``, ``"flex"`` or ``"priority"``.
            key: makes the reserve idempotent within the session.
            clamp: False when the request cannot be changed any more, so that its output
                cap cannot be lowered to what is left; a number is the smallest cap that is of use.
            floor: the output cap that is worth waiting for, instead of the budget's `clamp_floor`.
            formatted: True when the answer is to have a format, which ``Budget(clamp="text")`` never cuts.
            cap_name: what the request calls its output cap, for the text of a refusal; empty: it takes none.
            windows: how many context windows the input may fill: one for each prompt of several,
                and one more for each run of a tool of the provider's.
            stored_tokens: input that the provider keeps, and reads again beside the messages.
            requests: how often such tools may run, by name (``{"web_search": 3}``).
            alternatives: how often such tools may run where the request can be given a bound, the most
                wanted first: ``{"runs": 8, "windows": 9, "requests": {"web_search": 8}}``. The first that
                fits is granted, and its `runs` are those of the hold.
            sent: True where the request is sent as it is, and not as a part of a batch: it is priced at
                `tier`, and a cheaper tier of the budget does not hold.

        Raises:
            BudgetExceeded: it does not fit, or a plugin refuses it; nothing was changed, and the
                call must not be made.
            UnknownModel: the model has no price.
            UnpriceableCall: its worst case has no bound.
            TypeError: there is no such argument.
            ValueError: a name or a count is not one.
            StoreError: the store cannot say; the call must not be made.
        """
        for name in unknown:
            raise unknown_setting("reserve()", name, signature(self._reserve).parameters)
        self._check_open()
        fields = (
            model,
            provider,
            input_tokens,
            messages,
            tools,
            max_output_tokens,
            cost,
            clamp,
            formatted,
            cap_name,
            sent,
            alternatives,
            n,
            tool,
            tier,
            key,
            floor,
            windows,
            stored_tokens,
            requests or {},
        )
        request = checked(fields)
        try:
            hold = yield from reservation.reserve(
                self._ledger, self._path, request, self._events, self._terms(), self, self._check_open
            )
        except BudgetExceeded as refusal:
            self._swallowed.note(refusal)
            raise
        self._swallowed.note(None)
        self._end_was_told = False
        return hold

    reserve = blocking(_reserve)

    def areserve(self, *args: Any, **kwargs: Any) -> Reserving:
        """`reserve` without blocking the event loop: ``await`` it, or ``async with`` it."""
        return Reserving(self._ledger, self._reserve(*args, **kwargs))

    def _book_unreserved(
        self, asked: Mapping[str, Any], usage: Usage | None, model: str | None, tier: str | None
    ) -> Steps[Charge]:
        request = CallRequest(
            **{"sent": True, **asked, "clamp": False, "requests": asked.get("requests") or {}}
        )
        booking = reservation.book_unreserved(
            self._ledger, self._path, request, usage, model, tier, self._events
        )
        try:
            return (yield from booking)
        except BudgetExceeded as refusal:
            self._swallowed.note(refusal)
            raise

    def _note_saved(self, asked: Mapping[str, Any], usage: Usage | None) -> Steps[None]:
        request = CallRequest(**{"sent": True, **asked, "requests": asked.get("requests") or {}})
        yield from reservation.note_saved(self._ledger, self._path, request, usage)

    def _check_open(self) -> None:
        whole = self if self._whole is None else self._whole
        if self._closed_s is not None or whole._closed_s is not None:
            which = "this session" if is_made(whole.id) else f"the session {whole.id!r}"
            raise BursarError(f"{which} is closed; enter it again with `with session:`, or open another one")

    def _book(self, call: Call, nanos: int, usage: Usage | None) -> Steps[Charge]:
        self._check_open()
        self._end_was_told = False
        try:
            return (yield from super()._book(call, nanos, usage))
        except BudgetExceeded as refusal:
            self._swallowed.note(refusal)
            raise

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
        account = session_account(
            self._path[-1], name or new_id(), parse_limits((*limits, *extra), self._ledger.policy.tz)
        )
        path, swallow = (*self._path, account), self._swallowed.swallow
        return Session(
            self._ledger,
            path,
            {},
            swallow=swallow,
            named=name is not None,
            budget=self.budget,
            cover=self._cover,
        )

    def part(self, name: str, *limits: LimitLike) -> Session:
        """A child session that is not a run by itself: a node of a graph, a step of a workflow.

        Its calls are calls of this session: the events, what ended the last one, and whether
        a refusal was swallowed are noted here.

        Args:
            name: its name in this session.
            limits: its own limits; it always has those of this session too.
        """
        account = session_account(self._path[-1], name, parse_limits(limits, self._ledger.policy.tz))
        whole = self if self._whole is None else self._whole
        return Session(
            self._ledger,
            (*self._path, account),
            {},
            swallow=self._swallowed.swallow,
            whole=whole,
            budget=self.budget,
            cover=self._cover,
        )

    @property
    def keeps_reserve(self) -> bool:
        """True when the budget keeps a part of each session's limit for `finalize`."""
        terms = self._ledger.policy.terms
        return bool(terms.kept_ppm or terms.kept_nanos)

    @contextmanager
    def finalize(self) -> Iterator[Session]:
        """Inside ``with session.finalize():`` the finalization reserve may be spent, too.

        It holds for this thread or task, and for those that copy its context.
        """
        token = _finalizing.set(_finalizing.get() | {(id(self._ledger.store), self._path[-1].key)})
        self._swallowed.forget()
        try:
            yield self
        finally:
            _finalizing.reset(token)

    def _terms(self) -> Terms:
        terms, finalizing = self._ledger.policy.terms, _finalizing.get()
        if finalizing:
            store = id(self._ledger.store)
            if any((store, account.key) in finalizing for account in self._path):
                return terms._replace(finalizing=True)
        return terms

    def track_tool(self, cost: Money | None = None, tool_name: str | None = None) -> Callable[[F], F]:
        """A decorator that reserves before each run of a function, sync or async, and charges it after.

        Runs with the same arguments count as the same call, where these can be told apart.

        Args:
            cost: USD a run; by default the tool's price in `tool_prices`.
            tool_name: the name of the function by default.

        Raises:
            BudgetExceeded: from the function: it was not run.
        """
        if cost is not None:
            to_nanos(cost)

        def decorate(function: F) -> F:
            name = tool_name or function.__name__

            @functools.wraps(function)
            def run(*args: Any, **kwargs: Any) -> Any:
                with self.reserve(tool=name, cost=cost, messages=[args, kwargs]) as hold:
                    result = function(*args, **kwargs)
                    hold.settle(cost=hold.amount)
                    return result

            @functools.wraps(function)
            async def arun(*args: Any, **kwargs: Any) -> Any:
                async with self.areserve(tool=name, cost=cost, messages=[args, kwargs]) as hold:
                    result = await function(*args, **kwargs)
                    await hold.asettle(cost=hold.amount)
                    return result

            return cast("F", arun if inspect.iscoroutinefunction(function) else run)

        return decorate

    # -- refusals that somebody swallows -----------------------------------------------------

    def surface(self, refusal: BudgetExceeded) -> None:
        """For integrations: a refusal was raised into a framework, which may swallow it.

        Within a `bursar.integration.Run` it is the run's. If that ends normally, and no call was admitted in
        it afterwards, a normal exit of the outermost ``with session:`` raises the refusal, unless
        `finalize` was entered, `handled` was called, or the session swallows. Outside of runs it
        is the caller's, who has got it.
        """
        run = current_run()
        if run is not None:
            run.refused(self._swallowed.whole, refusal)

    def handled(self, refusal: BaseException) -> None:
        """The caller has dealt with a refusal: it is not raised again at the end of ``with session:``.

        Args:
            refusal: the refusal, a copy of it, or an error that it caused.
        """
        self._swallowed.whole.handled(refusal)

    @property
    def last_refusal(self) -> BudgetExceeded | None:
        """The newest refusal of a call of this session, or None."""
        return self._swallowed.last

    # -- where it stands --------------------------------------------------------------------

    @property
    def terminated_by(self) -> str | None:
        """Why the last call was refused, or passed a limit after the fact.

        None once one was admitted, and where a plugin refused.

        ``"budget_exhausted"``, ``"loop_detected"``, ``"velocity_exceeded"`` or ``"tripped"``.
        """
        return self._swallowed.terminated_by

    def _report(self) -> Steps[dict[str, Any]]:
        """The cost report: a plain dict that ``json.dumps`` takes; money in USD as float."""
        snapshot = yield from read_session(self._path)
        report = build_report(
            snapshot,
            account_views(snapshot, self._path),
            events=tuple(self._events),
            terminated_by=self.terminated_by,
            durability=self._ledger.store.durability,
        )
        ended_s = self._ledger.clock.now() if self._closed_s is None else self._closed_s
        duration_s = max(0.0, ended_s - self._opened_s)
        report |= {"duration_seconds": duration_s, "metadata": redacted(plain(self.metadata))}
        return report

    report, areport = blocking(_report), awaitable(_report)

    # -- its life ---------------------------------------------------------------------------

    def bind(self, function: F) -> F:
        """The same function, paid for by this session in whatever thread or task it runs.

        A thread begins without the session of the thread that starts it.

        Args:
            function: plain or async, a generator or an async generator.
        """
        return within(function, partial(nullcontext, self), context.paid_by)

    def _close(self) -> Steps[None]:
        """End the session; holds that are open still settle."""
        if next(self._closings):  # in one step, whoever else closes it now
            return
        self._closed_s = self._ledger.clock.now()
        self._ledger.queue(self._path).wake_all(self._path[-1].key)
        if not self._end_was_told:
            yield from self._tell_end()

    def _tell_end(self) -> Steps[None]:
        """Tell the plugins the report of the session, which has ended for now."""
        hooks, self._end_was_told = self._ledger.hooks, True
        if hooks.heard("bursar_session_closed"):
            try:
                report = yield from self._report()
            except StoreError as error:
                logger.error("the report of the session %r could not be read: %s", self.id, error)
            else:
                hooks.session_closed(report)

    close, aclose = blocking(_close), awaitable(_close)

    def __enter__(self) -> Session:
        if self._closed_s is not None:  # it may be entered again
            self._closed_s, self._closings = None, count()
        if self._cover is not None:
            context.count_inside(1)
            try:
                self._cover()
            except BaseException:
                context.count_inside(-1)
                raise
            remember_charges()
        self._entered += 1
        self._end_was_told = False
        context.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave():
            try:
                if self._ledger.hooks.heard("bursar_session_closed"):
                    self._ledger.run(self._tell_end())
            finally:
                self._end(error)

    async def __aenter__(self) -> Session:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave():
            try:
                if self._ledger.hooks.heard("bursar_session_closed"):
                    await self._ledger.arun(self._tell_end())
            finally:
                self._end(error)

    def _leave(self) -> bool:
        """True when it is entered nowhere else: the outermost ``with`` ends."""
        context.leave(self)
        self._entered -= 1
        if self._cover is not None:
            context.count_inside(-1)
        return not self._entered

    def _end(self, error: BaseException | None) -> None:
        """The outermost ``with`` ends: raise the refusal that was swallowed, unless it ends by an error."""
        if self._at_end is not None:
            self._at_end()
        refusal = self._swallowed.take_swallowed()
        untold = self._swallowed.take_untold()
        if refusal is not None and error is None:
            raise refusal
        if untold is not None and error is None:
            logger.warning("the last call of this session was refused: %s", untold)

    def __repr__(self) -> str:
        return f"<Session {redacted(self.id)!r}>"


def _over(its_ledger: weakref.ref[Ledger], key: str, born: int) -> None:
    """The last handle on a session is gone; a copy of it in a forked child says nothing."""
    ledger = its_ledger()
    if ledger is not None and born == fork.count:
        ledger.ended(key)


def current_session() -> Session | None:
    """The session that was entered last and not left in this context, else that of the process."""
    return cast("Session | None", context.current())


def session_of_process() -> Session | None:
    """The session that pays outside of every ``with``, in all threads; None: nobody pays."""
    return cast("Session | None", context.of_process())

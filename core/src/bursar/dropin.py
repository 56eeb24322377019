"""Two lines, no changes to the code: one budget for every client in the process."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar, cast

from . import coverage
from .budget import Budget
from .errors import BursarError, InvalidAmount
from .ledger.context import leave, paid_by, pays_for_process
from .runtime.functions import within
from .session import Session, current_session, session_of_process
from .values.limits import LimitLike
from .values.money import Money

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_lock = threading.RLock()
_opened: Session | None = None  # the session that init() has made, and teardown() closes


def init(*limits: LimitLike | Budget | Session, cover: bool = True, **settings: Any) -> Session:
    """Let one session pay for every OpenAI and Anthropic client in the process, in all threads.

    An SDK that is not imported yet is covered when it is; none is imported from here. Inside
    ``with session:`` the session of the ``with`` pays instead; a client of `wrap_client` always pays
    from its own. ``with bursar.init("$5"):`` calls `teardown` at its end.

    Args:
        limits: those of a new `Budget`; or a Budget, and perhaps limits of its session; or a Session.
        cover: False leaves the SDKs alone: wrapped clients charge, and what is said, as by `track`.
        settings: of a new Budget.

    Raises:
        BursarError: it was called before, without `teardown`; or an SDK is installed that
            nothing covers.
        InvalidAmount: a limit is not one.
        ValueError: a setting has a value that it cannot have, or a Budget or Session cannot take it any more.
    """
    with _lock:
        if session_of_process() is not None:
            raise BursarError("init() was called before; call teardown() first")
        session = _session(limits, settings, cover=cover)
        if session.covers:
            coverage.cover()
        pays_for_process(session)
        if not session._entered:
            session._at_end = teardown
    return session


def teardown() -> dict[str, Any] | None:
    """Undo `init`, and return the final report; None without `init`.

    The SDKs are restored, also those that ``with session:`` covered, unless a session is entered
    elsewhere. A Session that `init` was given stays open.
    """
    global _opened
    with _lock:
        session = session_of_process()
        if session is None:
            coverage.restore()
            return None
        pays_for_process(None)
        session._at_end = None
        if session.covers:
            coverage.uncover()
        coverage.restore()
        opened, _opened = _opened, None
    if opened is session:
        session.close()
    return session.report()


def bind(function: F) -> F:
    """The same function, paid for by whoever pays here, in whatever thread or task it runs.

    A thread begins without the session of the thread that starts it; see docs/concurrency.md.

    Args:
        function: plain or async, a generator or an async generator.

    Raises:
        BursarError: no session pays here.
    """
    return _paying().bind(function)


def get_session() -> Session | None:
    """The session that pays here: that of the innermost ``with``, else that of `init`."""
    return current_session()


def spent() -> Decimal:
    """USD that the session which pays here has spent.

    Raises:
        BursarError: there is none; likewise in `remaining` and `report`.
    """
    return _paying().spent


def remaining() -> Decimal | None:
    """USD left to it; None without a limit in USD."""
    return _paying().remaining


def report() -> dict[str, Any]:
    """Its cost report."""
    return _paying().report()


def track(result: T, cost: Money, tool_name: str | None = None) -> T:
    """Book the run of a tool, or anything else that has a price; see `Session.track`."""
    return _paying().track(result, cost, tool_name)


def budgeted(*limits: LimitLike, **settings: Any) -> Callable[[F], F]:
    """A decorator: each call of the function has a session of its own, with these limits.

    Takes the same arguments as `Budget`. While the function runs, the SDKs are covered and its
    session is the current one. Plain and async functions and generators.

    Raises:
        InvalidAmount: a limit is not one.
        ValueError: a setting has a value that it cannot have.
    """
    if limits and inspect.isfunction(limits[0]):
        raise InvalidAmount("@budgeted takes its limit in parentheses: @budgeted('$0.10')")
    budget = Budget(*limits, **settings)

    def decorate(function: F) -> F:
        return within(function, partial(_run_of, budget), paid_by)

    return decorate


@contextmanager
def _run_of(budget: Budget) -> Iterator[Session]:
    """A session for one run, and the SDKs covered; it is the current one in the steps of the run only."""
    coverage.cover()
    try:
        with budget.session() as session:
            leave(session)
            yield session
    finally:
        coverage.uncover()


def _session(
    given: tuple[LimitLike | Budget | Session, ...], settings: dict[str, Any], *, cover: bool
) -> Session:
    """The session that is given, or a new one of the budget or the limits that are."""
    global _opened  # noqa: PLW0603 - the state of the process
    first, more = (given[0], given[1:]) if given else (None, ())
    if isinstance(first, Session) and (more or settings or not cover):
        raise ValueError("init(session) takes nothing else: the session has its limits and settings")
    if isinstance(first, Budget) and settings:
        raise ValueError(f"init(budget) takes no {', '.join(settings)}: the budget has its settings")
    if isinstance(first, Session):
        return first
    budget = first if isinstance(first, Budget) else Budget(*cast("tuple[LimitLike, ...]", given), **settings)
    own = cast("tuple[LimitLike, ...]", more) if budget is first else ()
    _opened = budget.session(*own, cover=cover)
    return _opened


def _paying() -> Session:
    session = current_session()
    if session is None:
        raise BursarError("no session pays here; call bursar.init() first, or enter one with `with session:`")
    return session

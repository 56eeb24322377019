"""Two lines, no changes to the code: one budget for every client in the process."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar, cast

from . import coverage
from .budget import Budget
from .errors import BursarError, InvalidAmount
from .ledger.context import pays_for_process
from .session import Session, current_session, session_of_process
from .values.limits import LimitLike
from .values.money import Money

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_lock = threading.RLock()


def init(*limits: LimitLike, **settings: Any) -> Session:
    """Let one session pay for every OpenAI and Anthropic client in the process, in all threads.

    Takes the same arguments as `Budget`. Inside ``with session:`` the session of the ``with``
    pays instead; a client of `wrap_client` always pays from its own.

    Raises:
        BursarError: it was called before, without `teardown`; or an SDK is installed that
            nothing covers.
        InvalidAmount: a limit is not one.
        ValueError: a setting has a value that it cannot have.
    """
    with _lock:
        if session_of_process() is not None:
            raise BursarError("init() was called before; call teardown() first")
        session = Budget(*limits, **settings).session()
        coverage.cover()
        pays_for_process(session)
    return session


def teardown() -> dict[str, Any] | None:
    """Undo `init`: restore the SDKs, and return the final report; None without `init`."""
    with _lock:
        session = session_of_process()
        if session is None:
            return None
        pays_for_process(None)
        coverage.uncover()
    session.close()
    return session.report()


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
        if inspect.isasyncgenfunction(function):
            runner = _stream_async
        elif inspect.isgeneratorfunction(function):
            runner = _stream
        elif inspect.iscoroutinefunction(function):
            runner = _run_async
        else:
            runner = _run
        return cast("F", runner(function, budget))

    return decorate


# -- functions of each kind --------------------------------------------------------------------


def _run(function: Callable[..., Any], budget: Budget) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with _covered(budget) as session, session:
            return function(*args, **kwargs)

    return run


def _run_async(function: Callable[..., Any], budget: Budget) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        with _covered(budget) as session, session:
            return await function(*args, **kwargs)

    return run


def _stream(function: Callable[..., Any], budget: Budget) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with _covered(budget) as session:
            with session:
                body = function(*args, **kwargs)
            resume, value = body.send, None
            while True:
                with session:  # not the consumer's while the generator waits
                    try:
                        item = resume(value)
                    except StopIteration as end:
                        return end.value
                try:
                    resume, value = body.send, (yield item)
                except GeneratorExit:
                    with session:
                        body.close()
                    raise
                except BaseException as error:
                    resume, value = body.throw, error

    return run


def _stream_async(function: Callable[..., Any], budget: Budget) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with _covered(budget) as session:
            with session:
                body = function(*args, **kwargs)
            resume, value = body.asend, None
            while True:
                with session:
                    try:
                        item = await resume(value)
                    except StopAsyncIteration:
                        return
                try:
                    resume, value = body.asend, (yield item)
                except GeneratorExit:
                    with session:
                        await body.aclose()
                    raise
                except BaseException as error:
                    resume, value = body.athrow, error

    return run


@contextmanager
def _covered(budget: Budget) -> Iterator[Session]:
    """A session of its own, and the SDKs covered."""
    coverage.cover()
    try:
        yield budget.session()
    finally:
        coverage.uncover()


def _paying() -> Session:
    session = current_session()
    if session is None:
        raise BursarError("no session pays here; call bursar.init() first, or enter one with `with session:`")
    return session

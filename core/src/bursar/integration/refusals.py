"""Raise an error in a class that a framework lets through; guard hooks before and after a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar, cast

from ..errors import BursarError
from ..runtime.log import logger

C = TypeVar("C", bound=Callable[..., Any])

_classes: dict[tuple[type[BursarError], type[BaseException]], type[BursarError]] = {}


def raised_as(error: BursarError, mixin: type[BaseException]) -> BursarError:
    """For integrations: the same error, with all it knows, in a class that is also a `mixin`.

    Frameworks retry whatever looks like a failure, or make a message of it for the model. A
    mixin that has one of the bases which they exempt gets a refusal through to the caller.
    What comes back is still a `BudgetExceeded`, `UnknownModel` and so on, and survives
    ``pickle`` and ``copy``, if the mixin can be imported by its name.

    Args:
        error: what the core raised; itself returned if it is a `mixin` already.
        mixin: an exception class that is made of a message.
    """
    if isinstance(error, mixin):
        return error
    twin = _rebuild(type(error), mixin, error.args)
    twin.__dict__.update(error.__dict__)
    return twin.with_traceback(error.__traceback__)


def _rebuild(kind: type[BursarError], mixin: type[BaseException], args: tuple[Any, ...]) -> BursarError:
    made = _classes.get((kind, mixin))
    if made is None:

        def reduce(twin: BursarError) -> tuple[Any, ...]:
            return _rebuild, (kind, mixin, twin.args), twin.__dict__

        members = {"__module__": mixin.__module__, "__doc__": kind.__doc__, "__reduce__": reduce}
        made = _classes.setdefault((kind, mixin), type(kind.__name__, (kind, mixin), members))
    return made(*args)


def never_breaks(hook: C) -> C:
    """For integrations: a hook of theirs that a framework calls after the call, or beside it; async, too.

    The answer is paid for, so nothing may take it away: what goes wrong in the hook is logged.
    """
    return _within(hook, lambda: _log(hook.__name__))


def fails_closed(mixin: type[BaseException]) -> Callable[[C], C]:
    """For integrations: a hook of theirs before a call, async, too. If it fails, the call is not made.

    An error of ours, and a bug of the hook's as a `BursarError`, is raised in a class that is also a `mixin`.

    Args:
        mixin: what the framework lets through; see `raised_as`.
    """
    return lambda hook: _within(hook, lambda: _convert(hook.__name__, mixin))


@contextmanager
def _log(name: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.exception("%s failed; what it left open is booked when its lease ends", name)


@contextmanager
def _convert(name: str, mixin: type[BaseException]) -> Iterator[None]:
    try:
        yield
    except BursarError as error:
        raise raised_as(error, mixin) from error.__cause__
    except Exception as error:
        failed = BursarError(
            f"{name} of the budget failed ({type(error).__name__}), so that the call was not made;"
            " the cause has the details"
        )
        raise raised_as(failed, mixin) from error


def _within(hook: C, guard: Callable[[], AbstractContextManager[None]]) -> C:
    """The hook, each run of it inside such a context."""

    @wraps(hook)
    def method(*args: Any, **kwargs: Any) -> Any:
        with guard():
            return hook(*args, **kwargs)

    @wraps(hook)
    async def amethod(*args: Any, **kwargs: Any) -> Any:
        with guard():
            return await hook(*args, **kwargs)

    return cast("C", amethod if iscoroutinefunction(hook) else method)

"""Errors in classes that a framework lets through, and hooks of a framework that let none through."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from ..errors import BursarError
from ..runtime.log import logger

F = TypeVar("F", bound=Callable[..., None])
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


def never_breaks(hook: F) -> F:
    """For integrations: a hook of theirs that a framework calls after the call, or beside it.

    The answer is paid for, so nothing may take it away: what goes wrong in the hook is logged.
    """

    @wraps(hook)
    def method(*args: Any, **kwargs: Any) -> None:
        try:
            hook(*args, **kwargs)
        except Exception:
            logger.exception("%s failed; what it left open is booked when its lease ends", hook.__name__)

    return cast("F", method)


def fails_closed(mixin: type[BaseException]) -> Callable[[C], C]:
    """For integrations: a hook of theirs before a call. Whatever goes wrong in it, the call is not made.

    An error of ours, and a bug of the hook's as a `BursarError`, is raised in a class that is also a `mixin`.

    Args:
        mixin: what the framework lets through; see `raised_as`.
    """

    def decorate(hook: C) -> C:
        @wraps(hook)
        def method(*args: Any, **kwargs: Any) -> Any:
            try:
                return hook(*args, **kwargs)
            except BursarError as error:
                raise raised_as(error, mixin) from error.__cause__
            except Exception as error:
                failed = BursarError(
                    f"{hook.__name__} of the budget failed ({type(error).__name__}), so that the call was"
                    " not made; the cause has the details"
                )
                raise raised_as(failed, mixin) from error

        return cast("C", method)

    return decorate

"""Refusals that LangChain and LangGraph let through.

Both frameworks retry, or turn into a message for the model, whatever looks like a
failure of the call. Two of their own base classes are exempt: `ModelError`, which
says by itself whether a retry makes sense, and `GraphBubbleUp`, which LangGraph uses
for its own control flow. A refusal that has both passes all of them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core import exceptions

from bursar import BursarError
from bursar.integration import raised_as

F = TypeVar("F", bound=Callable[..., None])


def _transparent() -> tuple[type[Exception], ...]:
    bases: list[type[Exception]] = []
    if (model_error := getattr(exceptions, "ModelError", None)) is not None:  # langchain-core 1.6
        bases.append(model_error)
    if find_spec("langgraph") is not None:
        from langgraph.errors import GraphBubbleUp

        bases.append(GraphBubbleUp)
    return tuple(bases) or (Exception,)


if TYPE_CHECKING:

    class _Transparent(Exception):
        pass
else:
    _Transparent = type("_Transparent", _transparent(), {"__module__": __name__})


class LangChainRefusal(_Transparent):
    """Mixed into every error that `BudgetCallback` raises, beside the error's own class.

    What is raised is also a `bursar.BudgetExceeded`, `bursar.UnknownModel` and so on, with
    all of its attributes: catch those, as everywhere else.

    Attributes:
        is_retryable: False: the same request would be refused again.
    """

    is_retryable = False


def _is_no_refusal(_: logging.LogRecord) -> bool:
    return not isinstance(sys.exc_info()[1], LangChainRefusal)


# LangChain warns of each handler that raises. A refusal is meant, and its caller gets it.
logging.getLogger("langchain_core.callbacks.manager").addFilter(_is_no_refusal)


def as_refusal(error: BursarError) -> BursarError:
    """The same error, with the same attributes, in a class that the frameworks let through."""
    return raised_as(error, LangChainRefusal)


def fails_closed(hook: F) -> F:
    """A hook before the call: whatever goes wrong in it, the call is not made, and nobody hides that."""

    @wraps(hook)
    def method(*args: Any, **kwargs: Any) -> None:
        try:
            hook(*args, **kwargs)
        except BursarError as error:
            raise as_refusal(error) from error.__cause__
        except Exception as error:
            raise as_refusal(
                BursarError(
                    f"{hook.__name__} of the budget failed ({type(error).__name__}), so that the call was"
                    " not made; the cause has the details"
                )
            ) from error

    return cast("F", method)

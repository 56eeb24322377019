"""Refusals that LangChain and LangGraph let through.

Both frameworks retry, or turn into a message for the model, whatever looks like a
failure of the call. Two of their own base classes are exempt: `ModelError`, which
says by itself whether a retry makes sense, and `GraphBubbleUp`, which LangGraph uses
for its own control flow. A refusal that has both passes all of them.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from langchain_core import exceptions

from bursar import BursarError


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

    def __reduce__(self) -> tuple[Any, ...]:
        kind = type(self).__bases__[0]
        return _rebuild, (kind, self.args), self.__dict__


_classes: dict[type[BursarError], type[BursarError]] = {}


def _rebuild(kind: type[BursarError], args: tuple[Any, ...]) -> BursarError:
    refusal = _classes.get(kind)
    if refusal is None:
        members = {"__module__": __name__, "__doc__": kind.__doc__}
        refusal = _classes.setdefault(kind, type(kind.__name__, (kind, LangChainRefusal), members))
    return refusal(*args)


def as_refusal(error: BursarError) -> BursarError:
    """The same error, with the same attributes, in a class that the frameworks let through."""
    if isinstance(error, LangChainRefusal):
        return error
    refusal = _rebuild(type(error), error.args)
    refusal.__dict__.update(error.__dict__)
    return refusal.with_traceback(error.__traceback__)

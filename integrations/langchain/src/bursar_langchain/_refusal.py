"""Refusals that LangChain and LangGraph let through.

Both frameworks retry, or turn into a message for the model, whatever looks like a
failure of the call. Two of their own base classes are exempt: `ModelError`, which
says by itself whether a retry makes sense, and `GraphBubbleUp`, which LangGraph uses
for its own control flow. A refusal that has both passes all of them.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from langchain_core import exceptions

from bursar import BursarError
from bursar.integration import raised_as


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


def as_refusal(error: BursarError) -> BursarError:
    """The same error, with the same attributes, in a class that the frameworks let through."""
    return raised_as(error, LangChainRefusal)

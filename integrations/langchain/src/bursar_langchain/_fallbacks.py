"""The ways in which one step of an agent may still be paid, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from bursar import BudgetExceeded, Session

from ._attempt import Attempt
from ._caps import Lowered
from ._refusal import as_refusal

if TYPE_CHECKING:
    from langchain.agents.middleware.types import ModelRequest

    from ._adapter import BudgetCallback

_ROOM = 256  # output tokens that a step needs at the least: a call of a tool that is cut off is lost
_FINALLY = (
    "The budget is nearly used up: this is the last answer that it pays for, and no more tools can be called."
    " Give your final answer now, briefly, with what you know."
)


class Fallbacks:
    """Iterate over it, and make the call inside each attempt until one is not refused.

    The call as it is, perhaps with a lower output cap; the same with the fallback model; and,
    if the budget keeps a finalization reserve, a final answer without tools.

    Args:
        handler: the one that pays.
        request: the step.
        fallback: a cheaper model, or None.
        denied: why a tool was refused that the agent is to end on: then only the final answer is left.

    Attributes:
        refusal: the last one.
        session: whose it was, or None when no handler of ours raised it.
    """

    refusal: BudgetExceeded
    session: Session | None = None

    def __init__(
        self,
        handler: BudgetCallback,
        request: ModelRequest,
        fallback: BaseChatModel | None,
        denied: str | None = None,
    ) -> None:
        self._handler = handler
        self._request: Any = request
        self._fallback = fallback
        self._denied = denied
        if denied is not None:
            self.refusal = cast("BudgetExceeded", as_refusal(BudgetExceeded(denied)))
            self.session = handler.payee if isinstance(handler.payee, Session) else None

    def __iter__(self) -> Iterator[Attempt]:
        request = self._request
        if self._denied is None:
            yield from self._asked(request, _ROOM)
            if self._fallback is not None:
                request = request.override(model=self._fallback)
                yield from self._asked(request, _ROOM)
        if self.session is not None and self.session.keeps_reserve:
            messages = [*request.messages, HumanMessage(_FINALLY)]
            final = request.override(messages=messages, tools=[], tool_choice=None)
            yield from self._asked(final, 1, self.session)

    def refused(self, attempt: Attempt, refusal: BudgetExceeded | Lowered) -> None:
        """An attempt ended so; on with the next one. Raises: the refusal, if it is about another's money."""
        if attempt.is_of_another(refusal):
            raise refusal
        if isinstance(refusal, BudgetExceeded):
            self.refusal = refusal

    def _asked(self, request: Any, least: int, finalizing: Session | None = None) -> Iterator[Attempt]:
        attempt = Attempt(request, self._handler, least=least, finalizing=finalizing)
        yield attempt
        if attempt.lowered is not None:
            request = request.override(model_settings={**request.model_settings, **attempt.lowered})
            attempt = Attempt(request, self._handler, finalizing=finalizing)
            yield attempt
        self.session = attempt.session

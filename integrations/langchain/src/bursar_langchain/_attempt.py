"""One try to make a call, between the middleware that may change it and the handler that pays."""

from __future__ import annotations

from contextlib import ExitStack
from contextvars import ContextVar
from typing import Any, Protocol, cast

from langchain_core.callbacks import BaseCallbackHandler

from bursar import Budget, BudgetExceeded, BursarError, Session

from ._caps import Lowered
from ._coverage import covered_by

_attempt: ContextVar[Attempt | None] = ContextVar("bursar_langchain_attempt", default=None)


class PayingHandler(Protocol):
    """A callback handler that charges a payee."""

    @property
    def payee(self) -> Session | Budget: ...


class Attempt:
    """A context manager: what is called inside has the handler, and its refusal is noted here.

    Args:
        request: the step of the agent, for its maker.
        handler: the one that pays.
        least: the smallest output cap that is of use; None when the cap must stay.
        finalizing: the session whose finalization reserve may be spent, or None.

    Attributes:
        session: whose refusal ended the attempt, or None.
        lowered: what to pass to the model so that the call fits, or None.
        outer: the attempt around this one, of another middleware or agent, or None.
    """

    def __init__(
        self,
        request: Any,
        handler: PayingHandler,
        *,
        least: int | None = None,
        finalizing: Session | None = None,
    ) -> None:
        self.request = request
        self.least = least
        self.session: Session | None = None
        self.lowered: dict[str, int] | None = None
        self.outer: Attempt | None = None
        self._handler = handler
        self._finalizing = finalizing
        self._raised: list[BursarError] = []
        self._inside = ExitStack()

    def lower(self, name: str, granted: int) -> None:
        """Ask for the call anew with the cap that was granted. Raises: `Lowered`, if that is of any use."""
        if self.least is not None and granted >= self.least:
            self.lowered = {name: granted}
            raise Lowered(f"the call fits with at most {granted} output tokens")

    def note(self, error: BursarError, session: Session) -> None:
        """The handler is about to raise this inside."""
        self._raised.append(error)
        if isinstance(error, BudgetExceeded):
            self.session = session

    def is_of_another(self, refusal: BursarError) -> bool:
        """True when an attempt around this one has to deal with it: it is about that one's money."""
        outer = self.outer
        while outer is not None:
            if any(raised is refusal for raised in outer._raised):
                return True
            outer = outer.outer
        return False

    def __enter__(self) -> Attempt:
        self.outer = _attempt.get()
        self._inside.enter_context(covered_by(cast("BaseCallbackHandler", self._handler)))
        if self._finalizing is not None:
            self._inside.enter_context(self._finalizing.finalize())
        self._inside.callback(_attempt.reset, _attempt.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        self._inside.close()


def attempt_of(payee: Session | Budget) -> Attempt | None:
    """The innermost attempt that this thread or task is in, of those that pay to the payee."""
    attempt = _attempt.get()
    while attempt is not None and attempt._handler.payee is not payee:
        attempt = attempt.outer
    return attempt

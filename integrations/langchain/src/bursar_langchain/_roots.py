"""The outermost runs that a handler sees: within one of them a refusal is told once."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from contextvars import ContextVar
from uuid import UUID

from bursar.integration import Run as FrameworkRun
from bursar.integration import never_breaks

from ._lock import Lock

_KEPT = 10_000  # LangChain does not tell the end of every run


class _Outermost(FrameworkRun):
    """A run that the caller started.

    Attributes:
        of: whose it is.
        id: LangChain's id of it.
        call: what the models of one ``generate()`` share; None for anything but a model.
        around: the outermost run, perhaps of another handler, that this context was in before.
    """

    def __init__(self, of: Roots, id: UUID, call: object) -> None:
        super().__init__()
        self.of = of
        self.id = id
        self.call = call
        self.around = _here.get()
        _here.set(self)


_here: ContextVar[_Outermost | None] = ContextVar("bursar_langchain_root", default=None)


class Roots:
    """Opens a run of the framework at its outermost start, and closes it at its end.

    Args:
        on_end: is told the id of each outermost run that is over.
    """

    def __init__(self, on_end: Callable[[UUID], None]) -> None:
        self._lock = Lock()
        self._of: dict[UUID, UUID] = {}  # the outermost run around each one, by their ids
        self._open: dict[UUID, _Outermost] = {}
        self._on_end = on_end

    def start(self, run_id: UUID, parent: UUID | None, call: object = None) -> UUID:
        """A run begins.

        Args:
            run_id: LangChain's id of it.
            parent: that of the run it belongs to.
            call: what a model shares with the others of one ``generate()``; None for anything else.

        Returns:
            The id of the outermost run around it.
        """
        with self._lock:
            known = self._open.get(self._of.get(parent or run_id, run_id))
        if known is None:
            known = self._around(call)
        if known is not None:
            known.enter()
        elif parent is None:
            known = self._open[run_id] = _Outermost(self, run_id, call)
        else:
            return parent  # the outermost run has no such handler: nobody tells of its end
        with self._lock:
            self._of[run_id] = known.id
            if len(self._of) > _KEPT:
                self._open.pop(self._of.pop(next(iter(self._of))), None)
        return known.id

    @never_breaks
    def end(self, run_id: UUID, error: BaseException | None = None) -> None:
        """A run is over, normally or by an error."""
        with self._lock:
            root = self._of.pop(run_id, run_id)
            run = self._open.get(root)
            if run is None or not (root == run_id or (error is not None and run.call is not None)):
                return  # one of several calls of a `generate()` ends all of them by its error
            del self._open[root]
        run.close(error)
        self._on_end(root)

    def _around(self, call: object) -> _Outermost | None:
        """The open run that this context is in: `with_fallbacks` does not name itself as a parent."""
        run = _here.get()
        while run is not None and not (run.open and run.of is self):
            run = run.around
        if run is not None and run.call is not None and run.call is not call:
            self.end(run.id, CancelledError())  # a model, which LangChain told no end of
            return self._around(call)
        return run

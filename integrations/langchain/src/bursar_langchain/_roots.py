"""The outermost runs that a handler sees: within one of them a refusal is told once."""

from __future__ import annotations

from uuid import UUID

from bursar.integration import Run as FrameworkRun
from bursar.integration import never_breaks

from ._lock import Lock

_KEPT = 10_000  # LangChain does not tell the end of every run


class Roots:
    """Opens a run of the framework at its outermost start, and closes it at its end."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._of: dict[UUID, UUID] = {}  # the outermost run around each one, by their ids
        self._open: dict[UUID, FrameworkRun] = {}

    def start(self, run_id: UUID, parent: UUID | None) -> UUID:
        """A run begins. Returns: the id of the outermost one around it."""
        with self._lock:
            root = run_id if parent is None else self._of.get(parent, run_id)
            self._of[run_id] = root
            if len(self._of) > _KEPT:
                self._open.pop(self._of.pop(next(iter(self._of))), None)
            known = self._open.get(root)
        if known is None:
            self._open[root] = FrameworkRun()
        else:
            known.enter()
        return root

    @never_breaks
    def end(self, run_id: UUID, error: BaseException | None = None) -> None:
        """A run is over, normally or by an error."""
        with self._lock:
            self._of.pop(run_id, None)
            run = self._open.pop(run_id, None)
        if run is not None:
            run.close(error)

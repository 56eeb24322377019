"""The outermost runs that an adapter sees: within one of them a refusal is told once."""

from __future__ import annotations

from collections.abc import Hashable

from ..ledger.swallowed import Run
from .lock import Lock
from .refusals import never_breaks

_KEPT = 10_000  # frameworks do not tell the end of every run


class Runs:
    """Opens a `Run` at the outermost start, and closes it at its end. Safe for threads and tasks."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._outermost: dict[Hashable, Hashable] = {}  # the run around each one
        self._open: dict[Hashable, Run] = {}

    def start(self, key: Hashable, parent: Hashable | None = None) -> Hashable:
        """A run begins, in the context of all that it does.

        Args:
            key: the framework's id of it.
            parent: that of the run which started it; None: nobody did.

        Returns:
            The key of the outermost run around it.
        """
        with self._lock:
            outermost = key if parent is None else self._outermost.get(parent, key)
            self._outermost[key] = outermost
            if len(self._outermost) > _KEPT:
                oldest = next(iter(self._outermost))
                del self._outermost[oldest]
                self._open.pop(oldest, None)
            known = self._open.get(outermost)
        if known is None:
            self._open[outermost] = Run()
        else:
            known.enter()
        return outermost

    @never_breaks
    def end(self, key: Hashable, error: BaseException | None = None) -> None:
        """A run is over, normally or by an error; does nothing the second time."""
        with self._lock:
            self._outermost.pop(key, None)
            run = self._open.pop(key, None)
        if run is not None:
            run.close(error)

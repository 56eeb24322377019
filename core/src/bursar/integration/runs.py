"""The outermost runs that an adapter sees: within one of them a refusal is told once."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Hashable

from ..ledger.swallowed import Run, current_run
from .lock import Lock
from .refusals import never_breaks

_KEPT = 10_000  # frameworks do not tell the end of every run


class _Outermost(Run):
    """A run that the caller started, as an adapter sees it.

    Attributes:
        of: whose it is.
        key: the framework's id of it.
        call: what the calls share that the run consists of; None for anything but a call.
    """

    def __init__(self, of: Runs, key: Hashable, call: object) -> None:
        super().__init__()
        self.of = of
        self.key = key
        self.call = call


class Runs:
    """Opens a `Run` at the outermost start, and closes it at its end. Safe for threads and tasks.

    Args:
        on_end: is told the key of each outermost run that is over.
    """

    def __init__(self, on_end: Callable[[Hashable], None] | None = None) -> None:
        self._lock = Lock()
        self._outermost: dict[Hashable, Hashable] = {}  # the run around each one
        self._open: dict[Hashable, _Outermost] = {}
        self._on_end = on_end

    def start(self, key: Hashable, parent: Hashable | None = None, call: object = None) -> Hashable:
        """A run begins, in the context of all that it does.

        Args:
            key: the framework's id of it.
            parent: that of the run which started it. None: nobody is named; then it belongs to the run of
                this adapter that the context is in, if there is one.
            call: where it is a single call, what it shares with those that are made together with it. The
                first error of one ends them all, and the next call of the context is another run.

        Returns:
            The key of the outermost run around it. Where that was not heard, nobody tells of its end: it is
            no run of this adapter, and its key is taken to be that of the parent.
        """
        with self._lock:
            known = self._open.get(self._outermost.get(key if parent is None else parent, key))
        if known is None:
            known = self._around(call)
        if known is not None:
            known.enter()
        elif parent is None:
            known = self._open[key] = _Outermost(self, key, call)
        else:
            return parent
        with self._lock:
            self._outermost[key] = known.key
            if len(self._outermost) > _KEPT:
                self._open.pop(self._outermost.pop(next(iter(self._outermost))), None)
        return known.key

    @never_breaks
    def end(self, key: Hashable, error: BaseException | None = None, *, began: bool = True) -> None:
        """A run is over, normally or by an error; does nothing the second time.

        Args:
            key: the framework's id of it.
            error: what it ended by, if it did not end normally.
            began: False where it was prevented after its start was told: `on_end` is not told.
        """
        with self._lock:
            outermost = self._outermost.pop(key, key)
            run = self._open.get(outermost)
            if run is None or not (outermost == key or (error is not None and run.call is not None)):
                return  # one of several calls that were made together ends all of them by its error
            del self._open[outermost]
        run.close(error)
        if began and self._on_end is not None:
            self._on_end(outermost)

    def _around(self, call: object) -> _Outermost | None:
        """The open run of this adapter that the context is in."""
        run = current_run()
        while run is not None and not (run.open and isinstance(run, _Outermost) and run.of is self):
            run = run.outer
        if run is not None and run.call is not None and run.call is not call:
            self.end(run.key, CancelledError())  # a call, which the framework told no end of
            return self._around(call)
        return run

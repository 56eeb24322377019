"""A lock between processes, first come, first served."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from .folder import open_private
from .queue import Queue

fcntl: Any
try:
    import fcntl
except ModuleNotFoundError:  # pragma: no cover - Windows: SQLite's own waiting has to do, which is not fair
    fcntl = None

_PATIENCE_S, _AGAIN_S = 0.5, 0.02
_IDLE_S = 1


class Lock:
    """The system's lock of a file: it opens when a process ends, however that ends.

    One thread of a process at a time may use it. Nobody can leave the system's waiting in time, so that a
    worker has to wait there; what the worker gets too late it gives back at once. Whoever stood in the
    queue for long also tries without it: a process that was stopped there must not stop all others.

    Args:
        path: of what is locked; the files that are there for it alone are named after it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._queue: Queue | None = None
        self._changed = threading.Condition()
        self._standing = self._wanted = False  # the worker does; a thread wants it, or has it
        self._worker: threading.Thread | None = None

    def __del__(self) -> None:
        self._close()

    def take(self, deadline: float) -> bool:
        """Lock it; False where that was not possible in time. In either case, `leave` it afterwards.

        Args:
            deadline: of the monotonic clock.
        """
        if fcntl is None:
            return True
        if self._queue is None:
            self._close()
            self._file = open_private(f"{self._path}-lock")
            self._queue = Queue(f"{self._path}-queue")
        at_once = not self._standing and self._queue.empty() and self._try()
        return at_once or self._wait(self._queue, deadline)

    def leave(self) -> None:
        """Open it, or do not want it any more."""
        if self._file >= 0:
            with self._changed:
                self._wanted = False
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def renew(self) -> None:
        """In a forked child: its parent's worker is not here, and its parent's files are not its own."""
        self._close()
        self._changed = threading.Condition()
        self._standing = self._wanted = False
        self._worker = None

    def _close(self) -> None:
        if self._queue is not None:
            self._queue.close()
        if self._file >= 0:
            os.close(self._file)
        self._file, self._queue = -1, None

    def _try(self) -> bool:
        """Lock it if that can be at once, or has been."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    # -- waiting -----------------------------------------------------------------------------

    def _wait(self, queue: Queue, deadline: float) -> bool:
        patience_s = _PATIENCE_S
        with self._changed:
            self._wanted = True
            while (left_s := deadline - time.monotonic()) > 0:
                if not self._send(queue):
                    patience_s = _AGAIN_S
                if not self._changed.wait_for(lambda: not self._standing, min(left_s, patience_s)):
                    patience_s = _AGAIN_S
                if self._try():
                    return True
        return False

    def _send(self, queue: Queue) -> bool:
        """Have the worker wait; False where there can be none any more, as the interpreter is ending."""
        self._standing = True
        self._changed.notify_all()
        if self._worker is None:
            worker = threading.Thread(
                target=self._work, args=(queue,), name="bursar-sqlite-lock", daemon=True
            )
            try:
                worker.start()
            except RuntimeError:
                return False
            self._worker = worker
        return True

    def _work(self, queue: Queue) -> None:
        while self._sent():
            number = queue.stand()
            fcntl.flock(self._file, fcntl.LOCK_EX)
            queue.leave(number)
            with self._changed:
                self._standing = False
                if not self._wanted:
                    fcntl.flock(self._file, fcntl.LOCK_UN)
                self._changed.notify_all()

    def _sent(self) -> bool:
        """Wait to be sent; False for a worker that is not needed."""
        with self._changed:
            if self._worker is not threading.current_thread():  # an interrupt came when it was started
                return False
            if self._changed.wait_for(lambda: self._standing, _IDLE_S):
                return True
            self._worker = None
            return False

"""FIFO ticket lock: each waiter locks byte n of a file and waits for byte n-1."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from typing import Any

from .folder import open_private

fcntl: Any
with suppress(ModuleNotFoundError):  # on Windows
    import fcntl

_NUMBERS = 1 << 30
_SIZE = 8  # bytes of the next number; those that are locked come after them


class Queue:
    """Whoever comes takes a number, locks the byte of that number, and waits for the byte before it.

    Order is all that it keeps: who is at its head still has to take the lock. So it may fail in any way,
    and the byte of a process that ended is opened by the system.

    Args:
        path: of a file of its own: on some systems a lock of a byte and one of its file exclude each other.
    """

    def __init__(self, path: str) -> None:
        self._file = open_private(path)

    def empty(self) -> bool:
        """Whether nobody stands in it."""
        last = self._next() - 1
        try:
            self._lock(last, wait=False)
        except OSError:
            return False
        self._open(last)
        return True

    def stand(self) -> int:
        """Wait until all who came before have left; the number to leave with."""
        number = 0
        with suppress(OSError):
            self._control(fcntl.F_WRLCK, 0, _SIZE)
            try:
                number = self._next()
                os.pwrite(self._file, ((number + 1) % _NUMBERS).to_bytes(_SIZE, "little"), 0)
                self._lock(number)
            finally:
                self._control(fcntl.F_UNLCK, 0, _SIZE)
            self._lock(number - 1)
            self._open(number - 1)
        return number

    def leave(self, number: int) -> None:
        """Let the next one come to the head."""
        with suppress(OSError):
            self._open(number)

    def close(self) -> None:
        """Close its file, and with it open every byte that this process has locked."""
        os.close(self._file)

    def _next(self) -> int:
        return int.from_bytes(os.pread(self._file, _SIZE, 0), "little") % _NUMBERS

    def _lock(self, number: int, *, wait: bool = True) -> None:
        self._control(fcntl.F_WRLCK, _SIZE + number % _NUMBERS, 1, wait=wait)

    def _open(self, number: int) -> None:
        self._control(fcntl.F_UNLCK, _SIZE + number % _NUMBERS, 1)

    def _control(self, kind: int, start: int, length: int, *, wait: bool = True) -> None:
        """Lock or open bytes for this open file, not for the process as `fcntl.lockf` does.

        Two that a process has of one queue would otherwise open each other's bytes.
        """
        if not hasattr(fcntl, "F_OFD_SETLK"):  # pragma: no cover - macOS, where it costs the order
            kind = {fcntl.F_WRLCK: fcntl.LOCK_EX, fcntl.F_UNLCK: fcntl.LOCK_UN}[kind]
            fcntl.lockf(self._file, kind | (0 if wait else fcntl.LOCK_NB), length, start)
        else:
            command = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
            fcntl.fcntl(self._file, command, struct.pack("hhqqi0q", kind, os.SEEK_SET, start, length, 0))

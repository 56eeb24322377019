"""What a test left: open sockets, and by them servers, clients, event loops and stores; and files."""

from __future__ import annotations

import functools
import gc
import socket
import threading
import time
from pathlib import Path
from typing import Any
from weakref import ref

_OPENED: list[ref[socket.socket]] = []


def watch() -> None:
    """Remember each socket that is made from now on."""
    make = socket.socket.__init__

    @functools.wraps(make)
    def noted(self: socket.socket, *args: Any, **named: Any) -> None:
        make(self, *args, **named)
        _OPENED.append(ref(self))

    socket.socket.__init__ = noted  # type: ignore[method-assign]


def begin() -> None:
    """What was opened up to here is not the next test's."""
    _OPENED.clear()


def give_up_bookings() -> None:
    """What waits for a server that is gone waits in a thread, which keeps its store."""
    for thread in threading.enumerate():
        work = getattr(thread, "_target", None)  # absent when it ends
        if work is None or thread.name != "bursar-outbox" or work.__self__._deliverer is not thread:
            continue
        wake = work.__self__._wake
        work.__self__.renew()
        wake.set()
        del work
        thread.join(5)


def still_open(wait_s: float = 2) -> list[socket.socket]:
    """The sockets of a test that is over, when what it dropped is collected as well.

    A thread that serves closes its side when it hears that the client has gone, a moment later.
    """
    if not _still_open():
        return []
    gc.collect()
    deadline = time.monotonic() + wait_s
    while _still_open() and time.monotonic() < deadline:
        time.sleep(0.005)
    return _still_open()


def _still_open() -> list[socket.socket]:
    alive = (opened() for opened in tuple(_OPENED))
    return [made for made in alive if made is not None and made.fileno() != -1]


def new_files() -> list[str]:
    """What has come into the directory that the tests were started in, told once; hidden files are their tools'."""
    made = [name for name in _visible() if name not in _files]
    _files.update(made)
    return made


def _visible() -> list[str]:
    return [path.name for path in _where.iterdir() if not path.name.startswith((".", "__"))]


_where = Path.cwd()
_files = set(_visible())

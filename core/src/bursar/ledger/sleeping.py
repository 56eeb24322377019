"""How a call sleeps while it waits: a thread, or a task of asyncio; no other event loop ever stands still."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from .queue import Waiter

if TYPE_CHECKING:
    import asyncio


def pause(waiter: Waiter, pause_s: float) -> bool:
    """Sleep until it is woken, or so many seconds; False, at once, in a running event loop."""
    if in_event_loop():
        return False
    gate = threading.Lock()  # bare: a finaliser may open it whatever its thread is doing
    gate.acquire()
    waiter.ring = partial(_open, gate)
    try:
        if not waiter.woken:
            gate.acquire(timeout=min(max(pause_s, 0), threading.TIMEOUT_MAX))
    finally:
        waiter.ring = None
    waiter.woken = False
    return True


async def apause(waiter: Waiter, pause_s: float) -> bool:
    """The same in asyncio, without blocking the loop; False, at once, in other loops."""
    import asyncio

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    bell: asyncio.Future[None] = loop.create_future()
    waiter.ring = partial(loop.call_soon_threadsafe, _ring, bell)
    try:
        if not waiter.woken:
            await asyncio.wait((bell,), timeout=min(max(pause_s, 0), threading.TIMEOUT_MAX))
    finally:
        waiter.ring = None
    waiter.woken = False
    return True


def in_event_loop() -> bool:
    """True in a thread whose event loop would stand still: of asyncio, or what sniffio knows."""
    for package, ask in (("asyncio", "get_running_loop"), ("sniffio", "current_async_library")):
        with suppress(AttributeError, RuntimeError):  # it is not imported, or has none here
            getattr(sys.modules.get(package), ask)()
            return True
    return False


def _open(gate: threading.Lock) -> None:
    with suppress(RuntimeError):  # it is open
        gate.release()


def _ring(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)

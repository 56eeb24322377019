"""Handlers that LangChain hangs on every run that it starts, whatever its config says."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, cast
from weakref import ref

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

# Between a runnable that starts, and the handlers of its config.
_PLUMBING = ("langchain_core.callbacks.", "langchain_core.runnables.config", f"{__package__}.")

_inside: ContextVar[tuple[BaseCallbackHandler, ...]] = ContextVar("bursar_langchain_inside", default=())
_agents: dict[str, ref[BaseCallbackHandler]] = {}
_slots: list[_Slot] = []


class _Everywhere:
    """The handler of the process; the same in every thread, even one without a context."""

    def __init__(self) -> None:
        self._handlers: dict[
            str, BaseCallbackHandler
        ] = {}  # one at most; a lock might be forked while it is held

    def get(self) -> BaseCallbackHandler | None:
        return self._handlers.get("all")

    def put(self, handler: BaseCallbackHandler) -> bool:
        """False when there is one already."""
        return self._handlers.setdefault("all", handler) is handler

    def take(self) -> BaseCallbackHandler | None:
        """Take it away again."""
        return self._handlers.pop("all", None)


everywhere = _Everywhere()


@contextmanager
def covered_by(handler: BaseCallbackHandler) -> Iterator[None]:
    """What this thread or task starts inside has the handler, and hands it down."""
    token = _inside.set((*_inside.get(), handler))
    try:
        yield
    finally:
        _inside.reset(token)


def covers_agents(channel: str, handler: BaseCallbackHandler) -> None:
    """The graphs that have a channel of this name in their state have the handler, and hand it down."""
    _agents[channel] = ref(handler)


def _here() -> list[BaseCallbackHandler]:
    """The handlers of what is started here, each once."""
    found = [*_inside.get(), *_of_graph()]
    if (of_all := everywhere.get()) is not None:
        found.append(of_all)
    return list(dict.fromkeys(found))


def _of_graph() -> Iterator[BaseCallbackHandler]:
    """Those of the graph that is started here, if its agent has middleware of ours.

    So the handler hears where the outermost run begins and ends, and what other middleware asks.
    """
    if not _agents:
        return
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(_PLUMBING):
        frame = frame.f_back
    channels = () if frame is None else getattr(frame.f_locals.get("self"), "channels", ())
    for channel, reference in _agents.copy().items():  # a copy is made in one step
        handler = reference()
        if handler is None:
            _agents.pop(channel, None)
        elif isinstance(channels, Mapping) and channel in channels:
            yield handler


class _Slot:
    """The n-th handler of what is started here; read by LangChain like a ContextVar, which has one."""

    def __init__(self, number: int) -> None:
        self._number = number
        register_configure_hook(cast("ContextVar[Any]", self), inheritable=True)

    def get(self) -> BaseCallbackHandler | None:
        here = _here()
        while len(_slots) < len(here):  # LangChain keeps its hooks for ever: no more than were ever needed
            _slots.append(_Slot(len(_slots)))
        return here[self._number] if self._number < len(here) else None


_slots.append(_Slot(0))

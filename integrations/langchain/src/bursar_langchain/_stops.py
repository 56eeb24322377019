"""Runs that another handler prevents: LangChain tells nobody of their end, but its log tells of the error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, Protocol
from weakref import WeakSet

from bursar.integration import Lock

from ._refusal import LangChainRefusal

_lock = Lock()
_listeners: WeakSet[Listener] = WeakSet()


class Listener(Protocol):
    """A handler that wants to know."""

    def on_stopped(self, event: str, args: Any, more: Mapping[str, Any], error: BaseException) -> None:
        """Called when a start hook of some handler raised, so that the run does not begin. Never raises.

        Args:
            event: the name of the hook.
            args: what it was given by position.
            more: what it was given by name.
            error: what it raised.
        """


def tell(listener: Listener) -> None:
    """Let a handler be told, as long as it lives."""
    with _lock:
        _listeners.add(listener)


def _heard(_: logging.LogRecord) -> bool:
    """Filter what LangChain logs of handlers that raise: a refusal is meant, and its caller gets it."""
    error = sys.exc_info()[1]
    if error is not None and error.__traceback__ is not None:
        found = error.__traceback__.tb_frame.f_locals  # of LangChain's, which called the handler
        event, raises = str(found.get("event_name")), getattr(found.get("handler"), "raise_error", False)
        if event.endswith("_start") and raises:
            with _lock:
                listeners = list(_listeners)
            for listener in listeners:
                listener.on_stopped(event, found.get("args") or (), found.get("kwargs") or {}, error)
    return not isinstance(error, LangChainRefusal)


logging.getLogger("langchain_core.callbacks.manager").addFilter(_heard)

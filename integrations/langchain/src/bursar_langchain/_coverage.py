"""Handlers that LangChain hangs on every run that it starts, whatever its config says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

_nearest: ContextVar[BaseCallbackHandler | None] = ContextVar("bursar_langchain_nearest", default=None)


class _Everywhere:
    """Read by LangChain like a ContextVar; but the same in every thread, even one without a context."""

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

# Once: LangChain keeps its hooks for ever. A handler that a run has already is not added again.
register_configure_hook(_nearest, inheritable=True)
register_configure_hook(cast("ContextVar[Any]", everywhere), inheritable=True)


@contextmanager
def covered_by(handler: BaseCallbackHandler) -> Iterator[None]:
    """What this thread or task starts inside has the handler, and hands it down."""
    token = _nearest.set(handler)
    try:
        yield
    finally:
        _nearest.reset(token)

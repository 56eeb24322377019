"""Which handler pays for a call: the one that is closest to the model, whatever manager the model has.

LlamaIndex calls the handlers that are in the manager of a model. Engines replace that manager, and a model
that is older than `Settings.callback_manager` does not have it: our handlers are asked all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from llama_index.core import Settings
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler

PAID = frozenset({CBEventType.LLM, CBEventType.EMBEDDING})
_FIELD = "callback_manager"


class PayingHandler(BaseCallbackHandler):
    """A handler that prevents calls, and so must not be lost.

    Attributes:
        of_settings: True once it was in the manager of `Settings`: it pays for models that have no other.
    """

    of_settings = False


_asked: ContextVar[tuple[PayingHandler, ...] | None] = ContextVar("bursar_llamaindex_asked", default=None)
_inside: ContextVar[PayingHandler | None] = ContextVar("bursar_llamaindex_inside", default=None)
_of_process: dict[str, PayingHandler] = {}  # one at most
_others: dict[
    str, tuple[PayingHandler, ...]
] = {}  # by the id of an event: who was asked, and is in no manager


def pays(handler: PayingHandler) -> bool:
    """False where a manager has the handler, and another one pays for this call."""
    asked = _asked.get()
    return asked is None or handler in asked


def install(handler: PayingHandler) -> bool:
    """Let it pay for what nobody else pays for. False when there is one already."""
    return _of_process.setdefault("all", handler) is handler


def uninstall() -> PayingHandler | None:
    """Undo `install`."""
    return _of_process.pop("all", None)


@contextmanager
def inside(handler: PayingHandler) -> Iterator[None]:
    """What this thread or task calls, and what it starts, is paid for by the handler."""
    token = _inside.set(handler)
    try:
        yield
    finally:
        _inside.reset(token)


def forget(event_id: str) -> None:
    """The event is over, and no manager has told."""
    _others.pop(event_id, None)


def own(handlers: Iterable[BaseCallbackHandler]) -> tuple[PayingHandler, ...]:
    """Those that a model was given for itself."""
    return tuple(one for one in _paying(handlers) if not one.of_settings)


def keep(model: Any, handler: PayingHandler) -> None:
    """Let the handler pay for a model, instead of any other that the model was given before."""
    inner = model.callback_manager
    while isinstance(inner, _Kept):
        inner = inner.inner
    if own(inner.handlers):
        inner = CallbackManager([one for one in inner.handlers if one not in own(inner.handlers)])
    object.__setattr__(model, "__dict__", {**model.__dict__, _FIELD: _Kept(inner, (handler,))})


def payers_of(manager: CallbackManager) -> tuple[PayingHandler, ...]:
    """Who pays for the calls of a model with this manager."""
    of_settings = _of_settings()
    if mine := own(manager.handlers):
        return mine
    if (handler := _inside.get()) is not None:
        return (handler,)
    return of_settings or _paying(manager.handlers) or tuple(_of_process.values())


class _Kept(CallbackManager):
    """A manager with the handlers that its model was given for itself beside its own.

    Args:
        inner: the manager.
        handlers: what the model would lose with the manager that it had before.
    """

    def __init__(self, inner: CallbackManager, handlers: tuple[PayingHandler, ...]) -> None:
        self.inner = inner
        self._kept = handlers

    @property
    def handlers(self) -> list[BaseCallbackHandler]:
        """A list of both; a handler that is added goes to the manager."""
        return [*self.inner.handlers, *(one for one in self._kept if one not in self.inner.handlers)]

    @handlers.setter
    def handlers(self, handlers: list[BaseCallbackHandler]) -> None:
        self.inner.handlers = handlers

    @property
    def _trace_map(self) -> dict[str, list[str]]:
        return self.inner._trace_map

    @_trace_map.setter
    def _trace_map(self, trace_map: dict[str, list[str]]) -> None:
        self.inner._trace_map = trace_map

    def add_handler(self, handler: BaseCallbackHandler) -> None:
        """To the manager."""
        self.inner.add_handler(handler)

    def remove_handler(self, handler: BaseCallbackHandler) -> None:
        """From the manager."""
        self.inner.remove_handler(handler)


def _paying(handlers: Iterable[BaseCallbackHandler]) -> tuple[PayingHandler, ...]:
    return tuple(one for one in handlers if isinstance(one, PayingHandler))


def _of_settings() -> tuple[PayingHandler, ...]:
    manager = Settings._callback_manager
    found = _paying(manager.handlers) if manager is not None else ()
    for handler in found:
        handler.of_settings = True
    return found


def _ask_all() -> None:
    """Tell the handlers that pay, also those which the manager does not have."""
    start, end = CallbackManager.on_event_start, CallbackManager.on_event_end

    @wraps(start)
    def on_event_start(
        self: CallbackManager, event_type: CBEventType, payload: Any = None, *args: Any, **kwargs: Any
    ) -> str:
        if event_type not in PAID:
            return start(self, event_type, payload, *args, **kwargs)
        payers = payers_of(self)
        token = _asked.set(payers)
        try:
            event_id = start(self, event_type, payload, *args, **kwargs)
            others = tuple(one for one in payers if one not in self.handlers)
            for handler in others:
                handler.on_event_start(event_type, payload, event_id=event_id)
        finally:
            _asked.reset(token)
        if others:
            _others[event_id] = others
        return event_id

    @wraps(end)
    def on_event_end(
        self: CallbackManager,
        event_type: CBEventType,
        payload: Any = None,
        event_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        try:
            end(self, event_type, payload, event_id, **kwargs)
        finally:
            for handler in _others.pop(event_id or "", ()):
                handler.on_event_end(event_type, payload, event_id=event_id or "")

    CallbackManager.on_event_start = on_event_start  # type: ignore[method-assign]
    CallbackManager.on_event_end = on_event_end  # type: ignore[method-assign]


def _lose_none(kind: type[BaseLLM | BaseEmbedding]) -> None:
    """Keep the handlers that a model was given for itself when its manager is replaced."""
    assign = kind.__setattr__

    @wraps(assign)
    def keep_own(self: Any, name: str, value: Any) -> None:
        if name == _FIELD and isinstance(value, CallbackManager):
            _of_settings()
            before = own(getattr(getattr(self, _FIELD, None), "handlers", ()))
            if before and not own(value.handlers):
                value = _Kept(value, before)
        assign(self, name, value)

    kind.__setattr__ = keep_own  # type: ignore[method-assign]


def _note_settings() -> None:
    """A handler that is in the manager of `Settings` is noted as such before a model gets it."""
    kind = type(Settings)
    known: Any = vars(kind)[_FIELD]

    def assign(self: Any, manager: CallbackManager) -> None:
        known.fset(self, manager)
        _of_settings()

    setattr(kind, _FIELD, property(known.fget, assign, doc=known.__doc__))


def watch() -> None:
    """Ask the handlers that pay wherever a call is made in this process, from now on."""
    if not hasattr(CallbackManager.on_event_start, "__wrapped__"):
        _ask_all()
        _lose_none(BaseLLM)
        _lose_none(BaseEmbedding)
        _note_settings()

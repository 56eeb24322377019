"""What runs inside what: LlamaIndex's spans, which its callbacks know nothing of.

A handler of spans cannot prevent a call, since LlamaIndex swallows what it raises. It knows the object that
is called, which the payload of a callback does not have, and the end of calls that no callback tells.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from inspect import BoundArguments
from typing import Any, Protocol

from llama_index.core.instrumentation.events.llm import LLMChatInProgressEvent, LLMCompletionInProgressEvent
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span import BaseSpan, active_span_id
from llama_index_instrumentation.span_handlers import BaseSpanHandler

from bursar.integration import Run, never_breaks


class Inside(Protocol):
    """A paid call that was admitted inside a span."""

    @property
    def streams(self) -> bool:
        """True where a stream that the span returns may be what sends its request."""

    def progress(self, response: Any) -> None:
        """A part of its answer has arrived."""

    def leave_off(self, error: BaseException | None = None) -> None:
        """It is over, and no callback has told how; does nothing where one has."""


class Span:
    """A call of a method of LlamaIndex.

    Attributes:
        method: its name.
        instance: the object whose method it is, or None.
        arguments: what it was called with, by name.
        outer: the span that it was called in, or None.
        open: False once it has returned; a stream that it returned may still run.
        agent: the agent of a workflow that is at work inside, or None.
        calls: the paid calls that were admitted inside, and in no span inside of it.
    """

    __slots__ = ("agent", "arguments", "calls", "instance", "method", "open", "outer", "run")

    def __init__(self, id_: str, bound: BoundArguments, instance: Any, outer: Span | None) -> None:
        self.method = id_.partition("-")[0].rpartition(".")[2]
        self.instance = instance
        self.arguments = bound.arguments
        self.outer = outer
        self.open = True
        self.agent: str | None = None
        self.calls: list[Inside] = []
        self.run = Run() if outer is None else None

    def outwards(self) -> Iterator[Span]:
        """This one and those around it that are open."""
        span: Span | None = self
        while span is not None:
            if span.open:
                yield span
            span = span.outer


_open: dict[str, Span] = {}
_listeners: list[Callable[[Span], None]] = []
_streams: dict[str, list[Inside]] = {}  # the calls of spans that have returned a stream


def current() -> Span | None:
    """The innermost span that this context is in, or None."""
    return _open.get(active_span_id.get() or "")


def agents(span: Span | None) -> tuple[str, ...]:
    """The agents that are at work around a span, the outermost first."""
    around = span.outwards() if span is not None else ()
    return tuple(reversed([span.agent for span in around if span.agent]))


def streaming() -> Iterator[Inside]:
    """The calls whose stream somebody has."""
    for calls in list(_streams.values()):
        yield from calls


class _SpanHandler(BaseSpanHandler[BaseSpan]):
    """Notes them; LlamaIndex keeps no list of them for it."""

    def new_span(
        self,
        id_: str,
        bound_args: BoundArguments,
        instance: Any = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Called when a method begins."""
        span = _open[id_] = Span(id_, bound_args, instance, _open.get(parent_span_id or ""))
        agent = getattr(bound_args.arguments.get("ev"), "current_agent_name", None)
        if isinstance(agent, str):  # a step of a workflow; its tools run in other steps
            (span.outer or span).agent = agent
        for hear in _listeners:
            hear(span)

    def prepare_to_exit_span(
        self, id_: str, bound_args: BoundArguments, instance: Any = None, result: Any = None, **kwargs: Any
    ) -> None:
        """Called when it has returned."""
        span = _close(id_)
        if span is None:
            return
        if isinstance(result, Generator | AsyncGenerator) and any(call.streams for call in span.calls):
            _streams[id_] = [call for call in span.calls if call.streams]
            weakref.finalize(result, _left, id_).atexit = False
            _lose([call for call in span.calls if not call.streams])
        else:
            _lose(span.calls)
        if span.run is not None:
            span.run.close()

    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: BoundArguments,
        instance: Any = None,
        err: BaseException | None = None,
        **kwargs: Any,
    ) -> None:
        """Called when it has failed."""
        span = _close(id_)
        if span is None:
            return
        _lose(span.calls, err)
        if span.run is not None:
            span.run.close(err or RuntimeError(f"{span.method} failed"))


class _StreamHandler(BaseEventHandler):
    """Hears the parts of streams."""

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Called for each event of LlamaIndex's instrumentation."""
        if isinstance(event, LLMChatInProgressEvent | LLMCompletionInProgressEvent):
            for call in _streams.get(event.span_id or "", ()):
                call.progress(event.response)


def _close(id_: str) -> Span | None:
    span = _open.pop(id_, None)
    if span is not None:
        span.open = False
    return span


def _left(id_: str) -> None:
    """Nobody has the stream any more. The collector calls this: no store may be touched."""
    _lose(_streams.pop(id_, ()), GeneratorExit())


@never_breaks
def _lose(calls: list[Inside] | tuple[()], error: BaseException | None = None) -> None:
    for call in tuple(calls):
        call.leave_off(error)


def watch(listener: Callable[[Span], None]) -> None:
    """Note all spans of this process from now on, and tell a listener of each before its method runs."""
    if listener not in _listeners:
        _listeners.append(listener)
    root = get_dispatcher()
    if not any(isinstance(handler, _SpanHandler) for handler in root.span_handlers):
        root.add_span_handler(_SpanHandler())
        root.add_event_handler(_StreamHandler())

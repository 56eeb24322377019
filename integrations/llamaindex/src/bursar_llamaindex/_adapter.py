"""The callback handler: promise or reserve when a call starts, book it when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.llms import LLM
from llama_index.core.llms.structured_llm import StructuredLLM

from bursar import Budget, Session
from bursar.integration import (
    Admission,
    Costs,
    Limits,
    OpenCall,
    OpenCalls,
    Payee,
    Payers,
    Result,
    fails_closed,
    is_sent_by,
    never_breaks,
)

from . import _ending, _instrumentation, _managers
from ._call import ModelCall, hand_over
from ._managers import PAID, PayingHandler
from ._request import Request, read_embedding, read_llm, read_span
from ._usage import read_result

_UNTOLD = RuntimeError("the call ended, and LlamaIndex did not tell how")


class BudgetCallback(PayingHandler, Payee):
    """Keeps all calls of language and embedding models within a budget.

    Put it into a `CallbackManager`: that of `Settings`, for all models that have no handler of
    their own, or that of one model. A call that may not fit is never sent: the handler raises
    `bursar.BudgetExceeded`; a model without a price raises `bursar.UnknownModel`.

    From the moment the first one is made, the managers of this process ask it also where an engine
    has replaced the manager of a model, and for models that are older than that of `Settings`.
    Where several could pay, the closest to the model does, and only that one.

    An agent with ``early_stopping_method="generate"`` whose call is refused gives a closing answer from the
    `finalization_reserve` of the budget, once; without a reserve the refusal is raised.

    Safe for threads and tasks.

    Args:
        budget: a limit (``"$5"``), a `bursar.Budget`, which gets a session for this handler, or a
            `bursar.Session` to share one with others.
        agents: limits by the name of an agent of an `AgentWorkflow`, one or several: ``{"writer": "$1"}``.

    Raises:
        InvalidAmount: a limit is not one.
        ValueError: a setting has a value that it cannot have; the message names it.
    """

    places = "agents"

    def __init__(self, budget: str | float | Budget | Session, *, agents: Limits | None = None) -> None:
        super().__init__([], [])
        self.payers = Payers(budget, {"agents": agents})
        self._calls = OpenCalls()
        self.costs = Costs()
        self._admission = Admission(self._calls, self.costs, raise_as=Exception, prefix="llamaindex")
        _instrumentation.watch(_promise)
        _instrumentation.watch(_ending.hear)
        _managers.watch()

    @fails_closed(Exception)
    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Called before a model is asked. Raises: `BursarError`: then it is not asked."""
        if event_type in PAID and _managers.pays(self):
            span, known = _instrumentation.current(), payload or {}
            if event_type is CBEventType.EMBEDDING:
                self._admit(event_id, read_embedding(known, span), span)
            elif span is None or not isinstance(span.instance, StructuredLLM):  # the model inside it tells
                request = read_llm(known, span)
                hand_over(event_id, request, span)
                self._admit(event_id, request, span)
        return event_id

    @never_breaks
    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **kwargs: Any,
    ) -> None:
        """Called with the answer, or with what went wrong. Never raises."""
        call = self._calls.take(event_id)
        if call is None or not isinstance(call, ModelCall):
            return
        found = payload or {}
        if (error := found.get(EventPayload.EXCEPTION)) is not None:
            call.fail(error, call.seen)
        elif event_type is CBEventType.EMBEDDING and EventPayload.EMBEDDINGS in found:
            call.settle(Result(cached=call.may_be_cached, finished=True))
        elif EventPayload.RESPONSE in found or EventPayload.COMPLETION in found:
            answer = found.get(EventPayload.RESPONSE, found.get(EventPayload.COMPLETION))
            call.settle(read_result(answer, finished=answer is not None))
        else:
            call.fail(_UNTOLD, call.seen)
        self.costs.close(event_id)

    def promise(self, span: _instrumentation.Span) -> None:
        """Pay for what a method of a model sends through a covered SDK, if no callback is told of it."""
        request = read_span(span)
        if is_sent_by(request.sdk, request.kind):
            self._admit(str(uuid4()), request, span)

    @contextmanager
    def tool(self, name: str, given: object, price: str | float | Decimal | None = None) -> Iterator[None]:
        """A run of a tool: reserved before, and paid for however it ends.

        Args:
            name: of the tool.
            given: its arguments, so that the same run over and over is noticed.
            price: USD; by default that of the budget's `tool_prices`.

        Raises:
            BursarError: the tool must not run.
        """
        call = OpenCall(key=uuid4(), is_tool=True, watched=False)
        asked = {"tool": name, "messages": [given], "cost": price}
        payer = self.payers.payer(_instrumentation.agents(_instrumentation.current()))
        self._admission.admit(call, payer, asked, name=name)
        try:
            yield
        finally:
            self._pay(call)

    def start_trace(self, trace_id: str | None = None) -> None:
        """Called when a trace begins; nothing is paid for by that."""

    def end_trace(
        self, trace_id: str | None = None, trace_map: Mapping[str, list[str]] | None = None
    ) -> None:
        """Called when a trace is over."""

    def __copy__(self) -> BudgetCallback:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> BudgetCallback:
        return self  # LlamaIndex copies models; the budget is one

    @never_breaks
    def _pay(self, call: OpenCall) -> None:
        self._calls.take(call.key)
        call.pay()
        self.costs.close(call.key)

    def _admit(self, event_id: str, request: Request, span: _instrumentation.Span | None) -> None:
        call = ModelCall(event_id, self._calls, request)
        payer = self.payers.payer(_instrumentation.agents(span))
        name = str(request.asked["model"])
        new = self._admission.admit(call, payer, request.asked, name=name, sdk=request.sdk, kind=request.kind)
        if new and span is not None:
            span.calls.append(call)


def _promise(span: _instrumentation.Span) -> None:
    """Some models send `structured_predict` past all callbacks; where one is told, it pays instead."""
    if span.method.endswith("structured_predict") and isinstance(span.instance, LLM):
        for handler in _managers.payers_of(span.instance.callback_manager):
            if isinstance(handler, BudgetCallback):
                handler.promise(span)

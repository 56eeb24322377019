"""Budgets of single objects: a model, an embedding model, an agent, an engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from inspect import iscoroutine
from typing import Any, TypeVar

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM

from bursar import Budget, Session
from bursar.integration import Limits

from . import _managers
from ._adapter import BudgetCallback
from ._classes import swap_class

M = TypeVar("M", bound="BaseLLM | BaseEmbedding")
T = TypeVar("T")

_PLAIN = "__bursar_plain__"
_RUNS = (
    "run",
    *("query", "aquery", "retrieve", "aretrieve", "synthesize", "asynthesize"),
    *("chat", "achat", "stream_chat", "astream_chat"),
)
_STREAMS = ("response_gen", "chat_stream", "achat_stream")


def budget_llm(llm: M, budget: str | float | Budget | Session | BudgetCallback) -> M:
    """The same model, which pays into the budget from now on, and into no other.

    An engine that is given the model cannot take that away from it.

    Args:
        llm: a language model.
        budget: as for `BudgetCallback`, or one that was made already.
    """
    _managers.keep(llm, _handler(budget))
    return llm


def budget_embedding(model: M, budget: str | float | Budget | Session | BudgetCallback) -> M:
    """The same for an embedding model."""
    return budget_llm(model, budget)


def budgeted(
    agent_or_engine: T,
    budget: str | float | Budget | Session | BudgetCallback,
    *,
    agents: Limits | None = None,
) -> T:
    """The same agent, workflow or engine; what its runs ask of any model is paid for by the budget.

    A model that has a handler of its own goes on to pay into that one.

    Args:
        agent_or_engine: an agent, an `AgentWorkflow`, a query engine, a retriever or a chat engine.
        budget: as for `BudgetCallback`, or one that was made already.
        agents: as for `BudgetCallback`.

    Raises:
        TypeError: it has no method that runs it.
        ValueError: a setting has a value that it cannot have; the message names it.
    """
    if isinstance(budget, BudgetCallback) and agents is not None:
        raise ValueError("a BudgetCallback has its own agents=")
    kind = getattr(agent_or_engine, _PLAIN, type(agent_or_engine))
    if not any(callable(getattr(kind, name, None)) for name in _RUNS):
        raise TypeError(f"a {kind.__name__} is no agent and no engine: it has none of {', '.join(_RUNS)}")
    handler = _handler(budget, agents)
    runs = {name: _inside(method, handler) for name in _RUNS if callable(method := getattr(kind, name, None))}
    swap_class(agent_or_engine, kind, {_PLAIN: kind, **runs})
    return agent_or_engine


def _handler(
    budget: str | float | Budget | Session | BudgetCallback, agents: Limits | None = None
) -> BudgetCallback:
    return budget if isinstance(budget, BudgetCallback) else BudgetCallback(budget, agents=agents)


def _inside(method: Callable[..., Any], handler: BudgetCallback) -> Callable[..., Any]:
    async def awaited(result: Coroutine[Any, Any, Any]) -> Any:
        with _managers.inside(handler):
            return _streamed(await result, handler)

    @wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _managers.inside(handler):
            result = method(self, *args, **kwargs)
        return awaited(result) if iscoroutine(result) else _streamed(result, handler)

    return run


def _streamed(response: Any, handler: BudgetCallback) -> Any:
    """The response; a stream of it asks its model when it is read, so that this happens inside, too."""
    for name in _STREAMS:
        stream = getattr(response, "__dict__", {}).get(name)
        if isinstance(stream, Generator):
            setattr(response, name, _read(stream, handler))
        elif isinstance(stream, AsyncGenerator):
            setattr(response, name, _aread(stream, handler))
    return response


def _read(stream: Generator[Any, None, None], handler: BudgetCallback) -> Generator[Any, None, None]:
    end = object()
    try:
        while True:
            with _managers.inside(handler):
                part = next(stream, end)
            if part is end:
                return
            yield part
    finally:
        stream.close()


async def _aread(stream: AsyncGenerator[Any, None], handler: BudgetCallback) -> AsyncGenerator[Any, None]:
    try:
        while True:
            with _managers.inside(handler):
                try:
                    part = await anext(stream)
                except StopAsyncIteration:
                    return
            yield part
    finally:
        await stream.aclose()

"""The callback handler: reserve when a call starts, settle when it ends."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from inspect import iscoroutinefunction
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from bursar import Budget, Session
from bursar.integration import Limits, OpenCall, OpenCalls, Payee, Result, Runs, fails_closed, never_breaks

from ._admission import Admission, Call, OnBudget
from ._costs import Costs, name_of
from ._division import divide
from ._embeddings import warn_of_embeddings
from ._payers import LimitLike, Money, Payers
from ._refusal import LangChainRefusal
from ._stops import tell
from ._usage import read_result, usage_of


class BudgetCallback(Payee, BaseCallbackHandler):
    """Keeps all model calls and tool runs below it within a budget.

    Pass it in ``config={"callbacks": [...]}``; everything that the run starts inherits it.
    A call that may not fit is never sent: the handler raises `bursar.BudgetExceeded`,
    in a class that LangChain and LangGraph neither retry nor hide. A model without a
    price raises `bursar.UnknownModel` in the same way.

    Safe for threads and tasks, and for any number of runs at once.

    Args:
        budget: a limit (``"$5"``), a `bursar.Budget`, which gets a session for this
            handler, or a `bursar.Session` to share one with others.
        nodes: limits by the name of a LangGraph node, one or several: ``{"research": "$1"}``.
            They hold for all that happens in the node, a whole subgraph too, as long as the session lasts.
        tool_prices: USD for a run, by tool; beside those of the budget.
        tenant: the key in the ``metadata`` or ``configurable`` of a run that names who pays,
            ``"user_id"`` for instance. Each tenant gets a child of the budget and a session of its
            own; a run that names nobody is refused.
        cost_metadata: True to write what a run cost, in USD, into its metadata as ``"cost_usd"`` when
            it ends, where tracers such as LangSmith show it: of models, tools, nodes and whole runs.
            The answer of a model has it in its ``response_metadata``.
        per_run: True to give each outermost run (each ``invoke``, ``stream`` ... of the caller) a session
            of its own, so that each may spend the session's limits.
        on_budget: ``f(refusal) -> bool``, asked at most once about a refusal, before it is raised: a person
            may raise the limit (`Budget.set_limit`). Where it returns True, the same call is tried once
            more. It runs inside of the call, and is no coroutine function.

    Raises:
        InvalidAmount: a limit or a price is not one.
        TypeError: `on_budget` is a coroutine function: the hooks of LangChain cannot wait for it.
        ValueError: a setting has a value that it cannot have; the message names it.
    """

    # LangChain logs and drops what a handler raises unless it says so; and only a handler
    # that runs inline is in the caller's context, and done before the request is sent.
    raise_error = True
    run_inline = True
    places = "nodes"
    costs: Costs

    def __init__(
        self,
        budget: LimitLike | Budget | Session,
        *,
        nodes: Limits | None = None,
        tool_prices: Mapping[str, Money] | None = None,
        tenant: str | None = None,
        cost_metadata: bool = False,
        per_run: bool = False,
        on_budget: OnBudget | None = None,
    ) -> None:
        if iscoroutinefunction(on_budget):
            raise TypeError("on_budget= of a callback cannot be awaited; give it to BudgetMiddleware")
        Budget(tool_prices=tool_prices)  # says what is wrong with them
        payers = Payers(budget, nodes, tenant, per_run=per_run)
        self.payers = payers
        self.costs = Costs(tell=cost_metadata)
        self._runs = OpenCalls()
        self._roots = Runs(self._over)
        tell(self)
        self._admission = Admission(payers, self._runs, self.costs, tool_prices or {}, on_budget)

    def report(self) -> dict[str, Any]:
        """The cost report of the session, as `bursar.Session.report` gives it, with the cost of each part.

        ``"runs"`` has what this handler saw of each of the newest runs: ``run_id``, ``name``,
        ``total_spent`` in USD, and ``calls`` of models. ``"nodes"`` has the USD of each node (``"research"``,
        and ``"research|search"`` in its subgraph). With tenants, it is the report of their budget, and
        ``"tenants"`` has the USD of each.
        """
        return super().report()

    # -- models -----------------------------------------------------------------------------

    @fails_closed(LangChainRefusal)
    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Called before a chat model is asked. Raises: `BursarError`: then it is not asked."""
        inputs = [message for batch in messages for message in batch]
        call = Call(run_id, _given(messages, kwargs), parent_run_id, calls=len(messages))
        with self._started(call):
            self._admission.admit_model(call, serialized, inputs, metadata, kwargs)

    @fails_closed(LangChainRefusal)
    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Called before a text model is asked, once a prompt. Raises: `BursarError`: then it is not asked."""
        call = Call(run_id, _given(prompts, kwargs), parent_run_id, calls=len(prompts), text=True)
        with self._started(call):
            self._admission.admit_model(call, serialized, prompts, metadata, kwargs)

    @never_breaks
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Called for each part of a stream: the request was sent, so its cover ends here.

        The consumer of the stream runs in the same context and may make calls of its own.
        """
        self._runs.uncover(run_id)
        told = usage_of(kwargs.get("chunk"))
        for call in self._runs.known(run_id) if told else ():
            if isinstance(call, Call) and told is not None:
                call.reports.append(told)

    @never_breaks
    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """The same for each event of ``stream_events(version="v3")``."""
        self._runs.uncover(run_id)

    @never_breaks
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Called with the answer. Never raises."""
        call = self._runs.take(run_id)
        self._roots.end(run_id)
        if not isinstance(call, Call) or call.is_tool:
            return
        result = read_result(response, hour_cache=call.hour_cache, reports=call.reports)
        others = self._runs.take_others(call) if call.text and result.of_all and result.usage else []
        if others and result.usage:  # LangChain tells the usage of all prompts with the first answer
            for one, usage in divide(result.usage, [call, *others]):
                one.settle(replace(result, usage=usage))
        else:
            call.settle(result)
        for one in others:
            self.costs.close(one.key)
        self.costs.close(run_id, answer=response)

    @never_breaks
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when a model call failed, was cancelled, or its stream was left. Never raises."""
        call = self._runs.take(run_id)
        self._roots.end(run_id, error)
        if not isinstance(call, Call) or call.is_tool:
            return
        response = kwargs.get("response")
        result = Result()
        if isinstance(response, LLMResult):
            result = read_result(response, hour_cache=call.hour_cache, reports=call.reports)
        call.fail(error, result)
        self._runs.orphan(call)
        self.costs.close(run_id, error)

    # -- tools ------------------------------------------------------------------------------

    @fails_closed(LangChainRefusal)
    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Called before a tool runs. Raises: `BursarError`: then it is not run."""
        name = str((serialized or {}).get("name") or kwargs.get("name") or "tool")
        call = Call(run_id, (serialized,), parent_run_id, is_tool=True)
        with self._started(call):
            self._admission.admit_tool(call, name, input_str, metadata)

    @never_breaks
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Called with the tool's result. Never raises."""
        self._pay_tool(run_id, None)

    @never_breaks
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when a tool failed: its run is paid for all the same. Never raises."""
        self._pay_tool(run_id, error)

    def _pay_tool(self, run_id: UUID, error: BaseException | None) -> None:
        self._roots.end(run_id, error)
        self._runs.sweep(run_id, error)
        if (call := self._runs.take(run_id)) is not None:
            call.pay()
        self.costs.close(run_id, error)

    # -- what is around them ------------------------------------------------------------------

    @never_breaks
    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Called before a chain, a graph or a node runs. Never raises."""
        self._roots.start(run_id, parent_run_id)
        self.costs.open(run_id, parent_run_id, name_of(serialized, kwargs, "chain"), metadata)

    @never_breaks
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when it is done; its calls are, too. Never raises."""
        self._roots.end(run_id)
        self._runs.sweep(run_id)
        self.costs.close(run_id)

    @never_breaks
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when it failed or was cancelled. Never raises."""
        self._roots.end(run_id, error)
        self._runs.sweep(run_id, error)
        self.costs.close(run_id, error)

    @never_breaks
    def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Called before a retriever runs: LangChain has no hooks for the embeddings it asks. Never raises."""
        self._roots.start(run_id, parent_run_id)
        self.costs.open(run_id, parent_run_id, name_of(serialized, kwargs, "retriever"), metadata)
        if metadata and (maker := metadata.get("ls_embedding_provider")):
            warn_of_embeddings(str(maker))

    @never_breaks
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Called with what it found; models that it asked are done. Never raises."""
        self._roots.end(run_id)
        self._runs.sweep(run_id)
        self.costs.close(run_id)

    @never_breaks
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when it failed or was cancelled. Never raises."""
        self._roots.end(run_id, error)
        self._runs.sweep(run_id, error)
        self.costs.close(run_id, error)

    @never_breaks
    def on_stopped(self, event: str, args: Any, more: Mapping[str, Any], error: BaseException) -> None:
        """Called when another handler prevented a run: what is sent next is not its call. Never raises."""
        run_id, given = more["run_id"], args[:1]
        if event in ("on_chat_model_start", "on_llm_start"):
            given = _given(args[1], more)
        self._runs.stopped(OpenCall(run_id, given))
        self._roots.end(run_id, error, began=False)

    @contextmanager
    def _started(self, call: Call) -> Iterator[None]:
        """A run that is not made has no end hook: its caller gets what is raised inside."""
        together = None
        if call.given is not None and not call.is_tool:
            messages, params = call.given
            together = messages if params is None else params
        call.root = self._roots.start(call.key, call.parent, together)
        try:
            yield
        except BaseException as error:
            self._roots.end(call.key, error)
            raise

    def _over(self, root: Hashable) -> None:
        """An outermost run is over, perhaps a model's that LangChain told no end of."""
        for call in self._runs.known(root):
            self._runs.lose(call)
        self.payers.close(root)

    def __copy__(self) -> BudgetCallback:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> BudgetCallback:
        return self  # LangChain copies configs; the budget is one


def _given(inputs: Any, more: Mapping[str, Any]) -> tuple[object, object]:
    """What tells a call of a model: LangChain makes the outer list anew for each handler; the dict, never."""
    return inputs[0] if inputs else inputs, more.get("invocation_params")

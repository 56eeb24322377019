"""The callback handler: reserve when a call starts, settle when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from bursar import Budget, BudgetExceeded, BursarError, Hold, HoldClosed, Session, UnknownModel

from ._attempt import Lowered, cap_name, current_attempt
from ._embeddings import warn_of_embeddings
from ._payers import LimitLike, Money, NodeLimits, Payer, Payers
from ._refusal import as_refusal
from ._run import Run
from ._runs import Runs, never_breaks, withdraw
from ._usage import Result, read_request, read_result


class BudgetCallback(BaseCallbackHandler):
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

    Raises:
        InvalidAmount: a limit or a price is not one.
        ValueError: a setting has a value that it cannot have; the message names it.
    """

    # LangChain logs and drops what a handler raises unless it says so; and only a handler
    # that runs inline is in the caller's context, and done before the request is sent.
    raise_error = True
    run_inline = True

    def __init__(
        self,
        budget: LimitLike | Budget | Session,
        *,
        nodes: NodeLimits | None = None,
        tool_prices: Mapping[str, Money] | None = None,
        tenant: str | None = None,
    ) -> None:
        self._payers = Payers(budget, nodes, tenant)
        Budget(tool_prices=tool_prices)  # says what is wrong with them
        self._tool_prices = dict(tool_prices or {})
        self._runs = Runs()

    @property
    def session(self) -> Session:
        """The session that pays. Raises: `BursarError`: each tenant has its own."""
        return self._payers.session

    def session_of(self, tenant: str) -> Session:
        """The session that pays for a tenant. Raises: `BursarError`: there are no tenants."""
        return self._payers.session_of(tenant)

    @property
    def spent(self) -> Decimal:
        """USD that the session spent, or all tenants together."""
        return self._payers.payee.spent

    @property
    def reserved(self) -> Decimal:
        """USD held by calls in flight."""
        return self._payers.payee.reserved

    @property
    def remaining(self) -> Decimal | None:
        """USD left; negative after an overrun, None without a limit in USD."""
        return self._payers.payee.remaining

    def report(self) -> dict[str, Any]:
        """The cost report of the session, as `bursar.Session.report` gives it, with the cost of each part.

        ``"nodes"`` has the USD of each node (``"research"``, and ``"research|search"`` in its
        subgraph). With tenants, it is the report of their budget, and ``"tenants"`` has the USD of each.
        """
        return self._payers.report()

    get_report = report

    # -- models -----------------------------------------------------------------------------

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
        run = Run(run_id, messages, parent_run_id, calls=len(messages))
        self._start_model(run, serialized, inputs, metadata, kwargs)

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
        run = Run(run_id, prompts, parent_run_id, calls=len(prompts))
        self._start_model(run, serialized, prompts, metadata, kwargs)

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Called for each part of a stream: the request was sent, so its cover ends here.

        The consumer of the stream runs in the same context and may make calls of its own.
        """
        for run in self._runs.known(run_id):
            run.uncover()

    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """The same for each event of ``stream_events(version="v3")``."""
        self.on_llm_new_token(event, run_id=run_id)

    @never_breaks
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Called with the answer. Never raises."""
        run = self._runs.take(run_id)
        if run is None or run.request is None:
            return
        result = read_result(response, hour_cache=run.request.hour_cache)
        if run.is_open:
            run.settle(result)

    @never_breaks
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when a model call failed, was cancelled, or its stream was left. Never raises."""
        run = self._runs.take(run_id)
        if run is None or run.request is None:
            return
        response = kwargs.get("response")
        result = Result()
        if isinstance(response, LLMResult):
            result = read_result(response, hour_cache=run.request.hour_cache)
        run.fail(error, result)
        self._runs.orphan(run)

    # -- tools ------------------------------------------------------------------------------

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
        asked = {"tool": name, "messages": [input_str], "cost": self._tool_prices.get(name)}
        self._start(Run(run_id, serialized, parent_run_id), metadata, asked)

    @never_breaks
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Called with the tool's result. Never raises."""
        if (run := self._runs.take(run_id)) is not None:
            run.pay()

    @never_breaks
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when a tool failed: its run is paid for all the same. Never raises."""
        if (run := self._runs.take(run_id)) is not None:
            run.pay()

    # -- what is around them ------------------------------------------------------------------

    @never_breaks
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when a chain, a graph or a node is done; its calls are, too. Never raises."""
        self._runs.sweep(run_id)

    @never_breaks
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when one failed or was cancelled. Never raises."""
        self._runs.sweep(run_id)

    @never_breaks
    def on_retriever_start(
        self,
        serialized: dict[str, Any],
        query: str,
        *,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Called before a retriever runs: LangChain has no hooks for the embeddings it asks. Never raises."""
        if metadata and (maker := metadata.get("ls_embedding_provider")):
            warn_of_embeddings(str(maker))

    # -- mechanism ----------------------------------------------------------------------------

    def _start_model(
        self,
        run: Run,
        serialized: Mapping[str, Any] | None,
        inputs: Sequence[BaseMessage | str],
        metadata: Mapping[str, Any] | None,
        more: Mapping[str, Any],
    ) -> None:
        params = more.get("invocation_params") or {}
        request = read_request(serialized, inputs, params, metadata or {})
        run.request = replace(request, messages=None, tools=[])  # prompts are not kept
        run.batch = params if (more.get("batch_size") or 1) > 1 else None
        asked = {
            "model": request.model,
            "provider": request.provider,
            "messages": request.messages,
            "tools": request.tools,
            "max_output_tokens": request.max_output_tokens,
            "n": request.n * run.calls,
            "tier": request.tier,
        }
        if self._start(run, metadata, asked, cap_name(request, params)):
            run.cover = run.hold.cover()

    def _start(
        self,
        run: Run,
        metadata: Mapping[str, Any] | None,
        asked: dict[str, Any],
        cap: str | None = None,
    ) -> bool:
        """Reserve for a run; False when this very hook was heard before.

        Args:
            cap: the argument that a caller may lower so that the call fits.
        """
        known = self._runs.known(run.id)
        if any(other.given is run.given for other in known):
            return False
        attempt, payer = current_attempt(), None
        try:
            payer = self._payers.payer(metadata)
            run.hold = self._hold(run, payer, {other.hold.id for other in known}, asked, cap)
        except BursarError as error:
            withdraw(run)
            refusal = as_refusal(error)
            if payer is not None and isinstance(refusal, BudgetExceeded) and not isinstance(refusal, Lowered):
                payer.session.surface(refusal)
                if attempt is not None:
                    attempt.session = payer.session
            raise refusal from None
        self._runs.add(run)
        return True

    def _hold(self, run: Run, payer: Payer, taken: set[str], asked: dict[str, Any], cap: str | None) -> Hold:
        """A hold for a request that nobody can change any more, or only the middleware by asking anew."""
        key, attempt = f"langchain:{run.id}", current_attempt()
        if attempt is not None and attempt.least is not None and cap is not None:
            hold = self._reserve(payer, key, taken, {**asked, "clamp": True})
            granted, wanted = hold.binding_cap, asked["max_output_tokens"]
            if granted is None or (wanted is not None and granted >= wanted):
                return hold
            hold.release()
            attempt.lower(cap, granted)
        return self._reserve(payer, key, taken, {**asked, "clamp": False})

    def _reserve(self, payer: Payer, key: str, taken: set[str], asked: dict[str, Any]) -> Hold:
        """A hold of this run's own; two handlers of one session get the same one.

        Callers may choose run ids, and use one for several calls: each has its own hold.
        """
        count = 0
        while True:
            try:
                hold = payer.account.reserve(key=f"{key}:{count}" if count else key, **asked)
            except HoldClosed:
                count += 1  # the key was used for another call
                continue
            except UnknownModel:
                if asked.get("provider") != "openai":
                    raise
                asked["provider"] = None  # OpenAI's client, but not its model: the name says whose
                continue
            if hold.state == "reserved" and hold.id not in taken:
                return hold
            count += 1

    def __copy__(self) -> BudgetCallback:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> BudgetCallback:
        return self  # LangChain copies configs; the budget is one

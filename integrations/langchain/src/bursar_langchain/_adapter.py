"""The callback handler: reserve when a call starts, settle when it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import wraps
from typing import Any, TypeVar, cast
from uuid import UUID
from weakref import WeakSet

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from bursar import (
    Budget,
    BudgetExceeded,
    BursarError,
    Cover,
    Hold,
    HoldClosed,
    Limit,
    Session,
    UnknownModel,
    Usage,
    as_session,
)

from ._refusal import as_refusal
from ._usage import TOKENS_PER_ANSWER, Request, Result, read_request, read_result

F = TypeVar("F", bound=Callable[..., None])

_logger = logging.getLogger("bursar")
_LOST_KEPT = 256  # runs whose end may still come
_callbacks: WeakSet[BudgetCallback] = WeakSet()
_lock = threading.Lock()  # of the set above


def _renew() -> None:
    """In a forked child nobody is left to open a lock that another thread of the parent held."""
    global _lock  # noqa: PLW0603 - of the process
    _lock = threading.Lock()
    for callback in _callbacks:
        callback._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@dataclass(slots=True, eq=False)
class _Run:
    """A call between its start hook and its end hook.

    Attributes:
        id: LangChain's id of the run; callers may use one for several calls.
        given: the very object that the start hook got; tells the same call, heard twice,
            from another one with its id.
        parent: the run that this one belongs to.
        calls: how many inputs one hook was given; LangChain itself gives one.
        request: None for a run of a tool.
        batch: shared by the calls of one ``generate()``; all start hooks come before the first call.
        hold: what pays for it.
        cover: keeps a covered SDK client below from reserving again.
        task: the task that may die without an end hook, and what was told to watch it.
        doubted: True once it was booked as unknown because it seemed lost.
    """

    id: UUID
    given: object
    parent: UUID | None
    calls: int = 1
    request: Request | None = None
    batch: object = None
    hold: Hold = field(init=False)
    cover: Cover | None = None
    task: tuple[asyncio.Task[Any], Callable[[object], None]] | None = None
    doubted: bool = False


def _never_breaks(hook: F) -> F:
    """A hook that comes after the call: the answer is paid for, so nothing may take it away."""

    @wraps(hook)
    def method(*args: Any, **kwargs: Any) -> None:
        try:
            hook(*args, **kwargs)
        except Exception:
            _logger.exception("%s failed; what it left open is booked when its lease ends", hook.__name__)

    return cast("F", method)


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

    Raises:
        InvalidAmount: the limit is not one.
    """

    # LangChain logs and drops what a handler raises unless it says so; and only a handler
    # that runs inline is in the caller's context, and done before the request is sent.
    raise_error = True
    run_inline = True

    def __init__(self, budget: str | float | Decimal | Limit | Budget | Session) -> None:
        self._session = as_session(budget)
        self._runs: dict[UUID, list[_Run]] = {}
        self._lost: deque[_Run] = deque()
        self._lock = threading.RLock()  # a finaliser may enter it again; no store is called inside
        with _lock:
            _callbacks.add(self)

    @property
    def session(self) -> Session:
        """The session that pays."""
        return self._session

    @property
    def spent(self) -> Decimal:
        """USD that the session spent."""
        return self._session.spent

    @property
    def reserved(self) -> Decimal:
        """USD held by calls in flight."""
        return self._session.reserved

    @property
    def remaining(self) -> Decimal | None:
        """USD left; negative after an overrun, None without a limit in USD."""
        return self._session.remaining

    def report(self) -> dict[str, Any]:
        """The cost report of the session, as `bursar.Session.report` gives it."""
        return self._session.report()

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
        run = _Run(run_id, messages, parent_run_id, calls=len(messages))
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
        run = _Run(run_id, prompts, parent_run_id, calls=len(prompts))
        self._start_model(run, serialized, prompts, metadata, kwargs)

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Called for each part of a stream: the request was sent, so its cover ends here.

        The consumer of the stream runs in the same context and may make calls of its own.
        """
        for run in tuple(self._runs.get(run_id, ())):
            if run.cover is not None:
                run.cover.close()

    @_never_breaks
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Called with the answer. Never raises."""
        run = self._end(run_id)
        if run is None or run.request is None:
            return
        result = read_result(response, hour_cache=run.request.hour_cache)
        if not _is_open(run):
            return  # a covered client below saw more than we did, and has settled it
        if result.cached:
            run.hold.release(saved=result.usage)
        else:
            _settle(run, run.request, result)

    @_never_breaks
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when a model call failed, was cancelled, or its stream was left. Never raises."""
        run = self._end(run_id)
        if run is None or run.request is None:
            return
        response = kwargs.get("response")
        result = Result()
        if isinstance(response, LLMResult):
            result = read_result(response, hour_cache=run.request.hour_cache)
        seen = result.usage or (_by_text(run, result) if result.text_tokens else None)
        if isinstance(error, GeneratorExit):
            run.hold.abandon(seen)  # perhaps the garbage collector's doing: no store may be touched
        elif result.usage is not None and result.finished and _is_open(run):
            _settle(run, run.request, result)
        else:
            run.hold.resolve(error, seen)

    # -- tools ------------------------------------------------------------------------------

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Called before a tool runs. Raises: `BursarError`: then it is not run."""
        name = (serialized or {}).get("name") or kwargs.get("name") or "tool"
        self._start(_Run(run_id, serialized, parent_run_id), tool=str(name), messages=[input_str])

    @_never_breaks
    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Called with the tool's result. Never raises."""
        self._end_tool(run_id)

    @_never_breaks
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when a tool failed: its run is paid for all the same. Never raises."""
        self._end_tool(run_id)

    # -- chains: what they leave behind -------------------------------------------------------

    @_never_breaks
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when a chain, a graph or a node is done; its calls are, too. Never raises."""
        self._sweep(run_id)

    @_never_breaks
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Called when one failed or was cancelled. Never raises."""
        self._sweep(run_id)

    # -- mechanism ----------------------------------------------------------------------------

    def _start_model(
        self,
        run: _Run,
        serialized: Mapping[str, Any] | None,
        inputs: Sequence[BaseMessage | str],
        metadata: Mapping[str, Any] | None,
        more: Mapping[str, Any],
    ) -> None:
        params = more.get("invocation_params") or {}
        request = read_request(serialized, inputs, params, metadata or {})
        run.request = replace(request, messages=None, tools=[])  # prompts are not kept
        run.batch = params if (more.get("batch_size") or 1) > 1 else None
        started = self._start(
            run,
            model=request.model,
            provider=request.provider,
            messages=request.messages,
            tools=request.tools,
            max_output_tokens=request.max_output_tokens,
            n=request.n * run.calls,
            tier=request.tier,
            clamp=False,  # a handler cannot change the request
        )
        if started:
            run.cover = run.hold.cover()

    def _start(self, run: _Run, **asked: Any) -> bool:
        """Reserve for a run; False when this very hook was heard before."""
        known = tuple(self._runs.get(run.id, ()))
        if any(other.given is run.given for other in known):
            return False
        try:
            run.hold = self._reserve(f"langchain:{run.id}", {other.hold.id for other in known}, asked)
        except BursarError as error:
            with _lock:
                callbacks = list(_callbacks)
            for callback in callbacks:
                callback._withdraw(run)
            refusal = as_refusal(error)
            if isinstance(refusal, BudgetExceeded):
                self._session.surface(refusal)
            raise refusal from None
        with self._lock:
            self._runs.setdefault(run.id, []).append(run)
        self._watch(run)
        return True

    def _reserve(self, key: str, taken: set[str], asked: Mapping[str, Any]) -> Hold:
        """A hold of this run's own; two handlers of one session get the same one.

        Callers may choose run ids, and use one for several calls: each has its own hold.
        """
        asked = dict(asked)
        count = 0
        while True:
            try:
                hold = self._session.reserve(key=f"{key}:{count}" if count else key, **asked)
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

    def _end(self, run_id: UUID) -> _Run | None:
        """Take a run out; waits for no store, since a finaliser may call it."""
        with self._lock:
            runs = self._runs.get(run_id)
            if not runs:
                return None
            run = runs[0]
            self._remove(run)
        if run.cover is not None:
            run.cover.close()
        if run.task is not None:
            run.task[0].remove_done_callback(run.task[1])
        return run

    def _remove(self, run: _Run) -> None:
        with self._lock:
            runs = self._runs.get(run.id, [])
            if run in runs:
                runs.remove(run)
            if not runs:
                self._runs.pop(run.id, None)

    def _end_tool(self, run_id: UUID) -> None:
        run = self._end(run_id)
        if run is not None:
            run.hold.settle(cost=run.hold.amount)

    def _watch(self, run: _Run) -> None:
        """LangChain tells nobody when `ainvoke` is cancelled; the end of its task does."""
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no event loop runs in this thread
            return
        if task is not None:
            run.task = task, lambda _: self._doubt(run)
            task.add_done_callback(run.task[1])

    def _sweep(self, parent: UUID) -> None:
        """The calls of a chain that is over are, too."""
        with self._lock:
            lost = [run for runs in self._runs.values() for run in runs if run.parent == parent]
        for run in lost:
            self._doubt(run)

    @_never_breaks
    def _doubt(self, run: _Run) -> None:
        """Book a run that seems lost. Should its end come after all, that corrects the amount."""
        if run.doubted or run.hold.state != "reserved":
            return
        run.doubted, run.given, run.batch, run.task = True, None, None, None
        if run.cover is not None:
            run.cover.close()
        if run.request is None:
            run.hold.settle(cost=run.hold.amount)
        else:
            run.hold.settle_unknown()
        with self._lock:
            self._lost.append(run)
            forgotten = self._lost.popleft() if len(self._lost) > _LOST_KEPT else None
        if forgotten is not None:
            self._remove(forgotten)

    @_never_breaks
    def _withdraw(self, refused: _Run) -> None:
        """Release what was reserved for a call that another handler, or one of its batch, prevented."""
        with self._lock:
            unsent = [
                run
                for runs in self._runs.values()
                for run in runs
                if run.given is refused.given or (run.batch is not None and run.batch is refused.batch)
            ]
        for run in unsent:
            self._remove(run)
            if run.cover is not None:
                run.cover.close()
            run.hold.release()

    def __copy__(self) -> BudgetCallback:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> BudgetCallback:
        return self  # LangChain copies configs; the budget is one


def _settle(run: _Run, request: Request, result: Result) -> None:
    """Book an answer: by the provider's count, else by its text, else at the whole hold."""
    if result.usage is not None:
        run.hold.settle(usage=result.usage, model=result.model, tier=result.tier)
    elif not result.finished:
        run.hold.settle_unknown(_by_text(run, result))  # the connection ended, and looked like an end
    elif request.hidden_output:
        run.hold.settle(cost=run.hold.amount, estimated=True)
    else:
        run.hold.settle(usage=_by_text(run, result), model=result.model, tier=result.tier, estimated=True)


def _by_text(run: _Run, result: Result) -> Usage:
    """The most that an answer can have used, as far as it is visible; never above the hold."""
    call = run.hold.call
    output_tokens = min(result.text_tokens or TOKENS_PER_ANSWER, call.n * call.max_output_tokens)
    return Usage(call.input_tokens, output_tokens)


def _is_open(run: _Run) -> bool:
    """False when a covered client below has closed the hold: it sees retries that we do not."""
    return run.doubted or run.hold.state == "reserved"

"""The events of CrewAI: reserve where a call begins, settle where it ends.

CrewAI calls a stream sink in the context of the call, before anything is sent, and lets pass what it raises.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from crewai.utilities.string_utils import sanitize_tool_name

from bursar import BudgetExceeded, BursarError
from bursar.integration import (
    Admission,
    OpenCall,
    OpenCalls,
    Payer,
    Payers,
    Run,
    fails_closed,
    never_breaks,
)

from ._breakdown import Breakdown, Scopes, labels_of
from ._refusal import CrewRefusal, being_handled
from ._request import may_fit, read_request, sdk_of
from ._tasks import Tasks
from ._usage import read_result

# The outermost of these is a run of the framework: a refusal inside is told once.
_RUNS = ("crew_kickoff", "crew_train", "crew_test", "flow", "lite_agent_execution")
_ENDS = ("_completed", "_finished", "_failed", "_error", "_paused")
# After some of these CrewAI, or LiteLLM, drops the error.
_SWALLOWERS = ("llm_call_failed", "tool_usage_error")
# These ask a hook after their event, and tell the model where it says no.
_ASK_HOOKS = frozenset({"AgentExecutor", "StepExecutor"})  # their modules move from release to release
_BEFORE_IT_RAN = frozenset({"usage_limit", "unknown_tool", "invalid_input"})  # failures of a tool


class Sink:
    """Hears the events of everything that runs in the context of a `BudgetMiddleware`.

    Args:
        payers: finds whose money it is.
        costs: counts it.
        tasks: have limits of their own.
        tool_prices: USD for a run, by tool.
        on_budget: asked what to do about a refusal; True: try once more.
        tell: True where the model is told that a tool is refused.
    """

    def __init__(
        self,
        payers: Payers,
        costs: Breakdown,
        tasks: Tasks,
        tool_prices: Mapping[str, Any],
        on_budget: Callable[[BudgetExceeded], object] | None,
        *,
        tell: bool,
    ) -> None:
        self._payers = payers
        self.tasks = tasks
        self._tool_prices = {sanitize_tool_name(name): price for name, price in tool_prices.items()}
        self._on_budget = on_budget
        self.tells = tell
        self._scopes = Scopes()
        self._runs: dict[tuple[str, int], Run] = {}
        self._costs = costs
        self.calls = OpenCalls()
        self._admission = Admission(self.calls, self._costs, raise_as=CrewRefusal, prefix="crewai")
        self.charged = 0  # calls that were admitted
        self.denied: set[str] = set()  # runs of tools that the model is about to be told of
        self._running: dict[str, str] = {}  # the tool, by the event that began its run
        self._undelivered: dict[str | None, BudgetExceeded] = {}  # refusals of tools, by scope
        self.provisional: ContextVar[OpenCall | None] = ContextVar("bursar_crewai_provisional", default=None)

    def __call__(self, source: Any, event: Any) -> None:
        """Called with each event. Raises: `BursarError`: then the call is not made."""
        if event.type == "llm_call_started":
            self.model_starts(source, event)
        elif event.type == "tool_usage_started":
            self.tool_starts(source, event)
        elif event.type.endswith("_started"):
            self._begins(source, event)
        elif event.type.endswith(_ENDS):
            self._ends(source, event)

    # -- before a call --------------------------------------------------------------------------

    @fails_closed(CrewRefusal)
    def model_starts(self, llm: Any, event: Any) -> None:
        """Called before a model is asked. Raises: `BursarError`: then it is not asked."""
        self.withdraw_provisional()
        if (refusal := self._undelivered.pop(event.parent_event_id, None)) is not None:
            raise refusal  # of a tool, and this CrewAI made a message for the model of it
        labels = self._scopes.of(event)
        asked = read_request(event)
        kind = type(llm).__module__, type(llm).__qualname__
        call = OpenCall(event.call_id, (event,), event.parent_event_id)
        self.admit(call, asked, {**labels, "models": event.model}, sdk_of(llm), kind)

    @fails_closed(CrewRefusal)
    def tool_starts(self, source: Any, event: Any) -> None:
        """Called before a tool runs. Raises: `BursarError`: then it does not run."""
        name = sanitize_tool_name(event.tool_name)
        self._begins(source, event)
        of_a_plan = self._running.get(event.parent_event_id) == name  # a step of it tells of the run, too
        self._running[event.event_id] = name
        if of_a_plan or _is_cached(getattr(source, "tools_handler", None), name, event.tool_args):
            return
        call = OpenCall(event.event_id, (event,), event.parent_event_id, is_tool=True)
        try:
            asked = {"tool": name, "cost": self._tool_prices.get(name), "messages": [event.tool_args]}
            self.admit(call, asked, {**self._scopes.of(event), "tools": name})
        except BudgetExceeded as refusal:
            if not self.tells or type(source).__name__ not in _ASK_HOOKS:
                self._undelivered.update(dict.fromkeys((event.event_id, event.parent_event_id), refusal))
                raise
            self._payers.session.handled(refusal)  # the hook that comes next tells the model
            self.denied.add(event.event_id)

    @fails_closed(CrewRefusal)
    def parsed_tool_starts(self, context: Any, parent: str | None) -> None:
        """Called before CrewAI uses a tool that it read from a text: its event comes later, amid the run.

        Raises:
            BursarError: it does not fit; nothing is held for it yet.
        """
        name = sanitize_tool_name(context.tool_name)
        handler = getattr(context.agent, "tools_handler", None)
        if parent in self._running or _is_cached(handler, name, context.tool_input):
            return
        labels = {**labels_of(context.agent, context.task), "tools": name}
        call = OpenCall(("probe", object()), parent=parent, is_tool=True)
        try:
            self.admit(call, {"tool": name, "cost": self._tool_prices.get(name)}, labels)
        except BudgetExceeded as refusal:
            self._payers.session.handled(refusal)
            raise
        self.calls.take(call.key)
        call.withdraw()
        self.tasks.settle(call)
        self._costs.close(call.key)

    def admit(
        self,
        call: OpenCall,
        asked: dict[str, Any],
        labels: Mapping[str, str],
        sdk: str | None = None,
        kind: tuple[str, str] | None = None,
    ) -> None:
        """Reserve for a call, or promise to pay for what the SDK sends.

        Raises:
            BursarError: the call must not be made.
        """
        payer = self._payers.payer([labels["agents"]] if "agents" in labels else [])
        name = asked.get("model") or asked["tool"]
        call.metadata = labels

        def admit() -> None:
            sent_by = sdk if sdk is not None and may_fit(payer, asked) else None
            if self._admission.admit(call, payer, asked, name=name, sdk=sent_by, kind=kind):
                self._let_the_task_pay(labels.get("tasks"), call, payer)
                self.charged += 1

        try:
            admit()
        except BudgetExceeded as refusal:
            if self._on_budget is None or self._on_budget(refusal) is not True:
                raise
            payer.session.handled(refusal)
            admit()

    def _let_the_task_pay(self, task: str | None, call: OpenCall, payer: Payer) -> None:
        try:
            self.tasks.pay(task, call)
        except BursarError as error:
            self.calls.take(call.key)
            call.withdraw()
            raise self._admission.refused(error, payer) from None

    def withdraw_provisional(self) -> None:
        """What the hook reserved for a model that tells of its calls after all is not needed."""
        call = self.provisional.get()
        if call is not None:
            self.provisional.set(None)
            if self.calls.take(call.key) is not None and call.is_open:
                call.withdraw()
                self.tasks.settle(call)

    def lose_provisional(self) -> None:
        """The call before this one had an answer that no hook was asked about, or an error."""
        call = self.provisional.get()
        if call is not None and self.calls.take(call.key) is not None and call.is_open:
            self.calls.lose(call)
            self.tasks.settle(call)

    # -- after it, and around it ----------------------------------------------------------------

    @never_breaks
    def _begins(self, source: Any, event: Any) -> None:
        self._scopes.begin(event)
        kind = event.type.removesuffix("_started")
        if kind in _RUNS and (kind, id(source)) not in self._runs:
            self._runs[kind, id(source)] = Run()

    def _ends(self, source: Any, event: Any) -> None:
        if event.type.startswith("llm_call"):
            self._model_ends(source, event)
        elif event.type.startswith("tool_usage"):
            self._tool_ends(event)
        else:
            self._scope_ends(source, event)
        if event.type in _SWALLOWERS and (refusal := being_handled()) is not None:
            raise refusal

    @never_breaks
    def _model_ends(self, llm: Any, event: Any) -> None:
        call = self.calls.take(event.call_id)
        if call is None:
            return  # a failure is told twice
        if call.is_open:  # else a covered SDK has booked it
            _book(call, event, llm)
        self.tasks.settle(call)
        self._costs.close(call.key)

    @never_breaks
    def _tool_ends(self, event: Any) -> None:
        self.denied.discard(event.started_event_id)
        self._running.pop(event.started_event_id, None)
        call = self.calls.take(event.started_event_id)
        if call is None:
            return
        failure = getattr(event, "failure", None)
        unused = failure is not None and failure.reason in _BEFORE_IT_RAN
        if getattr(event, "from_cache", False) or unused:
            call.withdraw()
        else:
            call.pay()
        self.tasks.settle(call)
        self._costs.close(call.key)

    @never_breaks
    def _scope_ends(self, source: Any, event: Any) -> None:
        kind = next((event.type.removesuffix(end) for end in _ENDS if event.type.endswith(end)), "")
        run = self._runs.pop((kind, id(source)), None)
        delivered = being_handled()
        for scope, refusal in list(self._undelivered.items()):
            if refusal is delivered or scope == event.started_event_id:
                self._undelivered.pop(scope, None)
        if event.started_event_id is not None:
            self.calls.sweep(event.started_event_id, sys.exc_info()[1])
        if run is not None:
            failed = event.type.endswith(("_failed", "_error"))
            run.close(BursarError() if failed else None)


def _book(call: OpenCall, event: Any, llm: Any) -> None:
    if event.type == "llm_call_completed":
        call.settle(read_result(event, llm))
    elif (error := sys.exc_info()[1]) is not None:  # the event has a text only
        call.fail(error)
    else:
        call.lose()


def _is_cached(handler: Any, tool: str, arguments: Any) -> bool:
    """True where CrewAI is about to take the result from its cache; the event of the end may not say so."""
    cache = getattr(handler, "cache", None)
    if cache is None:
        return False
    if isinstance(arguments, str):  # as the model wrote them
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return False
    return cache.read(tool=tool, input=json.dumps(arguments) if arguments else "") is not None

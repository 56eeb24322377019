"""The hooks of CrewAI: for models that tell of no call, tools that are denied, and agents that are to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crewai.events.event_context import get_current_parent_id
from crewai.hooks.dispatch import InterceptionPoint, get_scoped_hooks, scoped_hooks

from bursar import Alert, AlertKind, Budget
from bursar.integration import OpenCall, Result, fails_closed, never_breaks

from ._breakdown import labels_of
from ._refusal import CrewRefusal
from ._sink import Sink

WRAP_UP = (
    "The budget of this work is almost used up. Come to an end now: give your final answer with what you"
    " have, and call no more tools."
)


class Hooks:
    """Hooks of one middleware, for all that runs in its context.

    Args:
        sink: reserves.
        budget: whose soft limit tells the agents to wrap up; None: nothing does.
    """

    def __init__(self, sink: Sink, budget: Budget | None) -> None:
        self._sink = sink
        self._wrap_up = False
        if budget is not None:
            budget.on_alert(self._hear)

    def enter(self) -> Callable[[], None]:
        """Be asked in this context. Returns: what ends it."""
        ours: dict[InterceptionPoint, Callable[[Any], None]] = {
            InterceptionPoint.PRE_MODEL_CALL: self.before_model,
            InterceptionPoint.POST_MODEL_CALL: self.after_model,
            InterceptionPoint.PRE_TOOL_CALL: self.before_tool,
        }
        hooks = {point: get_scoped_hooks(point) for point in InterceptionPoint}
        for point, hook in ours.items():
            hooks[point].append(hook)
        scope = scoped_hooks(hooks)
        scope.__enter__()
        return lambda: scope.__exit__(None, None, None) and None

    @fails_closed(CrewRefusal)
    def before_model(self, context: Any) -> None:
        """Called before a model is asked. Raises: `BursarError`: then it is not asked."""
        if self._wrap_up and context.executor is not None:
            _tell_to_wrap_up(context.messages)
        if _tells_of_its_calls(context.llm):
            return
        self._sink.lose_provisional()
        labels = {"models": context.llm.model, **labels_of(context.agent, context.task)}
        call = OpenCall(("hook", object()), parent=get_current_parent_id())
        asked = {
            "model": context.llm.model,
            "messages": context.messages,
            "max_output_tokens": getattr(context.llm, "max_tokens", None),
        }
        self._sink.admit(call, asked, labels)
        self._sink.provisional.set(call)

    @never_breaks
    def after_model(self, context: Any) -> None:
        """Called with the answer: a model that says nothing of its usage is booked at its worst case."""
        call = self._sink.provisional.get()
        if call is None or _tells_of_its_calls(context.llm):
            return
        self._sink.provisional.set(None)
        if self._sink.calls.take(call.key) is not None and call.is_open:
            call.settle(Result(finished=True))
        self._sink.tasks.settle(call)

    def before_tool(self, context: Any) -> None:
        """Called before a tool runs. Raises: `CrewRefusal`: CrewAI tells the model that it is not run."""
        parent = get_current_parent_id()
        if parent in self._sink.denied:
            raise CrewRefusal(f"the budget does not allow the tool {context.tool_name}")
        if self._sink.tells:
            self._sink.parsed_tool_starts(context, parent)

    def _hear(self, alert: Alert) -> None:
        self._wrap_up = self._wrap_up or alert.kind is AlertKind.SOFT_LIMIT


def _tells_of_its_calls(llm: Any) -> bool:
    """True for the models of CrewAI itself; one of the user's may emit no events."""
    module: str = type(llm).call.__module__
    return module.startswith("crewai.")


def _tell_to_wrap_up(messages: list[Any]) -> None:
    if not any(message.get("content") == WRAP_UP for message in messages):
        messages.append({"role": "user", "content": WRAP_UP})

"""Agents with ``early_stopping_method="generate"``: a refusal brings a closing answer, from the reserve."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from llama_index.core.agent.workflow import AgentOutput, AgentWorkflow
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.llms import ChatMessage

from bursar import BudgetExceeded, Session
from bursar.integration import Payee

from . import _managers
from ._classes import swap_class
from ._instrumentation import Span

_CLOSING = "_generate_early_stopping_response"
_ENDS = "__bursar_ends__"
_NO_MORE = 10**9  # iterations: an agent that has made so many comes to its end
_closed: WeakSet[Session] = WeakSet()  # those that have paid for a closing answer in place of a refusal


def hear(span: Span) -> None:
    """An agent, or a workflow of agents, begins to run: let it close from the reserve of who pays, if any.

    A LlamaIndex that has no closing answers is left alone.
    """
    runner = span.instance
    if span.method != "run" or not hasattr(runner, _CLOSING):
        return
    if isinstance(runner, AgentWorkflow):
        _end_well(runner, list(runner.agents.values()))
    elif isinstance(runner, BaseWorkflowAgent):
        _end_well(runner, [runner])


def _end_well(runner: Any, agents: list[Any]) -> None:
    sessions = [session for agent in agents if (session := _session_of(agent)) is not None]
    if any(session.keeps_reserve for session in sessions):
        for one in {id(one): one for one in (runner, *agents)}.values():
            if not hasattr(one, _ENDS):
                swap_class(one, type(one), _methods(type(one)))


def _session_of(agent: Any) -> Session | None:
    """Who pays for what an agent asks its model."""
    payers = _managers.payers_of(agent.llm.callback_manager)
    return next((payer.session for payer in payers if isinstance(payer, Payee)), None)


def _methods(kind: Any) -> dict[str, Any]:
    """What is different in an agent, or a workflow, that ends well."""
    close, step = getattr(kind, _CLOSING), getattr(kind, "take_step", None)

    async def closing(self: Any, ctx: Any, *args: Any) -> Any:
        agent = self if step is not None else self.agents[args[0].current_agent_name]
        session = _session_of(agent)
        if session is None:
            return await close(self, ctx, *args)
        with session.finalize():
            return await close(self, ctx, *args)

    async def take_step(self: Any, ctx: Any, llm_input: Any, tools: Any, memory: Any) -> Any:
        try:
            return await step(self, ctx, llm_input, tools, memory)  # type: ignore[misc]
        except BudgetExceeded as refusal:
            session = _session_of(self)
            generates = await ctx.store.get("early_stopping_method", default="force") == "generate"
            if not generates or session is None or not session.keeps_reserve or session in _closed:
                raise
            _closed.add(session)
            session.handled(refusal)
        return await _last_step(self, ctx, memory)

    return {_CLOSING: closing, _ENDS: True, **({} if step is None else {"take_step": take_step})}


async def _last_step(agent: Any, ctx: Any, memory: Any) -> AgentOutput:
    """What is known so far goes to the memory, and LlamaIndex asks for the closing answer."""
    key = getattr(agent, "reasoning_key", "")
    if key and (reasoning := await ctx.store.get(key, default=[])):
        known = "\n".join(step.get_content() for step in reasoning)
        await memory.aput(ChatMessage(role="assistant", content=known))
    nothing = ChatMessage(role="assistant", content="")
    output = AgentOutput(response=nothing, tool_calls=[], raw=None, current_agent_name=agent.name)
    await agent.finalize(ctx, output, memory)
    await ctx.store.set("num_iterations", _NO_MORE)
    return output

"""Agents with ``early_stopping_method="generate"``: a refusal brings a closing answer, from the reserve."""

from __future__ import annotations

from typing import Any

from llama_index.core.agent.workflow import AgentOutput
from llama_index.core.llms import ChatMessage

from bursar import BudgetExceeded

from . import _managers
from ._adapter import BudgetCallback
from ._classes import swap_class

_CLOSING = "_generate_early_stopping_response"
_ENDS = "__bursar_ends__"
_NO_MORE = 10**9  # iterations: an agent that has made so many comes to its end


def end_well(kind: Any) -> dict[str, Any]:
    """The methods that let an agent, or a workflow of agents, close from the finalization reserve.

    Args:
        kind: its class. One of a LlamaIndex that has no closing answers has no such methods.
    """
    close, step = getattr(kind, _CLOSING, None), getattr(kind, "take_step", None)
    if close is None:
        return {}

    async def closing(self: Any, *args: Any, **kwargs: Any) -> Any:
        handler = _managers.innermost()
        if not isinstance(handler, BudgetCallback):
            return await close(self, *args, **kwargs)
        with handler.session.finalize():
            return await close(self, *args, **kwargs)

    async def take_step(self: Any, ctx: Any, llm_input: Any, tools: Any, memory: Any) -> Any:
        try:
            return await step(self, ctx, llm_input, tools, memory)  # type: ignore[misc]
        except BudgetExceeded as refusal:
            handler = _managers.innermost()
            generates = await ctx.store.get("early_stopping_method", default="force") == "generate"
            if not generates or not isinstance(handler, BudgetCallback) or not handler.may_close():
                raise
            handler.session.handled(refusal)
        return await _last_step(self, ctx, memory)

    return {_CLOSING: closing, **({} if step is None else {"take_step": take_step}), _ENDS: True}


def end_agents_well(workflow: Any) -> None:
    """The same for the agents of a workflow; whose budget it is, its run says."""
    for agent in getattr(workflow, "agents", {}).values():
        kind = type(agent)
        if not hasattr(kind, _ENDS) and (methods := end_well(kind)):
            swap_class(agent, kind, methods)


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

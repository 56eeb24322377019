"""Budgets for agents and teams that exist already: their clients, tools, and all that is below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from autogen_agentchat.agents import CodeExecutorAgent
from autogen_agentchat.base import ChatAgent, Team
from autogen_core.code_executor import CodeBlock, CodeResult
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import BaseTool, StaticWorkbench, Workbench

from .._spender import Spender
from ._client import BudgetedChatCompletionClient
from ._ending import ToolDenial, end_well
from ._termination import BudgetTermination
from ._tools import BudgetedWorkbench, budgeted_workbench

CODE = "code_execution"  # the name of the tool that runs code


def spend_from(runner: Any, spender: Spender, on_tool_denied: ToolDenial = "tell") -> None:
    """Let an agent or a team, and all that is below it, spend from one budget.

    Raises:
        ValueError: a team has run already, and keeps the clients that it began with.
    """
    for found in list(_below(runner, set())):
        _spend(found, spender, on_tool_denied)


def name_of(runner: Any) -> str:
    """Of an agent or a team; before 0.7 a team has none but that of its kind."""
    return str(getattr(runner, "name", type(runner).__name__))


def _below(runner: Any, seen: set[int]) -> Iterator[Any]:
    """It, and the agents and teams in its attributes, their lists, and their tools."""
    if id(runner) in seen:
        return
    seen.add(id(runner))
    yield runner
    for value in _members(runner):
        if isinstance(value, ChatAgent | Team):
            yield from _below(value, seen)


def _members(runner: Any) -> Iterator[Any]:
    for value in list(vars(runner).values()):
        for item in value if isinstance(value, list | tuple) else [value]:
            bench = item
            while isinstance(bench, BudgetedWorkbench):
                bench = bench.workbench
            if isinstance(bench, StaticWorkbench):
                yield from (getattr(tool, "_task_runner", None) for tool in bench._tools)
            elif isinstance(item, BaseTool):
                yield getattr(item, "_task_runner", None)
            else:
                yield item


def _spend(runner: Any, spender: Spender, on_tool_denied: ToolDenial) -> None:
    if getattr(runner, "_initialized", False):
        raise ValueError(f"{name_of(runner)!r} has run already; give budgeted() a team before its first run")
    for attribute, value in list(vars(runner).items()):
        paid = _with_budget(value, spender, name_of(runner))
        if paid is not value:
            setattr(runner, attribute, paid)
    if isinstance(runner, CodeExecutorAgent):
        _pay_code(runner, spender)
    if isinstance(runner, ChatAgent) and (spender.stops or on_tool_denied == "raise"):
        end_well(runner, spender, on_tool_denied)
    if isinstance(runner, Team) and spender.stops and hasattr(runner, "_termination_condition"):
        own, given = BudgetTermination(spender.session), runner._termination_condition
        runner._termination_condition = own if given is None else own | given


def _with_budget(value: Any, spender: Spender, name: str) -> Any:
    if isinstance(value, ChatCompletionClient):
        return value if _pays(value, spender) else BudgetedChatCompletionClient(value, spender, name=name)
    if isinstance(value, Workbench):
        return budgeted_workbench(value, spender, name)
    if isinstance(value, list | tuple) and any(isinstance(item, Workbench) for item in value):
        return [_with_budget(item, spender, name) for item in value]
    return value


def _pays(client: Any, spender: Spender) -> bool:
    """True where a wrapper in it spends from the same session."""
    while isinstance(client, BudgetedChatCompletionClient):
        if client.session.is_same_account(spender.session):
            return True
        client = client.client
    return False


def _pay_code(agent: CodeExecutorAgent, spender: Spender) -> None:
    """Let each run of code be one of the tool ``"code_execution"``."""
    execute = agent.execute_code_block

    async def paid(code_blocks: Sequence[CodeBlock], *args: Any, **kwargs: Any) -> CodeResult:
        try:
            call = spender.admit_tool(agent.name, CODE, [block.code for block in code_blocks])
        except Exception as error:
            spender.handled(error)
            return CodeResult(exit_code=1, output=f"The budget does not allow this run: {error}")
        try:
            return await execute(list(code_blocks), *args, **kwargs)
        finally:
            spender.pay_tool(call)

    setattr(agent, "execute_code_block", paid)  # noqa: B010 - mypy: a method

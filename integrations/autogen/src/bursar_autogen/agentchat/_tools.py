"""Workbenches whose tools are paid for. A refused tool is told to the model, and never raised.

A workbench that raises hangs its agent for good: AutoGen waits for the end of a queue that never comes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from autogen_core import CancellationToken, Component, ComponentModel
from autogen_core.tools import (
    StaticStreamWorkbench,
    TextResultContent,
    ToolResult,
    ToolSchema,
    Workbench,
)
from pydantic import BaseModel

from bursar import BudgetExceeded, get_session
from bursar.integration import OpenCall

from .._spender import Spender
from ._components import BudgetConfig, dumped, loaded


class BudgetedWorkbenchConfig(BaseModel):
    """How a `BudgetedWorkbench` is written down."""

    workbench: ComponentModel
    budget: BudgetConfig
    name: str | None = None


class BudgetedWorkbench(Workbench, Component[BudgetedWorkbenchConfig]):
    """A workbench whose tools run only if they are affordable.

    Args:
        workbench: whose tools are to be paid for.
        spender: who pays.
        name: of the agent that runs them.

    Attributes:
        denied: the newest refusal that was told to the model, until `take_denied`.
    """

    component_config_schema = BudgetedWorkbenchConfig
    component_provider_override = "bursar_autogen.agentchat.BudgetedWorkbench"

    def __init__(self, workbench: Workbench, spender: Spender, name: str | None = None) -> None:
        self.workbench = workbench
        self._spender = spender
        self._name = name
        self.denied: BudgetExceeded | None = None

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Run a tool, if it is affordable."""
        admitted = self._admit(name, arguments)
        if isinstance(admitted, ToolResult):
            return admitted
        try:
            result = await self.workbench.call_tool(name, arguments, cancellation_token, call_id)
        except BaseException as error:
            self._spender.pay_tool(admitted, error)
            raise
        self._spender.pay_tool(admitted)
        return result

    def _admit(self, tool: str, arguments: Mapping[str, Any] | None) -> OpenCall | ToolResult:
        """The call that is paid for, or what the model is told instead. Never raises."""
        overridden = getattr(self.workbench, "_override_name_to_original", {})
        try:
            return self._spender.admit_tool(self._name, overridden.get(tool, tool), arguments)
        except Exception as error:
            if isinstance(error, BudgetExceeded):
                self.denied = error
                self._spender.handled(error)
            text = f"The budget does not allow this tool: {error}"
            return ToolResult(name=tool, result=[TextResultContent(content=text)], is_error=True)

    def take_denied(self) -> BudgetExceeded | None:
        """The newest refusal that was told to the model, once."""
        denied, self.denied = self.denied, None
        return denied

    async def list_tools(self) -> list[ToolSchema]:
        """The tools of the workbench."""
        return await self.workbench.list_tools()

    async def start(self) -> None:
        """Start the workbench."""
        await self.workbench.start()

    async def stop(self) -> None:
        """Stop the workbench."""
        await self.workbench.stop()

    async def reset(self) -> None:
        """Reset the workbench."""
        await self.workbench.reset()

    async def save_state(self) -> Mapping[str, Any]:
        """The state of the workbench."""
        return await self.workbench.save_state()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Load the state of the workbench."""
        await self.workbench.load_state(state)

    def _to_config(self) -> BudgetedWorkbenchConfig:
        return BudgetedWorkbenchConfig(
            workbench=self.workbench.dump_component(), budget=dumped(self._spender), name=self._name
        )

    @classmethod
    def _from_config(cls, config: BudgetedWorkbenchConfig) -> Any:
        workbench = Workbench.load_component(config.workbench)
        return budgeted_workbench(workbench, loaded(config.budget, get_session()), config.name)


class BudgetedStreamWorkbench(BudgetedWorkbench, StaticStreamWorkbench):  # type: ignore[misc]  # two schemas
    """The same for tools that stream: AutoGen looks for the class of their workbench."""

    component_config_schema = BudgetedWorkbenchConfig  # type: ignore[assignment]
    component_provider_override = "bursar_autogen.agentchat.BudgetedWorkbench"
    workbench: StaticStreamWorkbench

    async def call_tool_stream(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any | ToolResult, None]:
        """Run a tool, if it is affordable, and hand on what it tells meanwhile."""
        admitted = self._admit(name, arguments)
        if isinstance(admitted, ToolResult):
            yield admitted
            return
        try:
            async for event in self.workbench.call_tool_stream(name, arguments, cancellation_token, call_id):
                yield event
        except BaseException as error:
            self._spender.pay_tool(admitted, error)
            raise
        self._spender.pay_tool(admitted)


def budgeted_workbench(workbench: Workbench, spender: Spender, name: str | None) -> BudgetedWorkbench:
    """A workbench whose tools are paid for; itself, where they are already."""
    if isinstance(workbench, BudgetedWorkbench):
        return workbench
    kind = BudgetedStreamWorkbench if isinstance(workbench, StaticStreamWorkbench) else BudgetedWorkbench
    return kind(workbench, spender, name)

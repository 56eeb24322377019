"""Tools cost what the budget says; one that is refused is not run, and the model is told."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from autogen_agentchat.messages import ToolCallExecutionEvent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.tools import FunctionTool, StaticWorkbench, ToolResult

from bursar import Budget, BudgetExceeded
from bursar_autogen.agentchat import (
    BudgetedAssistantAgent,
    BudgetedCodeExecutorAgent,
    budgeted,
)

from .conftest import Script, agent, team_of

PRICES = {"search": "$0.10"}


class Search:
    """A tool that counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    async def search(self, query: str) -> str:
        """Look something up."""
        self.runs += 1
        return f"found {query}"

    async def broken(self, query: str) -> str:
        """Fail."""
        self.runs += 1
        raise ZeroDivisionError(query)


def test_tools_are_charged_at_their_prices(provider: Script) -> None:
    """Two runs in one turn at 10 cents, beside the model's answer."""
    tool = Search()
    provider.calls(("search", {"query": "a"}), ("search", {"query": "b"}))
    one = BudgetedAssistantAgent(
        "one", provider.openai(), budget="$1", tools=[tool.search], tool_prices=PRICES
    )
    provider.run(one.run(task="go"))
    assert tool.runs == 2
    assert one.spent == Decimal("0.20") + provider.provider.bill
    assert one.reserved == 0


@pytest.mark.parametrize(("limit", "runs"), [("$0.15", 1), ("$0.25", 2)])
def test_tool_that_does_not_fit_is_told_to_the_model(provider: Script, limit: str, runs: int) -> None:
    """The second search is refused by 15 cents and not by 25; the agent goes on either way."""
    tool = Search()
    provider.calls(("search", {"query": "a"}))
    provider.calls(("search", {"query": "b"}))
    provider.says("done")
    one = BudgetedAssistantAgent(
        "one",
        provider.openai(),
        budget=limit,
        tools=[tool.search],
        tool_prices=PRICES,
        max_tool_iterations=3,
    )
    with one.session:  # the model was told: nothing is raised at the end
        (result,) = provider.run(one.run(task="go"))
    assert result.messages[-1].content == "done"
    assert tool.runs == runs
    results = [event.content[0] for event in result.messages if isinstance(event, ToolCallExecutionEvent)]
    assert results[1].is_error is (runs == 1)
    assert ("budget does not allow" in results[1].content) is (runs == 1)
    assert one.spent == Decimal("0.10") * runs + provider.provider.bill


def test_denied_tool_raises_where_it_is_to(provider: Script) -> None:
    """on_tool_denied="raise": the refusal reaches the caller; the tool did not run, and nothing hangs."""
    tool = Search()
    provider.calls(("search", {"query": "a"}))
    one = BudgetedAssistantAgent(
        "one",
        provider.openai(),
        budget="$0.05",
        tools=[tool.search],
        tool_prices=PRICES,
        on_tool_denied="raise",
        max_tool_iterations=3,
    )
    with pytest.raises(BudgetExceeded) as caught:
        provider.run(one.run(task="go"))
    assert caught.value.tool == "search"
    assert (tool.runs, provider.sent) == (0, 1)


def test_tool_of_a_team_is_told_and_nothing_hangs(provider: Script) -> None:
    """The same in a team: one run fits, the next one is told to the model, and the team ends by itself."""
    tool = Search()
    for _ in range(3):
        provider.calls(("search", {"query": "a"}))
    team = budgeted(
        team_of("round robin", provider.openai(), 3, tools=[tool.search]), "$0.15", tool_prices=PRICES
    )
    provider.run(team.run(task="go"))
    assert tool.runs == 1
    assert provider.sent == 3
    assert team.spent == Decimal("0.10") + provider.provider.bill


def test_tool_that_fails_is_paid_for(provider: Script) -> None:
    """It has run: its price is charged, and the model is told of the error as ever."""
    tool = Search()
    provider.calls(("broken", {"query": "a"}))
    one = BudgetedAssistantAgent(
        "one", provider.openai(), budget="$1", tools=[tool.broken], tool_prices={"broken": "$0.10"}
    )
    provider.run(one.run(task="go"))
    assert tool.runs == 1
    assert one.spent == Decimal("0.10") + provider.provider.bill


def test_tools_of_a_workbench_are_charged(provider: Script) -> None:
    """A workbench that is given instead of tools; one that does not stream."""
    tool = Search()
    bench = StaticWorkbench([FunctionTool(tool.search, description="Look something up.")])
    provider.calls(("search", {"query": "a"}))
    one = BudgetedAssistantAgent("one", provider.openai(), budget="$1", workbench=bench, tool_prices=PRICES)
    provider.run(one.run(task="go"))
    assert tool.runs == 1
    assert one.spent == Decimal("0.10") + provider.provider.bill


def test_bug_before_a_tool_prevents_it_and_nothing_hangs(
    provider: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workbench must not raise: what goes wrong in the budget is told to the model; the tool does not run."""
    tool = Search()
    provider.calls(("search", {"query": "a"}))
    one = BudgetedAssistantAgent("one", provider.openai(), budget="$1", tools=[tool.search])

    def broken(*args: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(one.spender, "admit_tool", broken)
    provider.run(one.run(task="go"))
    assert tool.runs == 0


def test_bug_after_a_tool_breaks_nothing(provider: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is the model's, whatever goes wrong in the budget afterwards."""
    tool = Search()
    provider.calls(("search", {"query": "a"}))
    one = BudgetedAssistantAgent("one", provider.openai(), budget="$1", tools=[tool.search])

    def broken(call: object) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(one.spender, "_take", broken)
    (result,) = provider.run(one.run(task="go"))
    assert "found a" in result.messages[-1].content
    assert tool.runs == 1


@pytest.mark.parametrize("kind", [AgentTool, TeamTool])
def test_agent_that_is_a_tool_spends_from_the_same_budget(provider: Script, kind: type) -> None:
    """`budgeted` finds agents and teams in tools: their calls are charged, and theirs is the refusal, too."""
    provider.calls(("helper", {"task": "help"}))
    provider.says("helped")
    provider.says("done")
    helper = agent("helper", provider.openai())
    inner = helper if kind is AgentTool else RoundRobinGroupChat([helper], max_turns=1)
    tool = kind(inner) if kind is AgentTool else kind(inner, "helper", "helps")
    outer = budgeted(
        agent("outer", provider.openai(), tools=[tool], max_tool_iterations=2),
        session := Budget("$1").session(),
    )
    (result,) = provider.run(outer.run(task="go"))
    assert result.messages[-1].content == "done"
    assert provider.sent == session.calls == 3
    provider.assert_exact(session)
    assert set(parts_of(session)) == {"outer", "helper"}


class Counting(CodeExecutor):
    """Runs no code, and counts."""

    runs = 0

    async def execute_code_blocks(self, code_blocks: list[CodeBlock], cancellation_token: Any) -> CodeResult:
        self.runs += 1
        return CodeResult(exit_code=0, output="3")

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self) -> None: ...


@pytest.mark.parametrize(("limit", "runs"), [("$0.05", 0), ("$1", 1)])
def test_code_is_run_as_a_tool(provider: Script, limit: str, runs: int) -> None:
    """A run of code costs the price of ``"code_execution"``; where that does not fit, nothing is run."""
    provider.says("```python\nprint(1 + 2)\n```")
    executor = Counting()
    one = BudgetedCodeExecutorAgent(
        "coder",
        executor,
        model_client=provider.openai(),
        budget=limit,
        tool_prices={"code_execution": "$0.10"},
    )
    provider.run(one.run(task="1 + 2?"))
    assert executor.runs == runs
    assert one.spent == Decimal("0.10") * runs + provider.provider.bill
    assert one.reserved == 0


def test_result_of_a_tool_is_what_it_was(provider: Script) -> None:
    """The workbench that pays hands on the results, the state and the schemas of the one it is around."""
    tool = Search()
    one = BudgetedAssistantAgent("one", provider.openai(), budget="$1", tools=[tool.search])
    (bench,) = one._workbench
    (schemas, result, state) = provider.run(
        bench.list_tools(), bench.call_tool("search", {"query": "a"}), bench.save_state()
    )
    assert [schema["name"] for schema in schemas] == ["search"]
    assert isinstance(result, ToolResult) and result.to_text() == "found a"
    assert isinstance(state, Mapping)


def parts_of(session: Any) -> list[str]:
    return [child["session_id"] for child in session.report()["children"]]

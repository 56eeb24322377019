"""Dumped and loaded again, agents and teams keep their budget, and what was spent stays spent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.base import ChatAgent, Team
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import ComponentModel
from autogen_core.models import ChatCompletionClient, UserMessage
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor

from bursar import Budget, BudgetExceeded, BursarError
from bursar_autogen.agentchat import (
    BudgetedAssistantAgent,
    BudgetedChatCompletionClient,
    BudgetedCodeExecutorAgent,
    BudgetedTeam,
    BudgetedUserProxyAgent,
    BudgetTermination,
    _components,
    budgeted,
)

from .conftest import Script, team_of

QUESTION = [UserMessage(content="Why?", source="user")]


async def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def loaded(kind: Any, component: Any) -> Any:
    """By way of JSON."""
    dumped: ComponentModel = component.dump_component()
    secret = dumped.model_dump_json()
    raw = json.loads(secret)
    _open_keys(raw)
    return kind.load_component(raw)


def _open_keys(value: Any) -> None:
    """AutoGen writes keys as stars; a loaded client needs one."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "api_key":
                value[name] = "none"
            _open_keys(item)
    if isinstance(value, list):
        for item in value:
            _open_keys(item)


def test_loaded_client_spends_from_the_same_session(provider: Script) -> None:
    """One call before, one after: the third is refused by the same budget of two."""
    client = BudgetedChatCompletionClient(provider.openai(), Budget("2 calls"))
    again = loaded(ChatCompletionClient, client)
    assert isinstance(again, BudgetedChatCompletionClient)
    assert again.session is client.session
    with pytest.raises(BudgetExceeded):
        provider.run(client.create(QUESTION), again.create(QUESTION), again.create(QUESTION))
    assert provider.sent == 2


def test_loaded_agent_keeps_its_budget_and_its_tools_their_prices(provider: Script) -> None:
    """An agent with a tool that costs: loaded, it is refused the run that it cannot pay."""
    one = BudgetedAssistantAgent(
        "one",
        provider.openai(),
        budget="$0.05",
        tools=[add_tool()],
        tool_prices={"add": "$0.10"},
        on_tool_denied="raise",
    )
    again = loaded(ChatAgent, one)
    assert type(again) is BudgetedAssistantAgent
    assert again.session is one.session
    provider.calls(("add", {"a": 1, "b": 2}))
    with pytest.raises(BudgetExceeded, match="add"):
        provider.run(again.run(task="go"))


def test_loaded_code_executor_keeps_its_budget_and_its_prices(provider: Script, tmp_path: Path) -> None:
    """Its code costs a cent a run, and the money is for one: loaded, the second run is refused."""
    executor = LocalCommandLineCodeExecutor(work_dir=tmp_path)
    one = BudgetedCodeExecutorAgent(
        "one",
        executor,
        budget="$0.015",
        tool_prices={"code_execution": "$0.01"},
        on_budget="stop",
    )
    again = loaded(ChatAgent, one)
    assert type(again) is BudgetedCodeExecutorAgent
    assert again.session is one.session
    assert again.spender.on_budget == "stop"
    code = "```python\nprint('once')\n```"
    runs = [
        result.messages[-1].content for result in provider.run(again.run(task=code), again.run(task=code))
    ]
    assert "once" in runs[0]
    assert "The budget does not allow this run" in runs[1]
    assert str(one.spent) == "0.01"


def test_loaded_team_keeps_everything(provider: Script) -> None:
    """A budgeted team with a condition: the same budget, the same type of refusal, and no double charge."""
    budget = Budget("3 calls")
    team = budgeted(team_of("round robin", provider.openai()), budget, on_budget="stop")
    again = loaded(Team, team)
    assert isinstance(again, BudgetedTeam)
    (result,) = provider.run(again.run(task="go"))
    assert "Stopped by the budget" in result.stop_reason
    assert provider.sent == team.session.calls == 3
    provider.assert_exact(team)


def test_loaded_condition_and_proxy_keep_their_budget() -> None:
    """Their session is the one that they were dumped with."""
    session = Budget("$1").session()
    proxy = BudgetedUserProxyAgent("user", budget=session, description="a person")
    ends = BudgetTermination(session, at=0.5)
    team = RoundRobinGroupChat([proxy], termination_condition=ends)
    again: Any = loaded(Team, team)
    assert again._participants[0].session is session
    assert again._termination_condition.session is session
    assert again._participants[0].description == "a person"


def test_component_of_a_limit_loads_anywhere(provider: Script) -> None:
    """In a process that does not know the session, a limit text makes a new one of the same limit."""
    written = BudgetedChatCompletionClient(provider.openai(), "$0.25").dump_component()
    _components._spenders.clear()
    raw = json.loads(written.model_dump_json())
    _open_keys(raw)
    again: Any = ChatCompletionClient.load_component(raw)
    assert str(again.remaining) == "0.25"


def test_component_of_a_session_needs_the_session(provider: Script) -> None:
    """Elsewhere nothing says who pays: an error that says how; inside ``with session:`` it loads."""
    session = Budget("$1").session(id="run-7")
    raw = json.loads(
        BudgetedChatCompletionClient(provider.openai(), session).dump_component().model_dump_json()
    )
    _open_keys(raw)
    _components._spenders.clear()
    with pytest.raises(BursarError, match=r"session\(id='run-7'\)"):
        ChatCompletionClient.load_component(raw)
    with Budget("$1").session(id="run-7") as here:
        again: Any = ChatCompletionClient.load_component(raw)
    assert again.session is here


def test_function_cannot_be_dumped(provider: Script) -> None:
    """A component that would load without its on_budget is not written at all."""
    client = BudgetedChatCompletionClient(provider.openai(), "$1", on_budget=lambda refusal: True)
    with pytest.raises(BursarError, match="on_budget"):
        client.dump_component()


def add_tool() -> Any:
    from autogen_core.tools import FunctionTool

    return FunctionTool(add, description="Add.", name="add")

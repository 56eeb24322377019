"""Agents and workflows: each step is charged, the one that does not fit ends the run by its own error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import Settings
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from tests.integration.llamaindex.conftest import QUESTION, managed, run

from bursar import Budget, BudgetExceeded
from bursar.testing import Reply, ToolCall
from bursar_llamaindex import BudgetCallback, budget_llm, budgeted

if TYPE_CHECKING:
    from tests.integration.llamaindex.conftest import Script

THINKING = 'Thought: I need a tool.\nAction: weather\nAction Input: {"place": "Rome"}'
DONE = "Thought: I can answer.\nAnswer: sunny"


def weather(place: str) -> str:
    """Tell the weather."""
    return f"sunny in {place}"


def agent_of(kind: str, brand: str, provider: Script, streaming: bool = True, **more: Any) -> Any:
    """One that asks its model twice: for a tool, and for an answer."""
    if kind == "react":
        provider.says(THINKING)
        provider.says(DONE)
        agent: Any = ReActAgent(tools=[weather], llm=provider.model(brand), streaming=streaming)
    else:
        provider.calls(("weather", {"place": "Rome"}))
        provider.says("sunny")
        agent = FunctionAgent(
            name="writer", tools=[weather], llm=provider.model(brand), streaming=streaming, **more
        )
    return AgentWorkflow(agents=[agent], root_agent="writer") if kind == "workflow" else agent


async def ask(agent: Any) -> Any:
    return await agent.run("Weather?")


@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "whole"])
@pytest.mark.parametrize("brand", ["openai", "anthropic"])
@pytest.mark.parametrize("kind", ["function", "react", "workflow"])
@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("2 calls", 2), ("1 calls", 1), ("0 calls", 0)])
def test_a_run_makes_the_calls_that_fit(
    limit: str, sent: int, kind: str, brand: str, streaming: bool, provider: Script
) -> None:
    """A budget for k calls serves k; the refusal comes out of `await agent.run()` as it is."""
    budget = BudgetCallback(limit)
    Settings.callback_manager = managed(budget)
    agent = agent_of(kind, brand, provider, streaming)
    if sent == 2:
        assert "sunny" in str(run(ask(agent)))
    else:
        with pytest.raises(BudgetExceeded) as refused:
            run(ask(agent))
        assert type(refused.value) is BudgetExceeded
    assert provider.sent == sent
    assert budget.report()["breakdown"]["llm"]["calls"] == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("1 calls", 1)])
@pytest.mark.parametrize("kind", ["function", "react", "workflow"])
def test_a_budgeted_agent_pays_for_its_runs_only(kind: str, limit: str, sent: int, provider: Script) -> None:
    """Its model pays nothing when it is asked by somebody else, and `Settings` pays nothing for the runs."""
    others = BudgetCallback("$1")
    Settings.callback_manager = managed(others)
    session = Budget(limit).session()
    agent = budgeted(agent_of(kind, "openai", provider), session)
    if sent == 2:
        run(ask(agent))
    else:
        with pytest.raises(BudgetExceeded):
            run(ask(agent))
    assert provider.sent == sent
    provider.assert_exact(session)
    assert others.spent == 0
    provider.model().chat(QUESTION)
    assert others.spent > 0


def test_an_agent_that_was_budgeted_twice_pays_into_the_later_budget(provider: Script) -> None:
    """One charge a request, as with one budget."""
    first, second = Budget("$1").session(), Budget("$1").session()
    agent = budgeted(budgeted(agent_of("function", "openai", provider), first), second)
    assert isinstance(agent, FunctionAgent)
    run(ask(agent))
    provider.assert_exact(second)
    assert first.spent == 0


def test_something_that_cannot_run_cannot_be_budgeted() -> None:
    """The error names what is missing."""
    with pytest.raises(TypeError, match="a dict is no agent and no engine"):
        budgeted({}, "$1")


def two_agents(provider: Script) -> AgentWorkflow:
    """The researcher hands off to the writer, who answers."""
    provider.calls(("handoff", {"to_agent": "writer", "reason": "done"}))
    provider.says("written")
    researcher = FunctionAgent(
        name="researcher",
        description="finds",
        llm=provider.model(),
        tools=[weather],
        can_handoff_to=["writer"],
    )
    writer = FunctionAgent(name="writer", description="writes", llm=provider.model(), tools=[weather])
    return AgentWorkflow(agents=[researcher, writer], root_agent="researcher")


@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("0 calls", 1)])
def test_an_agent_of_a_workflow_has_a_limit_of_its_own(limit: str, sent: int, provider: Script) -> None:
    """The writer's limit stops the writer; the report has the cost of each."""
    budget = BudgetCallback("$1", agents={"writer": limit})
    Settings.callback_manager = managed(budget)
    workflow = two_agents(provider)
    if sent == 2:
        run(ask(workflow))
    else:
        with pytest.raises(BudgetExceeded, match="writer"):
            run(ask(workflow))
    assert provider.sent == sent
    provider.assert_exact(budget)
    costs = budget.report()["agents"]
    assert costs["researcher"] > 0
    assert (costs.get("writer", 0) > 0) == (sent == 2)
    assert sum(costs.values()) == pytest.approx(float(budget.spent))


def test_two_agents_on_one_model_pay_into_a_budget_each(provider: Script) -> None:
    """They run at once: the agent that asks the model pays."""
    one, other = Budget("$1").session(), Budget("$1").session()
    llm = provider.model()
    agents = [budgeted(FunctionAgent(tools=[weather], llm=llm), session) for session in (one, other)]

    async def both() -> None:
        await asyncio.gather(*(ask(agent) for agent in agents))

    run(both())
    assert provider.sent == 2
    assert one.spent == other.spent
    assert (one.spent + other.spent) * 10**9 == provider.bill_nanos


def long_agent(kind: str, provider: Script, streaming: bool = True) -> Any:
    """One whose calls may cost 6 tenths of a cent each: the first costs half of that, and wants the tool."""
    llm = provider.model(max_tokens=10_000)
    if kind == "react":
        provider.says(THINKING, output_tokens=5_000)
    else:
        tool = ToolCall("weather", {"place": "Rome"})
        provider.provider.script(Reply(tool_calls=[tool], output_tokens=5_000))
    provider.provider.always(Reply("closing", output_tokens=100))
    if kind == "react":
        return ReActAgent(tools=[weather], llm=llm, streaming=streaming)
    agent = FunctionAgent(name="writer", tools=[weather], llm=llm, streaming=streaming)
    return AgentWorkflow(agents=[agent], root_agent="writer") if kind == "workflow" else agent


@pytest.mark.needs("closing answers")
@pytest.mark.parametrize("payer", ["settings", "budgeted", "model"])
@pytest.mark.parametrize("kind", ["function", "react", "workflow"])
@pytest.mark.parametrize(
    ("limit", "reserve", "method"),
    [("$0.014", 0.5, "generate"), ("$0.007", 0, "generate"), ("$0.014", 0.5, "force")],
)
def test_a_refused_agent_closes_from_the_reserve_once(
    limit: str, reserve: float, method: Any, kind: str, payer: str, provider: Script
) -> None:
    """Money for one call, and a reserve: the refused second one brings a closing answer, which knows of the tool.

    Without a reserve, or where the agent is not to generate one, the refusal is raised; as it is the second time.
    """
    session = Budget(limit, finalization_reserve=reserve, clamp=False).session()
    agent = long_agent(kind, provider, streaming=payer == "budgeted")
    if payer == "settings":
        Settings.callback_manager = managed(BudgetCallback(session))
    elif payer == "budgeted":
        budgeted(agent, session)
    else:
        budget_llm(agent.agents["writer"].llm if kind == "workflow" else agent.llm, session)

    async def asked() -> Any:
        return await agent.run("Weather?", early_stopping_method=method)

    closes = bool(reserve) and method == "generate"
    if closes:
        assert "closing" in str(run(asked()))
        assert "sunny in Rome" in str(provider.provider.served[-1].body["messages"])
    with pytest.raises(BudgetExceeded):
        run(asked())
    assert provider.sent == 1 + closes
    provider.assert_exact(session)


@pytest.mark.needs("closing answers")
@pytest.mark.parametrize(("limit", "reserve", "sent"), [("$0.014", 0.5, 2), ("$0.007", 0, 1)])
@pytest.mark.parametrize("kind", ["function", "react", "workflow"])
def test_an_agent_that_has_made_all_its_steps_closes_from_the_reserve(
    limit: str, reserve: float, sent: int, kind: str, provider: Script
) -> None:
    """LlamaIndex ends the run by itself: its closing call may use what is kept for it."""
    session = Budget(limit, finalization_reserve=reserve, clamp=False).session()
    agent = budgeted(long_agent(kind, provider), session)

    async def asked() -> Any:
        return await agent.run("Weather?", early_stopping_method="generate", max_iterations=1)

    if sent == 2:
        assert "closing" in str(run(asked()))
    else:
        with pytest.raises(BudgetExceeded):
            run(asked())
    assert provider.sent == sent
    provider.assert_exact(session)

"""Tools cost their price when they run, and not when they do not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from crewai import Crew
from crewai.agent.planning_config import PlanningConfig
from crewai.tools import BaseTool

from bursar import Budget, BudgetExceeded, Limit
from bursar.testing import Reply, ToolCall
from bursar_crewai import BudgetMiddleware

if TYPE_CHECKING:
    from tests.integration.crewai.conftest import Script


class Search(BaseTool):
    """A tool that counts its runs."""

    name: str = "web search"
    description: str = "Search the web."
    runs: int = 0
    broken: bool = False

    def _run(self, query: str) -> str:
        self.runs += 1
        if self.broken:
            raise RuntimeError("no network")
        return f"found {query}"


PRICES = {"web search": "$0.01"}


def crew_with(provider: Script, search: BaseTool, *, react: bool = False, **settings: Any) -> Crew:
    llm = provider.llm()
    if react:
        object.__setattr__(llm, "supports_function_calling", lambda: False)
    agent = provider.agent(tools=[search], llm=llm, **settings)
    return Crew(agents=[agent], tasks=[provider.task(agent)], cache=settings.get("cache", False))


def asks(provider: Script, *queries: str, react: bool = False) -> None:
    for query in queries:
        if react:
            provider.says(f'Thought: I search.\nAction: web_search\nAction Input: {{"query": "{query}"}}')
        else:
            provider.calls(("web_search", {"query": query}))
    provider.says("Thought: I now know.\nFinal Answer: ok")


def assert_paid(budget: BudgetMiddleware, provider: Script, runs: int) -> None:
    """The models by the bill, and each run of the tool at a cent."""
    assert budget.spent * 10**9 == provider.provider.bill_nanos + runs * 10**7
    assert budget.reserved == 0


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("react", [False, True], ids=["native", "react"])
@pytest.mark.parametrize(("limit", "runs", "sent"), [("$1", 2, 3), ("$0.015", 1, 2)])
def test_a_tool_that_does_not_fit_does_not_run(
    limit: str, runs: int, sent: int, react: bool, asynchronous: bool, provider: Script
) -> None:
    """Each run costs its price; one that does not fit ends the crew before it begins."""
    search = Search()
    asks(provider, "sky", "sea", react=react)
    crew = crew_with(provider, search, react=react)
    budget = BudgetMiddleware(limit, tool_prices=PRICES)

    def run() -> Any:
        return asyncio.run(crew.akickoff()) if asynchronous else crew.kickoff()

    if runs == 2:
        with budget:
            assert run().raw.endswith("ok")
    else:
        with pytest.raises(BudgetExceeded) as refused, budget:
            run()
        assert refused.value.tool == "web_search"
    assert (search.runs, provider.sent) == (runs, sent)
    assert_paid(budget, provider, runs)


def test_prices_of_the_budget_hold(provider: Script) -> None:
    """A price that the budget has, under the name that CrewAI gives the tool, is charged without another one."""
    search = Search()
    asks(provider, "sky")
    budget = BudgetMiddleware(Budget("$1", tool_prices={"web_search": "$0.01"}))
    with budget:
        crew_with(provider, search).kickoff()
    assert budget.report()["tools"] == {"web_search": 0.01}
    assert_paid(budget, provider, 1)


@pytest.mark.parametrize(("count", "runs"), [(5, 3), (2, 2)])
def test_a_limit_on_runs(count: int, runs: int, provider: Script) -> None:
    """`Limit("n calls", tool=...)` counts runs of the tool, not calls of models."""
    search = Search()
    asks(provider, "sky", "sea", "air")
    budget = BudgetMiddleware(Budget(Limit(f"{count} calls", tool="web_search")))
    if runs == 3:
        with budget:
            crew_with(provider, search).kickoff()
    else:
        with pytest.raises(BudgetExceeded), budget:
            crew_with(provider, search).kickoff()
    assert search.runs == runs
    provider.assert_exact(budget)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("react", [False, True], ids=["native", "react"])
@pytest.mark.parametrize(("limit", "runs"), [("$1", 2), ("$0.015", 1)])
def test_the_model_may_be_told(
    limit: str, runs: int, react: bool, asynchronous: bool, provider: Script
) -> None:
    """With ``"tell"`` a refused tool does not run, the model hears of it, and the crew answers without."""
    search = Search()
    asks(provider, "sky", "sea", react=react)
    budget = BudgetMiddleware(limit, tool_prices=PRICES, on_tool_denied="tell")
    crew = crew_with(provider, search, react=react)
    with budget:
        output = asyncio.run(crew.akickoff()) if asynchronous else crew.kickoff()
    assert output.raw.endswith("ok")
    assert (search.runs, provider.sent) == (runs, 3)
    assert _is_told(provider) == (runs == 1)
    assert_paid(budget, provider, runs)


@pytest.mark.parametrize("react", [False, True], ids=["native", "react"])
@pytest.mark.parametrize(("limit", "runs"), [("$1", 2), ("$0.015", 1)])
def test_the_model_of_an_agent_alone_may_be_told(
    limit: str, runs: int, react: bool, provider: Script
) -> None:
    """`Agent.kickoff`, without a crew: the same."""
    search = Search()
    asks(provider, "sky", "sea", react=react)
    llm = provider.llm()
    if react:
        object.__setattr__(llm, "supports_function_calling", lambda: False)
    with BudgetMiddleware(limit, tool_prices=PRICES, on_tool_denied="tell") as budget:
        assert provider.agent(tools=[search], llm=llm).kickoff("Why?").raw.endswith("ok")
    assert (search.runs, provider.sent) == (runs, 3)
    assert _is_told(provider) == (runs == 1)
    assert_paid(budget, provider, runs)


@pytest.mark.parametrize("denied", ["tell", "raise"])
@pytest.mark.parametrize("react", [False, True], ids=["native", "react"])
@pytest.mark.parametrize(("limit", "runs"), [("$1", 2), ("$0.015", 1)])
def test_tools_of_a_step_of_a_plan(limit: str, runs: int, react: bool, denied: Any, provider: Script) -> None:
    """A plan carries out its steps by itself, and tells of a run twice: it costs its price once."""
    search = Search()
    llm = provider.llm()
    if react:
        object.__setattr__(llm, "supports_function_calling", lambda: False)
    plan = {"plan": "Look.", "steps": [{"step_number": 1, "description": "look"}], "ready": True}
    told: list[str] = []

    def answer(request: Any) -> Reply:
        texts = str(request.body["messages"])
        if "strategic" in texts:
            call = ToolCall("create_reasoning_plan", plan)
            return Reply(tool_calls=[call], output_tokens=20)
        told.append(texts)
        query = ("sky", "sea")[len(told) - 1] if len(told) < 3 else ""
        if not query:
            return Reply("Thought: I now know.\nFinal Answer: ok", output_tokens=5)
        if react:
            text = f'Thought: I search.\nAction: web_search\nAction Input: {{"query": "{query}"}}'
            return Reply(text, output_tokens=20)
        return Reply(tool_calls=[ToolCall("web_search", {"query": query})], output_tokens=20)

    provider.provider.always(answer)
    config = PlanningConfig(max_attempts=1, reasoning_effort="low", llm=provider.llm())
    agent = provider.agent(tools=[search], llm=llm, planning_config=config)
    crew = Crew(agents=[agent], tasks=[provider.task(agent)])
    budget = BudgetMiddleware(limit, tool_prices=PRICES, on_tool_denied=denied)
    if runs == 2 or denied == "tell":
        with budget:
            crew.kickoff()
        assert ("blocked by hook" in told[2]) == (runs == 1)
    else:
        with pytest.raises(BudgetExceeded), budget:
            crew.kickoff()
    assert search.runs == runs
    assert_paid(budget, provider, runs)


def _is_told(provider: Script) -> bool:
    return "blocked by hook" in str(provider.bodies[-1]["messages"])


@pytest.mark.parametrize("react", [False, True], ids=["native", "react"])
def test_a_hit_of_the_cache_is_free(react: bool, provider: Script) -> None:
    """The same query again comes from CrewAI's cache: the tool does not run, and costs nothing."""
    search = Search()
    asks(provider, "sky", "sea", "sky", react=react)
    with BudgetMiddleware("$1", tool_prices=PRICES) as budget:
        crew_with(provider, search, react=react, cache=True).kickoff()
    assert search.runs == 2
    assert_paid(budget, provider, 2)


@pytest.mark.parametrize("react", [False, True], ids=["native", "react"])
def test_a_hit_of_the_cache_needs_no_money(react: bool, provider: Script) -> None:
    """With money for one run a second one with the same query, which does not run, is let through."""
    search = Search()
    asks(provider, *["sky"] * (1 if react else 2), react=react)
    with BudgetMiddleware("$0.015", tool_prices=PRICES) as budget:
        crew = crew_with(provider, search, react=react, cache=True)
        crew.kickoff()
        if react:  # it does not repeat a call at once
            asks(provider, "sky", react=True)
            crew.kickoff()
    assert search.runs == 1
    assert_paid(budget, provider, 1)


def test_a_tool_that_fails_has_run(provider: Script) -> None:
    """What a tool raises goes to the model; the run is paid."""
    search = Search(broken=True)
    asks(provider, "sky")
    with BudgetMiddleware("$1", tool_prices=PRICES) as budget:
        crew_with(provider, search).kickoff()
    assert search.runs == 1
    assert_paid(budget, provider, 1)


def test_a_tool_past_its_own_limit_is_free(provider: Script) -> None:
    """CrewAI does not run a tool past its ``max_usage_count``; what was held is given back."""
    search = Search(max_usage_count=1)
    asks(provider, "sky", "sea")
    with BudgetMiddleware("$1", tool_prices=PRICES) as budget:
        crew_with(provider, search).kickoff()
    assert search.runs == 1
    assert_paid(budget, provider, 1)


def test_tools_at_once_run_as_far_as_they_fit(provider: Script) -> None:
    """Of three calls in one answer two fit: no more run."""
    search = Search()
    provider.calls(*(("web_search", {"query": query}) for query in ("sky", "sea", "air")))
    budget = BudgetMiddleware("$0.025", tool_prices=PRICES)
    with pytest.raises(BudgetExceeded), budget:
        crew_with(provider, search).kickoff()
    assert search.runs <= 2
    assert_paid(budget, provider, search.runs)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 3), ("1 calls", 1)])
def test_a_model_that_a_tool_asks_is_charged(limit: str, sent: int, provider: Script) -> None:
    """A call inside of a tool is one of the crew's: charged by itself, and refused with its type."""

    class Asking(Search):
        def _run(self, query: str) -> str:
            return str(provider.llm().call(query))

    provider.calls(("web_search", {"query": "sky"}))
    budget = BudgetMiddleware(limit)
    if sent == 3:
        with budget:
            crew_with(provider, Asking()).kickoff()
    else:
        with pytest.raises(BudgetExceeded), budget:
            crew_with(provider, Asking()).kickoff()
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "runs"), [("$1", 1), ("$0.005", 0)])
def test_a_tool_of_a_call_without_an_agent(limit: str, runs: int, provider: Script) -> None:
    """`LLM.call` runs tools by itself, and would swallow the refusal: it gets out all the same."""
    search = Search()
    provider.calls(("web_search", {"query": "sky"}))
    schema = {
        "type": "function",
        "function": {"name": "web_search", "parameters": {"type": "object", "properties": {}}},
    }
    functions = {"web_search": search._run}
    budget = BudgetMiddleware(limit, tool_prices=PRICES)
    if runs:
        with budget:
            provider.llm().call("Why?", tools=[schema], available_functions=functions)
    else:
        with pytest.raises(BudgetExceeded), budget:
            provider.llm().call("Why?", tools=[schema], available_functions=functions)
    assert (search.runs, provider.sent) == (runs, 1)
    assert_paid(budget, provider, runs)


def test_a_refusal_that_was_dealt_with_is_not_raised_again(provider: Script) -> None:
    """Who caught the refusal of a tool may go on within the block, as far as the money goes."""
    asks(provider, "sky", "sea")
    with BudgetMiddleware("$0.015", tool_prices=PRICES) as budget:
        with pytest.raises(BudgetExceeded):
            crew_with(provider, Search()).kickoff()
        provider.llm().call("Why?")
        provider.agent("Writer").kickoff("Why?")
    assert provider.sent == 4
    assert_paid(budget, provider, 1)

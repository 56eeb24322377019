"""Tools: each run is counted and charged; a run that does not fit does not happen."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import BaseTool, tool
from langgraph.graph import END, START, MessagesState, StateGraph

from bursar import Budget, BudgetExceeded, Limit
from bursar_langchain import BudgetCallback, LangChainRefusal

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

PRICES = {"web_search": "$0.01"}


class Searches:
    """A tool that remembers its runs."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    @property
    def tool(self) -> BaseTool:
        @tool
        def web_search(query: str) -> str:
            """Search the web."""
            self.ran.append(query)
            if query == "broken":
                raise ValueError("no results")
            return f"found {query}"

        return web_search


@pytest.mark.parametrize(("limit", "runs"), [("$0.03", 3), ("$0.025", 2), ("$0.005", 0)])
@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_price_of_a_run(how: str, limit: str, runs: int) -> None:
    """A tool with a price runs as often as the money lasts, and not once more."""
    searches = Searches()
    budget = BudgetCallback(Budget(limit, tool_prices=PRICES))
    config: Any = {"callbacks": [budget]}

    def run(query: str) -> None:
        if how == "invoke":
            searches.tool.invoke({"query": query}, config)
        else:
            asyncio.run(searches.tool.ainvoke({"query": query}, config))

    for number in range(runs):
        run(str(number))
    if runs < 3:
        with pytest.raises(BudgetExceeded) as refused:
            run("one more")
        assert isinstance(refused.value, LangChainRefusal)
        assert refused.value.tool == "web_search"
    assert len(searches.ran) == runs
    assert budget.spent == Decimal("0.01") * runs
    assert budget.reserved == 0
    assert budget.report()["breakdown"]["tools"]["calls"] == runs


@pytest.mark.parametrize("runs", [1, 2])
def test_limit_of_runs_without_a_price(runs: int) -> None:
    """A limit of runs holds for a tool that costs nothing."""
    searches = Searches()
    budget = BudgetCallback(Budget(Limit(f"{runs} calls", tool="web_search")))
    for _ in range(runs):
        searches.tool.invoke({"query": "sky"}, {"callbacks": [budget]})
    with pytest.raises(BudgetExceeded):
        searches.tool.invoke({"query": "sky"}, {"callbacks": [budget]})
    assert len(searches.ran) == runs


def test_run_that_fails_is_paid() -> None:
    """A tool that ran and raised has cost its price; its own error reaches the caller."""
    searches = Searches()
    budget = BudgetCallback(Budget("$1", tool_prices=PRICES))
    with pytest.raises(ValueError, match="no results"):
        searches.tool.invoke({"query": "broken"}, {"callbacks": [budget]})
    assert budget.spent == Decimal("0.01")
    assert budget.reserved == 0


@pytest.mark.parametrize(("limit", "sent", "runs"), [("$1", 2, 3), ("$0.0249", 1, 2)])
@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_parallel_tools_of_an_agent(how: str, limit: str, sent: int, runs: int, provider: Script) -> None:
    """Of three tools that an agent starts at once, those run that fit; the refusal ends the agent."""
    provider.calls(*(("web_search", {"query": query}) for query in ("a", "b", "c")))
    searches = Searches()
    session = Budget(limit, tool_prices=PRICES).session()
    budget = BudgetCallback(session)
    agent = create_agent(provider.agent_model(budget), [searches.tool])

    def run() -> Any:
        asked: Any = {"messages": [("user", "Search")]}
        if how == "invoke":
            return agent.invoke(asked, {"callbacks": [budget]})
        return asyncio.run(agent.ainvoke(asked, {"callbacks": [budget]}))

    if runs == 3:
        assert run()["messages"][-1].content == "ok"
    else:
        with pytest.raises(BudgetExceeded):
            run()
    assert (provider.sent, len(searches.ran)) == (sent, runs)
    assert session.spent * 10**9 == provider.bill_nanos + runs * 10_000_000
    assert session.reserved == 0


@pytest.mark.parametrize("handle", [True, "it failed"])
@pytest.mark.parametrize(("price", "runs"), [("$0.01", 1), ("$2", 0)])
def test_node_that_handles_all_errors(price: str, runs: int, handle: bool | str, provider: Script) -> None:
    """`ToolNode(handle_tool_errors=...)` neither hides the refusal nor tells the model to go on."""
    from langgraph.prebuilt import ToolNode  # deprecated here by some versions

    provider.calls(("web_search", {"query": "sky"}))
    searches = Searches()
    budget = BudgetCallback(Budget("$1", tool_prices={"web_search": price}))
    graph = StateGraph(MessagesState)
    model = provider.openai().bind_tools([searches.tool])
    graph.add_node("ask", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([searches.tool], handle_tool_errors=handle))
    graph.add_node("answer", lambda state: {"messages": [model.invoke(state["messages"])]})
    for start, end in ((START, "ask"), ("ask", "tools"), ("tools", "answer"), ("answer", END)):
        graph.add_edge(start, end)
    compiled = graph.compile()
    asked: Any = {"messages": [("user", "Search")]}
    if runs:
        assert compiled.invoke(asked, {"callbacks": [budget]})["messages"][-1].content == "ok"
        assert provider.sent == 2
    else:
        with pytest.raises(BudgetExceeded):
            compiled.invoke(asked, {"callbacks": [budget]})
        assert provider.sent == 1
    assert len(searches.ran) == runs
    assert budget.spent * 10**9 == provider.bill_nanos + runs * 10_000_000
    assert budget.reserved == 0


@pytest.mark.parametrize(("limit", "sent"), [("$1", 3), ("2 calls", 2), ("1 calls", 1)])
def test_model_inside_a_tool(limit: str, sent: int, provider: Script) -> None:
    """A model that a tool asks pays from the same session, beside the tool's own price."""
    provider.calls(("consult", {"query": "sky"}))
    inner = provider.openai()

    @tool
    def consult(query: str) -> str:
        """Ask an expert."""
        return str(inner.invoke(query).content)

    budget = BudgetCallback(Budget(limit, tool_prices={"consult": "$0.001"}))
    agent = create_agent(provider.openai(), [consult])
    asked: Any = {"messages": [("user", "Consult")]}
    if sent == 3:
        agent.invoke(asked, {"callbacks": [budget]})
    else:
        with pytest.raises(BudgetExceeded):
            agent.invoke(asked, {"callbacks": [budget]})
    runs = 1
    assert provider.sent == sent
    assert budget.spent * 10**9 == provider.bill_nanos + runs * 1_000_000
    assert budget.reserved == 0

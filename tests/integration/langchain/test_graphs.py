"""Graphs: budgets of nodes and subgraphs, what each costs, and threads that go on after a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Send

from bursar import Budget, BudgetExceeded, InvalidAmount
from bursar_langchain import BudgetCallback

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

HOW = pytest.mark.parametrize("how", ["invoke", "ainvoke"])


def run(graph: Any, how: str, config: Any, given: Any = None) -> Any:
    if how == "invoke":
        return graph.invoke(given, config)
    return asyncio.run(graph.ainvoke(given, config))


def asks(model: Any, question: str) -> Callable[..., Any]:
    """A node that asks, in the way that the graph is run."""

    def node(state: Any) -> Any:
        return {"messages": [model.invoke(question)]}

    return node


def line(**nodes: Any) -> StateGraph[Any]:
    """A graph of one node after the other."""
    graph = StateGraph(MessagesState)
    before = START
    for name, node in nodes.items():
        graph.add_node(name, node)
        graph.add_edge(before, name)
        before = name
    graph.add_edge(before, END)
    return graph


FRESH: Any = {"messages": [("user", "Go")]}


@HOW
@pytest.mark.parametrize(
    ("nodes", "sent"),
    [
        (None, 3),
        ({"research": "$1"}, 3),
        ({"research": "1 calls"}, 3),
        ({"research": "0 calls"}, 1),
        ({"write": ("$1", "0 calls")}, 2),
    ],
)
def test_budget_of_a_node(nodes: Any, sent: int, how: str, provider: Script) -> None:
    """A node spends no more than its own limit; the others have that of the run alone."""
    model = provider.openai()
    graph = line(plan=asks(model, "a"), research=asks(model, "b"), write=asks(model, "c")).compile()
    budget = BudgetCallback("$1", nodes=nodes)
    if sent == 3:
        run(graph, how, {"callbacks": [budget]}, FRESH)
    else:
        with pytest.raises(BudgetExceeded) as refused:
            run(graph, how, {"callbacks": [budget]}, FRESH)
        assert "0 calls" in str(refused.value.limit)
    assert provider.sent == sent
    assert budget.session.terminated_by == (None if sent == 3 else "budget_exhausted")
    provider.assert_exact(budget)


@HOW
@pytest.mark.parametrize(("limit", "sent", "runs"), [("2 calls", 6, 3), ("1 calls", 3, 2), ("0 calls", 2, 1)])
def test_budget_of_a_subgraph(limit: str, sent: int, runs: int, how: str, provider: Script) -> None:
    """All that happens in a subgraph counts in its node, in a tool of it, too, and when a function calls it."""
    model = provider.openai()

    @tool
    def consult(query: str) -> str:
        """Ask an expert."""
        return str(model.invoke(query).content)

    def ask(state: Any) -> Any:
        return {"messages": [("ai", consult.invoke({"query": f"question {len(state['messages'])}"}))]}

    inner = line(read=asks(model, "b"), ask=ask).compile()
    graph = line(first=inner, research=inner, again=lambda state: inner.invoke(state) and {}).compile()
    budget = BudgetCallback("$1", nodes={"research": limit, "again": limit}, tool_prices={"consult": "$0.01"})
    if sent == 6:
        run(graph, how, {"callbacks": [budget]}, FRESH)
    else:
        with pytest.raises(BudgetExceeded):
            run(graph, how, {"callbacks": [budget]}, FRESH)
    assert provider.sent == sent
    report = budget.report()
    assert report["breakdown"]["tools"]["calls"] == runs
    assert budget.spent * 10**9 == provider.bill_nanos + runs * 10_000_000
    assert budget.reserved == 0
    nodes = report["nodes"]
    assert nodes["first|read"] + nodes["first|ask"] == pytest.approx(nodes["first"])
    assert nodes["first|read"] < 0.01 < nodes["first|ask"]
    assert sum(nodes[node] for node in ("first", "research", "again") if node in nodes) == pytest.approx(
        float(budget.spent)
    )


def test_a_node_that_is_visited_again(provider: Script) -> None:
    """Its limit holds for all visits of the session together, in this run and the next."""
    model = provider.openai()
    graph = line(research=lambda state: {"messages": [model.invoke(f"{len(state['messages'])}")]}).compile()
    budget = BudgetCallback("$1", nodes={"research": "2 calls"})
    for _ in range(2):
        graph.invoke(FRESH, {"callbacks": [budget]})
    with pytest.raises(BudgetExceeded):
        graph.invoke(FRESH, {"callbacks": [budget]})
    assert provider.sent == 2
    provider.assert_exact(budget)


def test_parallel_visits_of_a_node(provider: Script) -> None:
    """Ten visits at once spend no more than the node may."""
    model = provider.openai()
    graph = StateGraph(MessagesState)
    graph.add_node("plan", lambda state: {})
    graph.add_node("research", lambda state: {"messages": [model.invoke(state["topic"])]})
    graph.add_edge(START, "plan")
    graph.add_conditional_edges(
        "plan", lambda state: [Send("research", {"topic": f"topic {n}"}) for n in range(10)], ["research"]
    )
    budget = BudgetCallback("$1", nodes={"research": "4 calls"})
    with pytest.raises(BudgetExceeded):
        graph.compile().invoke(FRESH, {"callbacks": [budget], "max_concurrency": 10})
    assert provider.sent == 4
    assert budget.report()["nodes"] == {"research": float(budget.spent)}
    provider.assert_exact(budget)


@pytest.mark.parametrize("first", [True, False])
def test_handlers_of_one_session_see_the_same_nodes(first: bool, provider: Script) -> None:
    """Two of them, one with limits of nodes and one without, charge a call once, and both limit it."""
    session = Budget("$1").session()
    model = provider.openai()
    graph = line(research=lambda state: {"messages": [model.invoke(f"{len(state['messages'])}")]}).compile()
    early = BudgetCallback(session)
    graph.invoke(FRESH, {"callbacks": [early]})
    late = BudgetCallback(session, nodes={"research": "2 calls"})
    config: Any = {"callbacks": [late, early] if first else [early, late]}
    graph.invoke(FRESH, config)
    with pytest.raises(BudgetExceeded):
        graph.invoke(FRESH, config)
    assert session.calls == provider.sent == 2
    provider.assert_exact(session)
    with pytest.raises(ValueError, match=r"nodes\['research'\] has other limits"):
        BudgetCallback(session, nodes={"research": "3 calls"})


@HOW
@pytest.mark.parametrize("limited", ["run", "node"])
def test_a_refused_thread_goes_on(limited: str, how: str, provider: Script) -> None:
    """A refusal leaves a checkpoint; once the limit is raised, the thread goes on and repeats no paid call."""
    model = provider.openai()
    graph = line(plan=asks(model, "a"), research=asks(model, "b"), write=asks(model, "c"))
    compiled = graph.compile(checkpointer=InMemorySaver())
    payer = Budget("2 calls" if limited == "run" else "$1")
    budget = BudgetCallback(payer, nodes={"write": "0 calls"} if limited == "node" else None)
    config: Any = {"callbacks": [budget], "configurable": {"thread_id": "t"}}
    for _ in range(2):  # refused, and refused again: nothing is sent anew
        with pytest.raises(BudgetExceeded):
            run(compiled, how, config, FRESH if provider.sent == 0 else None)
        assert provider.sent == 2
        assert compiled.get_state(config).next == ("write",)
    if limited == "run":
        payer.set_limit("3 calls")
    else:
        budget.session.part("write").set_limit("1 calls")
    state = run(compiled, how, config)
    assert len(state["messages"]) == 4
    questions = [body["messages"][-1]["content"] for body in provider.bodies]
    assert questions == ["a", "b", "c"]
    assert compiled.get_state(config).next == ()
    provider.assert_exact(budget)


@pytest.mark.needs("configs that reach async nodes")
def test_async_nodes(provider: Script) -> None:
    """An async node is told from the others as well."""
    model = provider.openai()

    async def research(state: Any) -> Any:
        return {"messages": [await model.ainvoke("a")]}

    graph = line(research=research, write=research).compile()
    budget = BudgetCallback("$1", nodes={"write": "0 calls"})
    with pytest.raises(BudgetExceeded):
        asyncio.run(graph.ainvoke(FRESH, {"callbacks": [budget]}))
    assert provider.sent == 1
    provider.assert_exact(budget)


@pytest.mark.parametrize(("price", "runs"), [("$0.01", 2), ("$0.03", 0), (0, 2)])
def test_prices_of_tools(price: Any, runs: int) -> None:
    """They charge like those of the budget, and win over them."""
    ran = []

    @tool
    def web_search(query: str) -> str:
        """Search the web."""
        ran.append(query)
        return "found"

    payer = Budget("$0.02", tool_prices={"web_search": "$5", "other": "$1"})
    budget = BudgetCallback(payer, tool_prices={"web_search": price})
    for query in "ab":
        if runs:
            web_search.invoke({"query": query}, {"callbacks": [budget]})
        else:
            with pytest.raises(BudgetExceeded):
                web_search.invoke({"query": query}, {"callbacks": [budget]})
    assert len(ran) == runs
    assert budget.spent == (Decimal("0.02") if price == "$0.01" else 0)
    assert budget.report()["breakdown"]["tools"]["by_tool"] == (
        {"web_search": float(budget.spent)} if runs else {}
    )


@pytest.mark.parametrize(
    ("settings", "error", "named"),
    [
        ({"nodes": {"research": "$x"}}, InvalidAmount, "nodes['research']"),
        ({"nodes": {"research": None}}, InvalidAmount, "nodes['research']"),
        ({"nodes": {"research": ()}}, ValueError, "nodes['research']"),
        ({"nodes": {"": "$1"}}, ValueError, "nodes= has the key ''"),
        ({"nodes": {"a|b": "$1"}}, ValueError, "nodes= has the key 'a|b'"),
        ({"nodes": {5: "$1"}}, ValueError, "nodes= has the key 5"),
        ({"nodes": ["research"]}, ValueError, "nodes= takes a mapping"),
        ({"tool_prices": {"web_search": "-1"}}, InvalidAmount, "tool_prices['web_search']"),
        ({"tool_prices": ["web_search"]}, ValueError, "tool_prices= takes a mapping"),
        ({"tenant": ""}, ValueError, "tenant=''"),
        ({"tenant": 5}, ValueError, "tenant=5"),
        ({"nodes": {"a:b": "$1"}}, ValueError, "nodes= has the key 'a:b'"),
    ],
)
def test_wrong_settings(settings: Any, error: type[Exception], named: str) -> None:
    """Each is refused by its name."""
    with pytest.raises(error) as refused:
        BudgetCallback("$1", **settings)
    assert named in str(refused.value)

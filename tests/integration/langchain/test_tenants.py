"""Tenants: each user of an app pays from a budget of his own, below that of the app."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph

from bursar import Budget, BudgetExceeded, BursarError
from bursar_langchain import BudgetCallback, BudgetMiddleware, LangChainRefusal

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

FRESH: Any = {"messages": [("user", "Go")]}


@pytest.mark.parametrize(
    ("how", "place"),
    [
        ("invoke", "metadata"),
        ("invoke", "configurable"),
        ("ainvoke", "metadata"),
        pytest.param("ainvoke", "configurable", marks=pytest.mark.needs("configs that reach async nodes")),
    ],
)
@pytest.mark.parametrize(("each", "sent"), [("1 calls/total", [1, 1]), ("2 calls/total", [2, 2])])
def test_each_tenant_has_its_budget(
    each: str, sent: list[int], how: str, place: str, provider: Script
) -> None:
    """What one user spends is nobody else's; all of it counts in the budget of the app."""
    model = provider.openai()

    def node(state: Any) -> Any:
        return {"messages": [model.invoke(f"{len(state['messages'])}")]}

    graph = StateGraph(MessagesState)
    graph.add_node("research", node)
    graph.add_edge(START, "research")
    compiled = graph.compile()
    app = Budget("$1/total", child_limits=[each])
    budget = BudgetCallback(app, tenant="user_id")
    made = {"alice": 0, "bob": 0}
    for _ in range(2):
        for user in made:
            config: Any = {"callbacks": [budget], place: {"user_id": user}}
            try:
                if how == "invoke":
                    compiled.invoke(FRESH, config)
                else:
                    asyncio.run(compiled.ainvoke(FRESH, config))
            except BudgetExceeded:
                continue
            made[user] += 1
    assert list(made.values()) == sent
    assert provider.sent == sum(sent)
    assert budget.spent == app.spent == sum(budget.session_of(user).spent for user in made)
    assert budget.remaining == app.remaining
    report = budget.report()
    assert report["tenants"] == {user: float(app.child(user).spent) for user in made}
    assert budget.session_of("alice").report()["children"][0]["session_id"] == "research"
    assert (app.spent * 10**9, app.reserved) == (provider.bill_nanos, 0)


@pytest.mark.parametrize("value", [None, "", 1.5, True, ["alice"]])
def test_a_run_of_nobody_is_refused(value: Any, provider: Script, question: Any) -> None:
    """A run that names no tenant, or nonsense, sends nothing; one that does goes on."""
    budget = BudgetCallback("$1", tenant="user_id")
    model = provider.openai()
    with pytest.raises(BursarError, match="names no 'user_id'") as refused:
        model.invoke(question, {"callbacks": [budget], "metadata": {"user_id": value}})
    assert isinstance(refused.value, LangChainRefusal)
    assert provider.sent == 0
    model.invoke(question, {"callbacks": [budget], "metadata": {"user_id": 7}})
    assert provider.sent == budget.session_of("7").calls == 1


def test_the_limit_of_each_session_is_one_of_each_tenant(provider: Script, question: Any) -> None:
    """A plain limit is what each user may spend under this handler."""
    budget = BudgetCallback("1 calls", tenant="user_id")
    model = provider.openai()
    for user in ("alice", "bob"):
        config: Any = {"callbacks": [budget], "metadata": {"user_id": user}}
        model.invoke(question, config)
        with pytest.raises(BudgetExceeded):
            model.invoke(question, config)
    assert provider.sent == 2
    assert budget.session_of("bob").terminated_by == "budget_exhausted"


def test_tenants_at_once(provider: Script) -> None:
    """Threads of several users at the same time: none is above his limit, and each call is his."""
    budget = BudgetCallback(Budget("$1", child_limits=["3 calls/total"]), tenant="user_id")
    model = provider.openai()

    def call(number: int) -> bool:
        config: Any = {"callbacks": [budget], "metadata": {"user_id": f"user-{number % 4}"}}
        try:
            model.invoke(f"question {number}", config)
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(call, range(32))) == 12
    assert [budget.session_of(f"user-{n}").calls for n in range(4)] == [3, 3, 3, 3]
    assert provider.sent == 12
    assert (budget.spent * 10**9, budget.reserved) == (provider.bill_nanos, 0)


def test_tools_of_tenants() -> None:
    """A run of a tool is paid by the tenant, too."""

    @tool
    def web_search(query: str) -> str:
        """Search the web."""
        return "found"

    budget = BudgetCallback("$0.01", tenant="user_id", tool_prices={"web_search": "$0.01"})
    for user in ("alice", "bob"):
        config: Any = {"callbacks": [budget], "metadata": {"user_id": user}}
        web_search.invoke({"query": "sky"}, config)
        with pytest.raises(BudgetExceeded):
            web_search.invoke({"query": "sky"}, config)
    assert budget.report()["tenants"] == {"alice": 0.01, "bob": 0.01}


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_agent_of_tenants(how: str, provider: Script) -> None:
    """A middleware takes a handler with its settings; the reserve that it spends is the tenant's own."""
    payer = Budget("$0.02", finalization_reserve=0.25, tool_prices={"web_search": "$0.013"})

    @tool
    def web_search(query: str) -> str:
        """Search the web."""
        return "found"

    budget = BudgetMiddleware(BudgetCallback(payer, tenant="user_id"))
    agent = create_agent(provider.openai(max_tokens=400), [web_search], middleware=[budget])

    async def served(user: str) -> str:
        provider.calls(("web_search", {"query": "sky"}))
        config: Any = {"metadata": {"user_id": user}}
        state = await agent.ainvoke(FRESH, config) if how == "ainvoke" else agent.invoke(FRESH, config)
        assert "tools" not in provider.bodies[-1]
        return str(state["messages"][-1].content)

    async def main() -> None:
        assert [await served(user) for user in ("alice", "bob")] == ["ok", "ok"]

    asyncio.run(main())
    assert provider.sent == 4
    assert budget.spent * 10**9 == provider.bill_nanos + 2 * 13_000_000
    assert budget.reserved == 0


def test_what_tenants_need() -> None:
    """A session cannot be divided among tenants; with them there is no single session, and without no others."""
    with pytest.raises(ValueError, match="tenant= needs a limit or a Budget"):
        BudgetCallback(Budget("$1").session(), tenant="user_id")
    with pytest.raises(BursarError, match="session_of"):
        BudgetCallback("$1", tenant="user_id").session  # noqa: B018 - a property
    with pytest.raises(BursarError, match="tenant='user_id'"):
        BudgetCallback("$1").session_of("alice")


@pytest.mark.needs("metadata without configurable")
def test_configurable_outside_of_graphs(provider: Script, question: Any) -> None:
    """Newer LangChains show it to no handler of a bare model: the run is refused, not charged to somebody."""
    budget = BudgetCallback("$1", tenant="user_id")
    with pytest.raises(BursarError, match="metadata"):
        provider.openai().invoke(question, {"callbacks": [budget], "configurable": {"user_id": "alice"}})
    assert provider.sent == 0

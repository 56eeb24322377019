"""What a run, a node, a tool and a model cost: in the report, and where tracers show it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langchain_core.tracers import LangChainTracer
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langgraph.graph import END, START, MessagesState, StateGraph

from bursar import Budget, BudgetExceeded
from bursar_langchain import BudgetCallback

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

HOW = pytest.mark.parametrize("how", ["invoke", "ainvoke"])
PRICES = {"web_search": "$0.01"}


@tool
def web_search(query: str) -> str:
    """Search the web."""
    return f"found {query}"


def go(work: Any, how: str, given: Any, config: Any) -> Any:
    return asyncio.run(work.ainvoke(given, config)) if how == "ainvoke" else work.invoke(given, config)


def bill_since(provider: Script, before: int) -> float:
    return (provider.bill_nanos - before) / 10**9


@HOW
def test_cost_of_each_run(how: str, provider: Script) -> None:
    """What the caller started is one run, whatever it starts in turn; a run that was refused says what it cost."""
    budget = BudgetCallback(Budget("5 calls", "$1", tool_prices=PRICES))
    costs = []
    for fits in (True, True, False):
        before = provider.bill_nanos
        provider.calls(("web_search", {"query": "sky"}))
        agent = create_agent(provider.agent_model(budget), [web_search])
        try:
            go(agent, how, {"messages": [("user", "Search")]}, {"callbacks": [budget]})
        except BudgetExceeded:
            assert not fits
        costs.append(bill_since(provider, before) + 0.01)
    if how == "ainvoke" and sys.version_info < (3, 11):
        return  # LangChain does not say there what the models of an async agent belong to
    runs = budget.report()["runs"]
    assert [run["name"] for run in runs] == ["LangGraph"] * 3
    assert [run["total_spent"] for run in runs] == pytest.approx(costs)
    assert [run["calls"] for run in runs] == [2, 2, 1]
    assert len({run["run_id"] for run in runs}) == 3
    report = budget.get_report()
    assert report["runs"] == runs
    assert report["breakdown"]["tools"]["by_tool"] == {"web_search": pytest.approx(0.03)}
    assert sum(run["total_spent"] for run in runs) == pytest.approx(report["total_spent"])
    json.dumps(report)


def test_runs_of_one_model_each(provider: Script, question: Any) -> None:
    """A model, a stream or a tool that is called by itself is a run; so is one whose stream was left."""
    budget = BudgetCallback(Budget("$1", tool_prices=PRICES))
    config: Any = {"callbacks": [budget]}
    provider.openai().invoke(question, config)
    web_search.invoke({"query": "sky"}, config)
    provider.says("a long answer in several pieces")
    stream = provider.openai().stream(question, config)
    next(stream)
    stream.close()
    whole = budget.spent  # books what the stream left behind
    called, searched, left = budget.report()["runs"]
    assert (called["name"], searched["name"], left["name"]) == ("ChatOpenAI", "web_search", "ChatOpenAI")
    assert (called["calls"], searched["calls"], left["calls"]) == (1, 0, 1)
    assert searched["total_spent"] == 0.01
    assert called["total_spent"] < left["total_spent"]
    assert called["total_spent"] + 0.01 + left["total_spent"] == pytest.approx(float(whole))


def test_an_end_that_comes_late_corrects_the_run(provider: Script, question: Any) -> None:
    """A held call that outlives its run counts at the worst, and at its real cost once that is known."""
    provider.says(delay=0.4)
    budget, tasks = BudgetCallback("$1"), []
    model = provider.mistral()

    async def step(asked: Any, config: RunnableConfig) -> str:
        tasks.append(asyncio.ensure_future(model.ainvoke(asked, config)))
        await asyncio.sleep(0.1)
        return "done"

    async def run() -> float:
        await RunnableLambda(step).ainvoke(question, {"callbacks": [budget]})
        (worst,) = (found["total_spent"] for found in budget.report()["runs"])
        await tasks[0]
        return worst

    worst = asyncio.run(run())
    (found,) = budget.report()["runs"]
    assert found["total_spent"] * 10**9 == pytest.approx(provider.bill_nanos)
    assert worst > found["total_spent"] > 0


def test_only_the_newest_runs_are_kept(provider: Script) -> None:
    """The list of runs is bounded; the total is not."""
    budget = BudgetCallback(Budget("$20", max_repeated_calls=None, tool_prices={"web_search": "$0.01"}))
    for _ in range(1_005):
        web_search.invoke({"query": "sky"}, {"callbacks": [budget]})
    report = budget.report()
    assert len(report["runs"]) == 1_000
    assert report["total_spent"] == 10.05


def graph_of(provider: Script) -> Any:
    model = provider.openai()

    def research(state: Any) -> Any:
        return {"messages": [("ai", web_search.invoke({"query": "sky"})), model.invoke("a")]}

    graph = StateGraph(MessagesState)
    graph.add_node("research", research)
    graph.add_node("write", lambda state: {"messages": [model.invoke("a longer question")]})
    for start, end in ((START, "research"), ("research", "write"), ("write", END)):
        graph.add_edge(start, end)
    return graph.compile()


def costs_in(run: Any) -> dict[str, Any]:
    """What a tracer has as the cost of each run, by its name."""
    found = {run.name: (run.extra or {}).get("metadata", {}).get("cost_usd", "none")}
    for child in run.child_runs:
        found |= costs_in(child)
    return found


@HOW
@pytest.mark.parametrize("tell", [True, False])
@pytest.mark.parametrize("order", ["tracer first", "tracer last"])
def test_tracers_show_the_cost(order: str, tell: bool, how: str, provider: Script) -> None:
    """With `cost_metadata=True` a tracer has the cost of the run, each node, tool and model; without, it has none."""
    budget = BudgetCallback(Budget("$1", tool_prices=PRICES), cost_metadata=tell)
    tracer = RunCollectorCallbackHandler()
    handlers = [tracer, budget] if order == "tracer first" else [budget, tracer]
    # Without any metadata a tracer that comes first keeps no dict that could be written to.
    go(graph_of(provider), how, {"messages": []}, {"callbacks": handlers, "metadata": {"app": "news"}})
    (run,) = tracer.traced_runs
    costs = costs_in(run)
    if not tell:
        assert set(costs.values()) == {"none"}
        return
    bills = [served.cost_nanos / 10**9 for served in provider.provider.served]
    assert costs["web_search"] == 0.01
    assert costs["research"] == pytest.approx(0.01 + bills[0])
    assert costs["write"] == costs["ChatOpenAI"] == pytest.approx(bills[1])
    assert costs["LangGraph"] == pytest.approx(float(budget.spent)) == pytest.approx(0.01 + sum(bills))


def test_calls_of_one_generate(provider: Script) -> None:
    """They share their metadata, where a cost would be wrong for all but one: each answer has its own."""
    from langchain_core.messages import HumanMessage

    budget = BudgetCallback("$1", cost_metadata=True)
    tracer = RunCollectorCallbackHandler()
    provider.says("a longer answer than the other")
    result = provider.openai().generate(
        [[HumanMessage("a")], [HumanMessage("b")]], callbacks=[budget, tracer]
    )
    assert [costs_in(run) for run in tracer.traced_runs] == [{"ChatOpenAI": "none"}] * 2
    bills = [served.cost_nanos / 10**9 for served in provider.provider.served]
    assert [run["total_spent"] for run in budget.report()["runs"]] == bills
    answers: Any = [choices[0] for choices in result.generations]
    assert [answer.message.response_metadata["cost_usd"] for answer in answers] == bills
    assert bills[0] > bills[1] > 0


@pytest.mark.parametrize("tell", [True, False])
def test_answers_say_what_they_cost(tell: bool, provider: Script, question: Any) -> None:
    """So does an answer from LangChain's cache: nothing; and the first one keeps what it said."""
    from langchain_core.caches import InMemoryCache
    from langchain_core.globals import set_llm_cache

    set_llm_cache(InMemoryCache())
    budget = BudgetCallback("$1", cost_metadata=tell)
    model = provider.openai()
    paid, cached = (model.invoke(question, {"callbacks": [budget]}) for _ in range(2))
    assert provider.sent == 1
    assert paid.response_metadata.get("cost_usd") == (float(budget.spent) if tell else None)
    assert cached.response_metadata.get("cost_usd") == (0 if tell else None)


def found_in(value: Any) -> list[Any]:
    """All costs anywhere in a JSON document."""
    if isinstance(value, dict):
        mine = [value["cost_usd"]] if "cost_usd" in value else []
        return mine + [cost for part in value.values() for cost in found_in(part)]
    return [cost for part in value for cost in found_in(part)] if isinstance(value, list) else []


def test_langsmith_is_sent_the_cost(provider: Script, question: Any) -> None:
    """LangSmith's own tracer uploads it with the run, to a server of this machine."""
    from langsmith import Client

    uploaded: list[bytes] = []

    class Smith(BaseHTTPRequestHandler):
        def answer(self) -> None:
            uploaded.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the names of http.server

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Smith) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Client(
            api_url=f"http://127.0.0.1:{server.server_port}",
            api_key="none",
            auto_batch_tracing=False,
            info={},
        )
        budget = BudgetCallback("$1", cost_metadata=True)
        tracer = LangChainTracer(client=client)
        (RunnableLambda(lambda asked: asked) | provider.openai()).invoke(
            question, {"callbacks": [budget, tracer]}
        )
        tracer.wait_for_futures()
        server.shutdown()
    told = [cost for body in uploaded if body for cost in found_in(json.loads(body)) if cost is not None]
    assert len(told) >= 2  # of the chain, and of the model in it
    assert {*told} <= {0, float(budget.spent)} and float(budget.spent) in told
    assert budget.spent == Decimal(provider.bill_nanos) / 10**9

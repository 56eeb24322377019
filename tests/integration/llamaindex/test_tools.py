"""Tools that cost money, and refusals that LlamaIndex makes an error of the tool of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import QueryBundle, Settings
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.tools import FunctionTool, ToolOutput
from llama_index.core.workflow import Context
from tests.integration.llamaindex.conftest import QUESTION, managed, run

from bursar import Budget, BudgetExceeded, InvalidAmount
from bursar_llamaindex import BudgetCallback, budget_postprocessor, budget_tools

if TYPE_CHECKING:
    from tests.integration.llamaindex.conftest import Script


def search(query: str) -> str:
    """Search the web."""
    return f"found {query}"


async def ask(agent: Any) -> tuple[str, list[ToolOutput]]:
    """The answer, and what its tools gave."""
    handler = agent.run("Search!")
    outputs = [
        event.tool_output async for event in handler.stream_events() if isinstance(event, ToolCallResult)
    ]
    return str(await handler), outputs


@pytest.mark.parametrize("price", ["tool_prices", "prices"])
@pytest.mark.parametrize(("limit", "runs"), [("$1", 3), ("$0.65", 2), ("$0.20", 0)])
def test_the_tools_that_fit_are_run_and_the_model_is_told_of_the_others(
    limit: str, runs: int, price: str, provider: Script
) -> None:
    """Three runs at $0.30 are asked for; the agent goes on, and ends well."""
    provider.calls(*[("search", {"query": str(number)}) for number in range(3)])
    provider.says("done")
    prices = {"search": "$0.30"}
    session = Budget(limit, tool_prices=prices if price == "tool_prices" else None).session()
    budget = BudgetCallback(session)
    Settings.callback_manager = managed(budget)
    ran: list[str] = []

    def counted(query: str) -> str:
        ran.append(query)
        return search(query)

    tool = FunctionTool.from_defaults(counted, name="search")
    tools = budget_tools([tool], budget, prices=prices if price == "prices" else None)
    answer, outputs = run(ask(FunctionAgent(tools=tools, llm=provider.model())))
    assert answer == "done"
    assert len(ran) == runs
    assert sorted(output.is_error for output in outputs) == [False] * runs + [True] * (3 - runs)
    assert all("limit is left" in output.content for output in outputs if output.is_error)
    report = session.report()["breakdown"]
    assert report["tools"]["by_tool"].get("search", 0) == pytest.approx(0.30 * runs)
    assert round(report["llm"]["total"] * 10**9) == provider.bill_nanos
    assert session.reserved == 0


@pytest.mark.parametrize(("limit", "sent"), [("$1", 3), ("1 calls", 1)])
def test_a_refusal_inside_a_tool_is_followed_by_no_call(limit: str, sent: int, provider: Script) -> None:
    """The tool asks a model; the agent takes the refusal for an answer, and its own next call is refused."""
    provider.calls(("look_up", {"query": "sky"}))
    session = Budget(limit).session()
    Settings.callback_manager = managed(BudgetCallback(session))
    inner = provider.model()

    def look_up(query: str) -> str:
        """Ask somebody else."""
        return str(inner.chat(QUESTION))

    agent = FunctionAgent(tools=[look_up], llm=provider.model())
    if limit == "$1":
        run(ask(agent))
    else:
        with pytest.raises(BudgetExceeded):
            run(ask(agent))
    assert provider.sent == sent
    provider.assert_exact(session)


@pytest.mark.parametrize(("limit", "ran"), [("$1", True), ("$0.10", False)])
@pytest.mark.parametrize("way", ["call", "acall", "__call__"])
def test_a_tool_is_charged_once_however_it_is_called(way: str, limit: str, ran: bool) -> None:
    """It is a copy, and still a `FunctionTool`; the tool that it was made of stays free."""
    session = Budget(limit).session()
    plain = FunctionTool.from_defaults(search)
    (tool,) = budget_tools([plain], session, prices={"search": "$0.30"})
    assert isinstance(tool, FunctionTool) and tool.metadata == plain.metadata

    def call(which: Any) -> Any:
        return run(which.acall(query="sky")) if way == "acall" else getattr(which, way)(query="sky")

    if ran:
        assert call(tool).raw_output == "found sky"
    else:
        with pytest.raises(BudgetExceeded):
            call(tool)
    assert float(session.spent) == (0.30 if ran else 0)
    assert session.reserved == 0
    call(plain)
    assert float(session.spent) == (0.30 if ran else 0)


def test_a_tool_that_fails_is_paid_for() -> None:
    """It has run; whoever bills it bills it."""

    def fail(query: str) -> str:
        raise ValueError(query)

    session = Budget("$1").session()
    (tool,) = budget_tools([fail], session, prices={"fail": "$0.30"})
    with pytest.raises(ValueError, match="sky"):
        tool(query="sky")
    assert float(session.spent) == 0.30
    assert session.reserved == 0


def test_a_tool_that_takes_the_context_of_the_run_gets_it(provider: Script) -> None:
    """Its schema does not have the argument, and its run is paid for."""
    provider.calls(("note", {"text": "sky"}))

    async def note(ctx: Context, text: str) -> str:
        """Note a text."""
        await ctx.store.set("noted", text)
        return "noted"

    note.__annotations__ = {"ctx": Context, "text": str}  # LlamaIndex does not read them as text
    session = Budget("$1").session()
    agent = FunctionAgent(tools=budget_tools([note], session, prices={"note": "$0.30"}), llm=provider.model())
    context = Context(agent)

    async def noted() -> Any:
        await agent.run("Note!", ctx=context)
        return await context.store.get("noted")

    assert run(noted()) == "sky"
    assert float(session.spent) == 0.30


def test_a_price_that_is_none_is_refused_at_once() -> None:
    """The message names the price."""
    with pytest.raises(InvalidAmount, match="much"):
        budget_tools([search], "$1", prices={"search": "much"})


@pytest.mark.parametrize(("limit", "ran"), [("$1", True), ("$0.10", False)])
def test_a_postprocessor_is_paid_for_by_the_run(limit: str, ran: bool) -> None:
    """As a reranker that is billed by the request; it stays the same object, sync and async."""
    session = Budget(limit).session()
    plain = SimilarityPostprocessor(similarity_cutoff=0.5)
    postprocessor = budget_postprocessor(plain, session, price="$0.20")
    assert postprocessor is plain and isinstance(plain, SimilarityPostprocessor)
    for process in (
        lambda: postprocessor.postprocess_nodes([], QueryBundle("sky")),
        lambda: run(postprocessor.apostprocess_nodes([], QueryBundle("sky"))),
    ):
        if ran:
            assert process() == []
        else:
            with pytest.raises(BudgetExceeded):
                process()
    assert float(session.spent) == (0.40 if ran else 0)
    assert session.reserved == 0

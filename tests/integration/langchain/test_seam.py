"""Together with covered SDKs: what LangChain shows to no handler is paid, and nothing is paid twice."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import openai
import pytest
from langchain.agents import create_agent
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import SecretStr

import bursar
from bursar import BudgetExceeded, Limit
from bursar_langchain import BudgetCallback, BudgetMiddleware, install, uninstall

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

HOW = pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
BRANDS = ["openai", "responses", "anthropic"]


@pytest.fixture(autouse=True)
def nothing_covered() -> Iterator[None]:
    """Each test leaves the process as it was."""
    yield
    uninstall()
    bursar.teardown()


def run(work: Any, how: str, given: Any, *configs: Any) -> None:
    """One call with each of the configs, all in one event loop."""

    async def main() -> None:
        for config in configs:
            if how == "ainvoke":
                await work.ainvoke(given, config)
            else:
                assert [part async for part in work.astream(given, config)]

    if how.startswith("a"):
        asyncio.run(main())
        return
    for config in configs:
        work.invoke(given, config) if how == "invoke" else list(work.stream(given, config))


@HOW
@pytest.mark.parametrize("brand", BRANDS)
@pytest.mark.parametrize("payer", ["callback", "install", "middleware", "process alone"])
@pytest.mark.parametrize(("limit", "sent"), [("$1", 1), ("$0.00001", 0)])
def test_one_call_is_charged_once(
    limit: str, sent: int, payer: str, brand: str, how: str, provider: Script, question: Any
) -> None:
    """A model under `bursar.init` and under a handler of the same session is held and charged once, by either."""
    session = bursar.init(limit)
    model: Any = provider.model(brand)
    config: Any = {"callbacks": [BudgetCallback(session)]} if payer == "callback" else {}
    given: Any = question
    if payer == "install":
        install(session)
    elif payer == "middleware":
        model = create_agent(model, [], middleware=[BudgetMiddleware(session, exit_behavior="error")])
        given = {"messages": question}
    if sent:
        run(model, how, given, config)
    else:
        with pytest.raises(BudgetExceeded):
            run(model, how, given, config)
    assert provider.sent == session.calls == sent
    provider.assert_exact(session)


@HOW
@pytest.mark.parametrize("brand", BRANDS)
def test_a_handler_of_another_session_pays(brand: str, how: str, provider: Script, question: Any) -> None:
    """The session of the handler has the call; that of the process, which stands behind it, does not pay again."""
    behind = bursar.init("$1")
    budget = BudgetCallback("$1")
    run(provider.model(brand), how, question, {"callbacks": [budget]}, {})
    bills = [served.cost_nanos for served in provider.provider.served]
    assert [payer.spent * 10**9 for payer in (budget, behind)] == bills
    assert budget.reserved == behind.reserved == 0


@pytest.mark.parametrize(("limit", "asked"), [("$1", 3), ("$0.0000004", 0)])
@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_embeddings_of_a_retriever(how: str, limit: str, asked: int, provider: Script) -> None:
    """RAG with a covered SDK: the bill of the embeddings and of the model is that of the ledger."""
    session = bursar.init("$1", Limit(limit, model="text-embedding-3-small"))
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=provider.provider.openai_url,
        api_key=SecretStr("none"),
        check_embedding_ctx_length=False,
        max_retries=0,
    )
    retriever = InMemoryVectorStore(embeddings).as_retriever()
    ask = RunnableLambda(lambda found: f"{found['docs']} {found['question']}")

    async def arun() -> None:
        chain = {"docs": retriever, "question": RunnablePassthrough()} | ask | provider.openai()
        budget = BudgetCallback(session)
        for number in range(3):
            given = f"Why {number}?", {"callbacks": [budget]}
            await chain.ainvoke(*given) if how == "ainvoke" else chain.invoke(*given)

    if asked:
        asyncio.run(arun())
    else:
        with pytest.raises(BudgetExceeded) as refused:
            asyncio.run(arun())
        assert refused.value.model == "text-embedding-3-small"
    assert [served.path for served in provider.provider.served].count("/v1/embeddings") == asked
    assert provider.sent == session.calls == 2 * asked
    provider.assert_exact(session)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 3), ("2 calls", 2), ("1 calls", 1)])
def test_raw_calls_inside_a_node(limit: str, sent: int, provider: Script) -> None:
    """What a node asks of the SDK itself, before and after a model of LangChain, is held and charged as well."""
    session = bursar.init(limit)
    model = provider.openai()
    raw = openai.OpenAI(base_url=provider.provider.openai_url, api_key="none", max_retries=0)

    def complete() -> Any:
        asked: Any = [{"role": "user", "content": "Go"}]
        return raw.chat.completions.create(model="gpt-4o", messages=asked, max_tokens=50)

    def node(state: Any) -> Any:
        first, answer, last = complete(), model.invoke("Go on"), complete()
        return {"messages": [("ai", first.choices[0].message.content), answer, ("ai", last.id)]}

    graph = StateGraph(MessagesState)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    config: Any = {"callbacks": [BudgetCallback(session)]}
    if sent == 3:
        graph.compile().invoke({"messages": []}, config)
    else:
        with pytest.raises(BudgetExceeded):
            graph.compile().invoke({"messages": []}, config)
    assert provider.sent == session.calls == sent
    provider.assert_exact(session)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 3), ("$0.0009", 1)])
def test_retries_inside_the_sdk(limit: str, sent: int, provider: Script, question: Any) -> None:
    """Attempts that LangChain never sees are each held by the covered SDK; what may have been billed is kept."""
    provider.fails(408, times=2)
    session = bursar.init(limit)
    config: Any = {"callbacks": [BudgetCallback(session)]}
    model = provider.openai(max_retries=2)
    if sent == 3:
        assert model.invoke(question, config).content == "ok"
    else:
        with pytest.raises(BudgetExceeded):
            model.invoke(question, config)
    assert provider.sent == sent
    assert session.spent * 10**9 >= provider.bill_nanos
    assert session.spent > 0 and session.reserved == 0


@pytest.mark.parametrize("brand", BRANDS)
def test_a_stream_that_is_left(brand: str, provider: Script, question: Any) -> None:
    """It is booked once, whichever layer hears of it first."""
    provider.says("a long answer in several pieces")
    session = bursar.init("$1")
    stream = provider.model(brand).stream(question, {"callbacks": [BudgetCallback(session)]})
    next(stream)
    held = session.reserved
    stream.close()
    gc.collect()  # older SDKs leave the connection to the collector
    assert session.spent == held > 0
    assert session.reserved == 0
    assert session.report()["breakdown"]["llm"]["calls"] == 1

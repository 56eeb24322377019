"""Models that are built on no SDK we know, that report nothing, or that LangChain shows to nobody."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings
from pydantic import Field, SecretStr

from bursar import Budget, BudgetExceeded, BursarError, Price, UnknownModel
from bursar_langchain import BudgetCallback, BudgetMiddleware
from bursar_langchain._embeddings import warn_of_embeddings

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("1 calls", 1), ("$0.000001", 0)])
def test_agent_of_another_vendor(limit: str, sent: int, how: str, provider: Script) -> None:
    """An agent whose client is built on neither SDK is held and charged like any other."""
    budget = BudgetMiddleware(limit, exit_behavior="error")
    agent = create_agent(provider.mistral(), [], middleware=[budget])

    async def main() -> None:
        for question in "ab":
            asked: Any = {"messages": [("user", question)]}
            answer = await agent.ainvoke(asked) if how == "ainvoke" else agent.invoke(asked)
            assert answer["messages"][-1].content == "ok"

    if sent == 2:
        asyncio.run(main())
    else:
        with pytest.raises(BudgetExceeded):
            asyncio.run(main())
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize("how", ["stream", "astream"])
@pytest.mark.parametrize(("limit", "sent"), [("$1", 1), ("$0.000001", 0)])
def test_streams_of_another_vendor(limit: str, sent: int, how: str, provider: Script, question: Any) -> None:
    """Its client takes no count of tokens from a host like this: the worst case is booked, as an estimate."""
    budget = BudgetCallback(limit)
    model = provider.mistral()
    config: Any = {"callbacks": [budget]}

    async def astream() -> None:
        async for _ in model.astream(question, config):
            pass

    def run() -> None:
        if how == "stream":
            list(model.stream(question, config))
        else:
            asyncio.run(astream())

    if sent:
        run()
        assert budget.report()["estimated"] == 1
        assert budget.spent * 10**9 >= provider.bill_nanos > 0
    else:
        with pytest.raises(BudgetExceeded):
            run()
        assert budget.spent == 0
    assert provider.sent == sent
    assert budget.reserved == 0


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_error_answers_of_another_vendor(status: int, provider: Script, question: Any) -> None:
    """A complete error answer costs nothing there, either."""
    provider.fails(status)
    budget = BudgetCallback("$1")
    with pytest.raises(Exception) as failed:  # noqa: PT011 - whatever that client calls it
        provider.mistral().invoke(question, {"callbacks": [budget]})
    assert not isinstance(failed.value, BursarError)
    assert budget.spent == 0
    provider.mistral().invoke(question, {"callbacks": [budget]})
    assert provider.sent == 2
    provider.assert_exact(budget)


class Homely(BaseChatModel):
    """A model of somebody's own that says nothing about usage."""

    answered: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "homely"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.answered.append(str(messages[-1].content))
        return ChatResult(generations=[ChatGeneration(message=AIMessage("An answer."))])


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream"])
@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({}, UnknownModel),
        ({"prices": {"Homely": Price(1_000, 2_000, max_output_tokens=100)}}, BudgetExceeded),
        ({"prices": {"Homely": Price(10, 20, max_output_tokens=100)}}, None),
    ],
    ids=["unknown", "dear", "priced"],
)
def test_a_model_that_reports_nothing(settings: Any, error: type[Exception] | None, how: str) -> None:
    """It is refused until it has a price; then its worst case is held, and booked as an estimate: never $0."""
    model = Homely()
    budget = BudgetCallback(Budget("$0.1", **settings))

    def run() -> None:
        config: Any = {"callbacks": [budget]}
        if how == "stream":
            list(model.stream("Why?", config))
        elif how == "invoke":
            model.invoke("Why?", config)
        else:
            asyncio.run(model.ainvoke("Why?", config))

    if error is None:
        run()
        assert budget.spent >= 100 * 20 / 10**6
        assert budget.report()["estimated"] == 1
    else:
        with pytest.raises(error):
            run()
        assert budget.spent == 0
    assert len(model.answered) == (error is None)
    assert budget.reserved == 0


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_embeddings_are_not_seen(how: str, provider: Script, caplog: pytest.LogCaptureFixture) -> None:
    """A retriever's embeddings reach no handler: the bill has them, the ledger has not, and the log says so once."""
    warn_of_embeddings.cache_clear()
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=provider.provider.openai_url,
        api_key=SecretStr("none"),
        check_embedding_ctx_length=False,
        max_retries=0,
    )
    store = InMemoryVectorStore(embeddings)
    retriever = store.as_retriever()
    model = provider.openai()
    ask = RunnableLambda(lambda found: f"{found['docs']} {found['question']}")
    chain = {"docs": retriever, "question": RunnablePassthrough()} | ask | model
    budget = BudgetCallback("$1")

    async def arun() -> None:
        for number in range(2):
            await chain.ainvoke(f"Why {number}?", {"callbacks": [budget]})

    with caplog.at_level(logging.WARNING, "bursar"):
        if how == "invoke":
            for number in range(2):
                chain.invoke(f"Why {number}?", {"callbacks": [budget]})
        else:
            asyncio.run(arun())
    assert [served.path for served in provider.provider.served].count("/v1/embeddings") == 2
    assert budget.session.calls == 2
    assert 0 < budget.spent * 10**9 < provider.bill_nanos
    warnings = [record.getMessage() for record in caplog.records if "embeddings" in record.getMessage()]
    assert len(warnings) == 1 and "does not see them" in warnings[0]

"""What is older than chat models and `create_agent`: models that complete text, and `create_react_agent`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.tools import tool
from langchain_openai import OpenAI
from langgraph.prebuilt import create_react_agent
from pydantic import SecretStr

from bursar import BudgetExceeded, BursarError
from bursar_langchain import BudgetCallback

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

LIMITS = pytest.mark.parametrize("limit", ["$1", "$0.00001"])


def text_model(provider: Script, **settings: Any) -> OpenAI:
    return OpenAI(
        base_url=provider.provider.openai_url,
        api_key=SecretStr("none"),
        **{"model": "gpt-3.5-turbo-instruct", "max_tokens": 50, "max_retries": 0, **settings},
    )


def use(model: Any, how: str, given: str, config: Any) -> None:
    async def astream() -> None:
        async for _ in model.astream(given, config):
            pass

    if how == "astream":
        asyncio.run(astream())
    elif how.startswith("a"):
        asyncio.run(model.ainvoke(given, config) if how == "ainvoke" else model.abatch([given], config))
    elif how == "stream":
        list(model.stream(given, config))
    else:
        model.invoke(given, config) if how == "invoke" else model.batch([given], config)


@LIMITS
@pytest.mark.parametrize("how", ["invoke", "ainvoke", "batch", "abatch", "stream", "astream"])
def test_text_model(how: str, limit: str, provider: Script) -> None:
    """OpenAI's completions: with money one request is sent, and paid in full; without, none is."""
    budget = BudgetCallback(limit)
    model = text_model(provider)
    if limit == "$1":
        use(model, how, "The sky is", {"callbacks": [budget]})
        assert provider.sent == 1
    else:
        with pytest.raises(BudgetExceeded):
            use(model, how, "The sky is", {"callbacks": [budget]})
        assert provider.sent == 0
    if limit == "$1" and "stream" in how:  # LangChain drops the count of such a stream
        assert budget.spent * 10**9 >= provider.bill_nanos > 0
        assert (budget.reserved, budget.report()["estimated"]) == (0, 1)
    else:
        provider.assert_exact(budget)


@pytest.mark.parametrize("how", ["batch", "abatch", "generate", "agenerate"])
@pytest.mark.parametrize(("limit", "sent"), [("$1", 1), ("2 calls", 0)])
def test_several_prompts_in_one_request(limit: str, sent: int, how: str, provider: Script) -> None:
    """Each has a hold; their one bill is divided among them, exactly, and no hold is overrun."""
    provider.says("a longer answer to each of them", output_tokens=40)
    budget = BudgetCallback(limit)
    model = text_model(provider)
    prompts = ["The sky is", "b", "A much longer prompt than the others, which has to bear more of the bill"]

    def run() -> None:
        config: Any = {"callbacks": [budget]}
        if how in ("batch", "abatch"):
            given: Any = prompts, config
        else:
            given = prompts, None, [budget]
        answer = getattr(model, how)(*given)
        if how.startswith("a"):
            asyncio.run(_awaited(answer))

    if sent:
        run()
    else:
        with pytest.raises(BudgetExceeded):
            run()
    assert provider.sent == sent
    provider.assert_exact(budget)
    assert budget.session.calls == 3 * sent
    assert budget.report()["overruns"]["count"] == budget.report()["estimated"] == 0


async def _awaited(answer: Any) -> Any:
    return await answer


def test_an_answer_from_the_cache(provider: Script) -> None:
    """LangChain asks its cache before it tells a handler of a text model: the second answer is free and unseen."""
    set_llm_cache(InMemoryCache())
    budget = BudgetCallback("1 calls")
    for _ in range(2):
        text_model(provider).invoke("The sky is", {"callbacks": [budget]})
    assert provider.sent == budget.session.calls == 1
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("1 calls", 1), ("$0.00001", 0)])
@pytest.mark.parametrize(
    "brand",
    [
        "openai",
        "responses",
        "anthropic",
        pytest.param("mistral", marks=pytest.mark.needs("tool calls of Mistral's without content")),
    ],
)
@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream"])
def test_react_agent(how: str, brand: str, limit: str, sent: int, provider: Script) -> None:
    """LangGraph's own agent makes exactly the calls that fit; the refusal reaches its caller."""

    @tool
    def look_up(place: str) -> str:
        """Tell the weather."""
        return f"sunny in {place}"

    provider.calls(("look_up", {"place": "Oslo"}))
    budget = BudgetCallback(limit)
    streams = {"disable_streaming": True} if how == "stream" else {}
    agent = create_react_agent(provider.model(brand, callbacks=[budget], **streams), [look_up])
    asked: Any = {"messages": [("user", "How is the weather in Oslo?")]}
    config: Any = {"callbacks": [budget]}

    def run() -> None:
        if how == "ainvoke":
            asyncio.run(agent.ainvoke(asked, config))
        elif how == "stream":
            assert list(agent.stream(asked, config))
        else:
            assert agent.invoke(asked, config)["messages"][-1].text

    if sent == 2:
        run()
    else:
        with pytest.raises(BudgetExceeded):
            run()
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "runs"), [("$1", 1), ("$0.005", 0)])
def test_a_tool_of_a_react_agent(limit: str, runs: int, provider: Script) -> None:
    """Its node for tools makes a message of errors in some versions, but not of a refusal."""
    ran: list[str] = []

    @tool
    def web_search(query: str) -> str:
        """Search the web."""
        ran.append(query)
        return "found"

    provider.calls(("web_search", {"query": "sky"}))
    budget = BudgetCallback(limit, tool_prices={"web_search": "$0.01"})
    agent = create_react_agent(provider.openai(), [web_search])
    asked: Any = {"messages": [("user", "Search")]}
    if runs:
        agent.invoke(asked, {"callbacks": [budget]})
    else:
        with pytest.raises(BudgetExceeded) as refused:
            agent.invoke(asked, {"callbacks": [budget]})
        assert refused.value.tool == "web_search"
    assert (provider.sent, len(ran)) == (1 + runs, runs)
    assert budget.spent * 10**9 == provider.bill_nanos + runs * 10_000_000
    assert budget.reserved == 0


@pytest.mark.parametrize("brand", ["openai", "anthropic", "mistral"])
def test_an_unknown_model_is_never_free(brand: str, provider: Script, question: Any) -> None:
    """A name that no table has is refused, whoever's client it is; `prices=` in the budget is the way to hold it."""
    from bursar import Budget, UnknownModel

    name = {"model_name" if brand == "mistral" else "model": "home-made"}
    budget = BudgetCallback("$1")
    with pytest.raises(BursarError) as refused:
        provider.model(brand, **name).invoke(question, {"callbacks": [budget]})
    assert isinstance(refused.value, UnknownModel)
    assert provider.sent == 0
    priced = BudgetCallback(Budget("$1", prices={"home-made": ("2.5", "10")}))
    provider.model(brand, **name).invoke(question, {"callbacks": [priced]})
    assert provider.sent == 1
    provider.assert_exact(priced)

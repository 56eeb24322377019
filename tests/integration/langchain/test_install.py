"""`install()`: every run of the process, whatever its config says, and once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

from bursar import Budget, BudgetExceeded, BursarError
from bursar_langchain import BudgetCallback, BudgetMiddleware, install, uninstall

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

LIMITS = pytest.mark.parametrize(("limit", "sent"), [("$1", 1), ("$0.00001", 0)])


@pytest.fixture(autouse=True)
def nothing_installed() -> Iterator[None]:
    """Each test leaves the process as it was."""
    yield
    uninstall()


def in_a_thread(work: Any) -> None:
    """A plain thread: no context, no config."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


@LIMITS
@pytest.mark.parametrize("where", ["bare", "dropped", "thread", "async", "in a chain", "stream"])
def test_runs_that_have_no_handler(
    where: str, limit: str, sent: int, provider: Script, question: Any
) -> None:
    """Calls without a config, with `callbacks=[]`, or in a plain thread are held and charged."""
    budget = install(limit)
    model = provider.openai()
    work = {
        "bare": lambda: model.invoke(question),
        "dropped": lambda: model.invoke(question, {"callbacks": []}),
        "thread": lambda: in_a_thread(lambda: model.invoke(question)),
        "async": lambda: asyncio.run(model.ainvoke(question, {"callbacks": []})),
        "in a chain": lambda: (RunnableLambda(lambda asked: asked) | model).invoke(question),
        "stream": lambda: list(model.stream(question)),
    }[where]
    if sent:
        work()
    else:
        with pytest.raises(BudgetExceeded):
            work()
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize("given", ["same", "same session", "on the model", "middleware"])
def test_given_twice_it_charges_once(given: str, provider: Script, question: Any) -> None:
    """A run that also is given the handler, or another one of its session, is charged once."""
    budget = install(Budget("$1"))
    other = budget if given == "same" else BudgetCallback(budget.session)
    model = provider.openai(callbacks=[other] if given == "on the model" else None)
    if given == "middleware":
        from langchain.agents import create_agent

        agent = create_agent(model, [], middleware=[BudgetMiddleware(budget)])
        agent.invoke({"messages": question})
    else:
        model.invoke(question, {"callbacks": [] if given == "on the model" else [other]})
    assert provider.sent == budget.session.calls == 1
    provider.assert_exact(budget)


def test_tools_and_settings() -> None:
    """The settings of a handler act, and tools are covered, too."""

    @tool
    def web_search(query: str) -> str:
        """Search the web."""
        return "found"

    budget = install("$0.02", tool_prices={"web_search": "$0.01"})
    for query in "ab":
        web_search.invoke({"query": query}, {"callbacks": []})
    with pytest.raises(BudgetExceeded):
        web_search.invoke({"query": "c"})
    assert budget.remaining == 0


def test_uninstall(provider: Script, question: Any) -> None:
    """It ends the cover and hands out the last report; without one it returns None."""
    assert uninstall() is None
    install("$1")
    provider.openai().invoke(question)
    report = uninstall()
    assert report is not None and report["breakdown"]["llm"]["calls"] == 1
    provider.openai().invoke(question)
    assert provider.sent == 2
    assert uninstall() is None


def test_a_second_install(provider: Script, question: Any) -> None:
    """One at a time: the second is an error, and the first one stays."""
    budget = install("$1")
    with pytest.raises(BursarError, match=r"uninstall\(\)"):
        install("$2")
    with pytest.raises(ValueError, match="has its own"):
        install(BudgetCallback("$1"), tenant="user_id")
    provider.openai().invoke(question)
    provider.assert_exact(budget)
    uninstall()
    assert install(budget) is budget


def test_nothing_piles_up() -> None:
    """LangChain keeps its hooks for ever: installing again and again adds none."""
    from langchain_core.tracers import context

    install("$1")
    before = len(context._configure_hooks)
    for _ in range(5):
        uninstall()
        install("$1")
    assert len(context._configure_hooks) == before

"""Many at once: threads, sessions, nested agents."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool

from bursar import Budget, BudgetExceeded, StoreUnavailable
from bursar_langchain import BudgetCallback

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script


@pytest.mark.parametrize(("limit", "all_fit"), [("$1", True), ("$0.003", False)])
def test_budget_callback_between_threads(limit: str, all_fit: bool, provider: Script) -> None:
    """Sixteen threads on one handler: the provider's own bill never passes the limit."""
    budget = BudgetCallback(Budget(limit, max_repeated_calls=None, wait=0))
    model = provider.openai()
    barrier = threading.Barrier(16)

    def work(_: int) -> int:
        barrier.wait()
        refused = 0
        for _ in range(4):
            try:
                model.invoke("hi", {"callbacks": [budget]})
            except BudgetExceeded:
                refused += 1
        return refused

    with ThreadPoolExecutor(16) as pool:
        refused = sum(pool.map(work, range(16)))
    assert provider.sent == 64 - refused
    assert (refused == 0) is all_fit
    assert 0 < provider.bill_nanos <= Decimal(limit.removeprefix("$")) * 10**9
    provider.assert_exact(budget)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 100), ("30 calls", 30), ("$0.003", None)])
def test_budget_callback_between_tasks(limit: str, sent: int | None, provider: Script) -> None:
    """A hundred tasks on one handler send what fits, and no more; the provider's own bill never passes the limit."""
    budget = BudgetCallback(limit)

    async def main() -> list[Any]:
        model = provider.openai()
        asked = (model.ainvoke(f"hi {number}", {"callbacks": [budget]}) for number in range(100))
        return await asyncio.gather(*asked, return_exceptions=True)

    refused = [answer for answer in asyncio.run(main()) if isinstance(answer, BudgetExceeded)]
    assert provider.sent == 100 - len(refused)
    assert provider.sent == sent if sent is not None else 0 < provider.sent < 100
    if limit.startswith("$"):
        assert 0 < provider.bill_nanos <= Decimal(limit.removeprefix("$")) * 10**9
    provider.assert_exact(budget)


@pytest.mark.needs("fork")
def test_budget_callback_after_fork(provider: Script) -> None:
    """The child sends nothing on the handler of its parent, though a thread had its lock; with its own it does."""
    budget, model = BudgetCallback("$1"), provider.openai()
    taken, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with budget._runs._lock:
            taken.set()
            enough.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            with pytest.raises(StoreUnavailable, match="open a Budget in the child"):
                model.invoke("hi", {"callbacks": [budget]})
            own = BudgetCallback("$1")
            provider.openai().invoke("hi", {"callbacks": [own]})
            os._exit(0 if own.spent else 2)
        finally:
            os._exit(1)
    enough.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert provider.sent == 1 and budget.spent == 0
    model.invoke("hi", {"callbacks": [budget]})
    assert provider.sent == 2 and budget.spent * 10**9 * 2 == provider.bill_nanos


def test_budget_callback_between_processes() -> None:
    """It cannot be sent to another process, which makes its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(TypeError, match="open a Budget in the other process"):
            pool.submit(repr, BudgetCallback("$1")).result()
        assert "BudgetCallback" in pool.submit(repr, BudgetCallback).result()


def test_budget_callback_pickle_and_copy() -> None:
    """It is not pickled, because its session is not."""
    with pytest.raises(TypeError, match="a Session cannot be pickled"):
        pickle.dumps(BudgetCallback("$1"))


@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), ("1 calls", 1)])
def test_handlers_that_share_a_session(limit: str, sent: int, provider: Script, question: Any) -> None:
    """Two handlers of one session spend from the same money."""
    session = Budget(limit).session()
    first, second = BudgetCallback(session), BudgetCallback(session)
    assert first.session is second.session is session
    provider.openai().invoke(question, {"callbacks": [first]})
    if sent == 2:
        provider.openai().invoke(question, {"callbacks": [second]})
    else:
        with pytest.raises(BudgetExceeded):
            provider.openai().invoke(question, {"callbacks": [second]})
    assert provider.sent == sent
    provider.assert_exact(session)


def test_handlers_of_one_budget_have_a_session_each(provider: Script, question: Any) -> None:
    """A limit of a session counts for each handler alone; the budget sees both."""
    whole = Budget("1 calls")
    for _ in range(2):
        budget = BudgetCallback(whole)
        provider.openai().invoke(question, {"callbacks": [budget]})
        with pytest.raises(BudgetExceeded):
            provider.openai().invoke(question, {"callbacks": [budget]})
    assert provider.sent == 2
    assert whole.spent * 10**9 == provider.bill_nanos


@pytest.mark.parametrize(("limit", "sent"), [("$1", 4), ("3 calls", 3), ("1 calls", 1)])
def test_nested_agents_share(limit: str, sent: int, provider: Script) -> None:
    """An agent inside a tool of another spends its money, although nobody handed it the handler."""
    provider.calls(("delegate", {"task": "sky"}))
    provider.calls(("look_up", {"place": "Oslo"}))
    session = Budget(limit).session()
    budget = BudgetCallback(session)

    @tool
    def look_up(place: str) -> str:
        """Tell the weather."""
        return f"sunny in {place}"

    inner = create_agent(provider.openai(), [look_up])

    @tool
    def delegate(task: str) -> str:
        """Delegate."""
        asked: Any = {"messages": [("user", task)]}
        return str(inner.invoke(asked)["messages"][-1].content)

    outer = create_agent(provider.openai(), [delegate])
    asked: Any = {"messages": [("user", "Delegate")]}
    if sent == 4:
        assert outer.invoke(asked, {"callbacks": [budget]})["messages"][-1].content == "ok"
    else:
        with pytest.raises(BudgetExceeded):
            outer.invoke(asked, {"callbacks": [budget]})
    assert provider.sent == sent
    provider.assert_exact(session)


def ask(model: Any, how: str, question: Any, handlers: Any) -> None:
    """One call, in one of four ways."""

    async def astream() -> None:
        async for _ in model.astream(question, {"callbacks": handlers}):
            pass

    if how == "astream":
        asyncio.run(astream())
    elif how == "ainvoke":
        asyncio.run(model.ainvoke(question, {"callbacks": handlers}))
    elif how == "stream":
        list(model.stream(question, {"callbacks": handlers}))
    else:
        model.invoke(question, {"callbacks": handlers})


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
@pytest.mark.parametrize("given", ["twice", "two of a session", "two sessions"])
def test_a_call_that_is_heard_twice(given: str, how: str, provider: Script, question: Any) -> None:
    """A handler named twice, or two of one session, pay once; handlers of two sessions pay once each."""
    budget = BudgetCallback("$1")
    other = {"twice": budget, "two of a session": BudgetCallback(budget.session)}.get(
        given, BudgetCallback("$1")
    )
    ask(provider.openai(), how, question, [budget, other])
    assert provider.sent == budget.session.calls == other.session.calls == 1
    provider.assert_exact(budget)
    provider.assert_exact(other)


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
@pytest.mark.parametrize("order", ["poor first", "rich first"])
def test_two_sessions_on_one_call(order: str, how: str, provider: Script, question: Any) -> None:
    """Where one of two budgets refuses, nothing is sent and the other one gets its hold back."""
    poor, rich = BudgetCallback("$0.00001"), BudgetCallback("$1")
    handlers: Any = [poor, rich] if order == "poor first" else [rich, poor]
    with pytest.raises(BudgetExceeded):
        ask(provider.openai(), how, question, handlers)
    assert provider.sent == 0
    assert not any((rich.spent, rich.reserved, poor.spent, poor.reserved))
    provider.openai().invoke(question, {"callbacks": [rich]})
    provider.assert_exact(rich)


def test_another_handlers_error_does_not_open_the_gate(provider: Script, question: Any) -> None:
    """A handler beside ours that fails in every hook changes nothing of what is charged."""
    from langchain_core.callbacks import BaseCallbackHandler

    class Broken(BaseCallbackHandler):
        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            raise ValueError("broken")

        def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
            raise ValueError("broken")

    budget = BudgetCallback("$1")
    provider.openai().invoke(question, {"callbacks": [Broken(), budget]})
    assert provider.sent == 1
    provider.assert_exact(budget)

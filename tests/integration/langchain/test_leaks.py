"""No call, however it ends, leaves money held for ever or goes unpaid."""

from __future__ import annotations

import asyncio
import gc
from contextvars import copy_context
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import openai
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool

from bursar import Budget, BudgetExceeded
from bursar.integration import admission
from bursar.testing import ManualClock, Reply, Request
from bursar_langchain import BudgetCallback

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script


def start(budget: BudgetCallback, question: Any, parent: UUID | None = None) -> UUID:
    """The start hook of a call whose end hook LangChain may never call."""
    run_id = uuid4()
    params = {"model": "gpt-4o", "max_tokens": 5}
    hook = partial(budget.on_chat_model_start, {}, [question], run_id=run_id, parent_run_id=parent)
    copy_context().run(hook, invocation_params=params)
    return run_id


async def cancel(work: Any, provider: Script | None = None) -> None:
    """Cancel the work in flight: once its request has arrived, if it makes one."""
    task = asyncio.ensure_future(work)
    if provider is not None:
        await asyncio.to_thread(provider.provider.wait_for, 1)
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)


@pytest.mark.parametrize("where", ["task", "chain", "stream"])
def test_cancelled_call(where: str, provider: Script, question: Any) -> None:
    """A call that is cancelled in flight may be on the bill: booked at the worst when its task ends."""
    provider.says(delay=1.0)
    budget = BudgetCallback("$1")
    model = provider.openai()
    config: Any = {"callbacks": [budget]}

    async def streaming() -> None:
        async for _ in model.astream(question, config):
            pass

    async def run() -> None:
        if where == "stream":
            await cancel(streaming(), provider)
        elif where == "task":
            await cancel(model.ainvoke(question, config), provider)
        else:
            await cancel((RunnableLambda(lambda asked: asked) | model).ainvoke(question, config), provider)
        assert budget.reserved == 0
        assert budget.spent * 10**9 >= provider.bill_nanos > 0

    asyncio.run(run())
    assert provider.sent == 1


@pytest.mark.parametrize("inside", ["chain", "bare"])
@pytest.mark.parametrize(
    "how", ["wait_for", pytest.param("timeout", marks=pytest.mark.needs("asyncio.timeout"))]
)
def test_timeout(how: str, inside: str, provider: Script, question: Any) -> None:
    """After a timeout the call is booked at the latest when the task around it ends, and counts until then."""
    provider.says(delay=3.0)
    budget = BudgetCallback("$1")
    model = provider.openai()
    work: Any = (RunnableLambda(lambda asked: asked) | model) if inside == "chain" else model

    async def run() -> None:
        asked = work.ainvoke(question, {"callbacks": [budget]})
        with pytest.raises(asyncio.TimeoutError):
            if how == "timeout":
                async with asyncio.timeout(1.0):  # type: ignore[attr-defined] # since Python 3.11
                    await asked
            else:
                await asyncio.wait_for(asked, 1.0)
        assert (budget.spent + budget.reserved) * 10**9 >= provider.bill_nanos
        if inside == "chain":
            await asyncio.sleep(0)
            assert budget.reserved == 0

    asyncio.run(run())
    assert provider.sent == 1
    assert budget.reserved == 0
    assert budget.spent * 10**9 >= provider.bill_nanos > 0


@pytest.mark.parametrize("inside", ["chain", "bare"])
def test_cancelled_text_model(inside: str, provider: Script) -> None:
    """A model that completes text starts in a task of its own, which tells nothing; but it says that it failed."""
    from langchain_openai import OpenAI
    from pydantic import SecretStr

    provider.says(delay=1.0)
    budget = BudgetCallback("$1")
    model = OpenAI(
        base_url=provider.provider.openai_url,
        api_key=SecretStr("none"),
        model="gpt-3.5-turbo-instruct",
        max_tokens=50,
        max_retries=0,
    )
    work: Any = (RunnableLambda(lambda asked: asked) | model) if inside == "chain" else model
    asyncio.run(cancel(work.ainvoke("The sky is", {"callbacks": [budget]}), provider))
    assert budget.reserved == 0
    assert budget.spent * 10**9 >= provider.bill_nanos > 0


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("brand", ["openai", "responses", "anthropic"])
@pytest.mark.parametrize("kills", [True, False])
def test_a_handler_that_kills_a_stream(
    kills: bool, brand: str, asynchronous: bool, provider: Script, question: Any
) -> None:
    """Whoever stops a stream in the middle: its call is closed, at the worst; one that is let be is exact."""

    class Breaker(BaseCallbackHandler):
        raise_error = True

        def on_llm_new_token(self, *args: Any, **kwargs: Any) -> None:
            if kills:
                raise OSError("enough")

    provider.says("a long answer in several pieces")
    budget = BudgetCallback("$1")
    model = provider.model(brand)
    config: Any = {"callbacks": [budget, Breaker()]}

    async def aread() -> None:
        async for _ in model.astream(question, config):
            pass

    def run() -> None:
        asyncio.run(aread()) if asynchronous else list(model.stream(question, config))

    if kills:
        with pytest.raises(OSError, match="enough"):
            run()
        gc.collect()  # older SDKs leave the connection to the collector
        assert budget.reserved == 0
        assert budget.spent * 10**9 >= provider.bill_nanos > 0
    else:
        run()
        provider.assert_exact(budget)
    assert provider.sent == 1


@pytest.mark.parametrize("place", ["handler", "store"])
def test_a_stream_that_is_collected_inside_our_locks(place: str, provider: Script, question: Any) -> None:
    """The collector may end a stream on any thread, even amid our own work: nothing deadlocks, and it is paid."""

    class Clock:
        collects = False

        def now(self) -> float:
            if self.collects:
                self.collects = False
                gc.collect()
            return 1_750_000_000.0

    clock = Clock()
    budget = BudgetCallback(Budget("$1", clock=clock))
    provider.says("a long answer in several pieces")
    stream: Any = provider.openai().stream(question, {"callbacks": [budget]})
    next(stream)
    held = budget.reserved
    assert held > 0
    gc.disable()
    try:
        cycle: list[Any] = [stream]
        cycle.append(cycle)  # only the collector can end it
        del stream, cycle
        if place == "handler":
            with budget._runs._lock, budget.costs._lock:
                gc.collect()
        else:
            clock.collects = True  # asked by the store in the middle of its next step
            provider.openai().invoke("another", {"callbacks": [budget]})
            assert not clock.collects
    finally:
        gc.enable()
    assert budget.reserved == 0
    assert budget.spent >= held
    assert budget.spent * 10**9 >= provider.bill_nanos


def test_a_chain_that_is_collected(provider: Script, question: Any) -> None:
    """When the collector ends a chain whose model never ended, no store is called from there: it is booked later."""
    budget = BudgetCallback("$1")
    chain = uuid4()
    start(budget, question, chain)
    held = budget.reserved
    touched: list[str] = []
    ledger = budget.session._ledger
    original = ledger.run
    ledger.run = lambda steps: touched.append("store") or original(steps)  # type: ignore[method-assign,func-returns-value]
    budget.on_chain_error(GeneratorExit(), run_id=chain)
    assert touched == []
    ledger.run = original  # type: ignore[method-assign]
    assert (budget.spent, budget.reserved) == (held, 0)


def test_the_lease_is_the_last_resort(provider: Script, question: Any) -> None:
    """A hold that no hook ever closes is booked at its worst case when its lease ends."""

    class Clock:
        time = 1_000_000.0

        def now(self) -> float:
            return self.time

    clock = Clock()
    budget = BudgetCallback(Budget("$1", clock=clock, lease="60s"))
    start(budget, question)
    held = budget.reserved
    assert held > 0
    clock.time += 61
    assert budget.spent == held
    assert budget.reserved == 0


@pytest.mark.parametrize("brand", ["openai", "mistral"])
def test_an_end_that_comes_late_corrects(brand: str, provider: Script, question: Any) -> None:
    """A call that outlives the chain which started it is booked at the worst, then at its real cost.

    What a covered SDK sends is in flight until that says otherwise.
    """
    provider.says(delay=0.4)
    budget = BudgetCallback("$1")
    model = provider.model(brand)
    tasks = []

    async def step(asked: Any, config: RunnableConfig) -> str:
        tasks.append(asyncio.ensure_future(model.ainvoke(asked, config)))
        await asyncio.sleep(0.1)
        return "done"

    async def run() -> None:
        await RunnableLambda(step).ainvoke(question, {"callbacks": [budget]})
        held = brand == "mistral"
        assert (budget.reserved == 0) is held
        assert budget.report()["estimated"] == held
        assert (budget.spent > 0) is held
        await tasks[0]

    asyncio.run(run())
    assert provider.sent == 1
    provider.assert_exact(budget)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("brand", "limit", "sent"),
    [
        ("openai", "$1", 3),
        ("openai", "2 calls", 2),
        ("openai", "1 calls", 1),
        ("mistral", "2 calls", 0),
        ("mistral", "1 calls", 0),
    ],
)
def test_refusal_in_the_middle_of_generate(
    brand: str, limit: str, sent: int, asynchronous: bool, provider: Script
) -> None:
    """A covered SDK holds each request when it is sent; others are held, and given back, all before the first."""
    budget = BudgetCallback(limit)
    model = provider.model(brand)
    asked: Any = [[HumanMessage(text)] for text in "abc"]

    def run() -> None:
        if asynchronous:
            asyncio.run(model.agenerate(asked, callbacks=[budget]))
        else:
            model.generate(asked, callbacks=[budget])

    if limit == "$1":
        run()
    else:
        with pytest.raises(BudgetExceeded):
            run()
    assert provider.sent == sent
    provider.assert_exact(budget)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(("failing", "sent"), [(None, 3), (0, 1), (1, 2), (2, 3)])
def test_failure_in_the_middle_of_generate(
    failing: int | None, sent: int, asynchronous: bool, provider: Script
) -> None:
    """When one call fails LangChain tells nobody of the others: the SDK has booked the answered, the unsent are free."""
    budget = BudgetCallback("$1")
    model = provider.openai()

    def answer(request: Request) -> Reply:
        fails = request.body["messages"][0]["content"] == str(failing)
        return Reply(status=500) if fails else Reply("ok", output_tokens=1)

    provider.provider.always(answer)
    asked: Any = [[HumanMessage(str(number))] for number in range(3)]

    def run() -> None:
        if asynchronous:
            asyncio.run(model.agenerate(asked, callbacks=[budget]))
        else:
            model.generate(asked, callbacks=[budget])

    if failing is None:
        run()
    else:
        with pytest.raises(openai.InternalServerError):
            run()
    assert provider.sent == (3 if asynchronous else sent)
    provider.assert_exact(budget)
    assert budget.report()["estimated"] == 0


@pytest.mark.parametrize("trouble", ["handler", "rate limiter"])
def test_async_starts_without_an_end(trouble: str, provider: Script, question: Any) -> None:
    """The same in a task: they are closed when it ends, although nothing was sent."""

    class Broken(BaseCallbackHandler):
        raise_error = True

        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            raise OSError("broken")

    class Full(BaseRateLimiter):
        def acquire(self, *, blocking: bool = True) -> bool:
            raise OSError("broken")

        async def aacquire(self, *, blocking: bool = True) -> bool:
            raise OSError("broken")

    budget = BudgetCallback("$1")
    model = provider.openai(rate_limiter=Full() if trouble == "rate limiter" else None)
    handlers: list[Any] = [budget, Broken()] if trouble == "handler" else [budget]

    async def read() -> None:
        async for _ in model.astream(question, {"callbacks": handlers}):
            pass

    with pytest.raises(OSError, match="broken"):
        asyncio.run(read())
    assert provider.sent == 0
    assert budget.reserved == 0


@pytest.mark.parametrize("inside", [True, False], ids=["in a chain", "bare"])
@pytest.mark.parametrize(
    "trouble",
    ["handler", "rate limiter", pytest.param("v3", marks=pytest.mark.needs("events of the third version"))],
)
@pytest.mark.parametrize("held", [True, False], ids=["held", "promised"])
def test_starts_without_an_end(
    held: bool, trouble: str, inside: bool, provider: Script, question: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls whose end no hook tells: a hold is closed by the chain around it, and at the latest by the lease.

    A promise of what is never sent holds nothing; a stream that is open is the SDK's, until it is left.
    """
    monkeypatch.setattr(admission, "is_sent_by", lambda *_: not held)
    clock = ManualClock(1_750_000_000)
    budget = BudgetCallback(Budget("$1", clock=clock, lease="60s"))

    class Broken(BaseCallbackHandler):
        raise_error = True

        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            raise OSError("broken")

    class Full(BaseRateLimiter):
        def acquire(self, *, blocking: bool = True) -> bool:
            raise OSError("broken")

        async def aacquire(self, *, blocking: bool = True) -> bool:
            raise OSError("broken")

    limiter = Full() if trouble == "rate limiter" else None
    model = provider.openai(rate_limiter=limiter, stream_usage=True)
    handlers: list[Any] = [budget, Broken()] if trouble == "handler" else [budget]
    kept = []

    def work(asked: Any, config: Any = None) -> str:
        config = config or {"callbacks": handlers}
        if trouble == "v3":
            events = model.stream_events(asked, config, version="v3")
            kept.append((events, next(iter(events))))
        else:
            list(model.stream(asked, config))
        return "done"

    def run() -> Any:
        if inside:
            return RunnableLambda(work).invoke(question, {"callbacks": handlers})
        return copy_context().run(work, question)  # which is left with the hold of the call

    if trouble == "v3":
        run()
    else:
        with pytest.raises(OSError, match="broken"):
            run()
    assert provider.sent == (trouble == "v3")
    if held and not inside:
        assert budget.reserved > 0
        clock.advance(61)
    if not held and trouble == "v3":
        assert budget.reserved > 0
        kept.clear()
        gc.collect()
    assert budget.reserved == 0
    assert budget.spent * 10**9 >= max(provider.bill_nanos, 1 if held else 0)


@pytest.mark.needs("events of the third version")
def test_abandoned_async_events(provider: Script, question: Any) -> None:
    """Events of the third version that nobody reads to the end: their call goes on, and is settled."""
    budget = BudgetCallback("$1")
    model = provider.openai()

    async def run() -> None:
        events: Any = await model.astream_events(question, {"callbacks": [budget]}, version="v3")
        async for _ in events:
            break

    asyncio.run(run())
    assert provider.sent == 1
    assert budget.reserved == 0
    assert budget.spent * 10**9 >= provider.bill_nanos > 0


def test_cancelled_tool() -> None:
    """A tool that is cancelled has run, and is paid."""

    @tool
    async def slow(query: str) -> str:
        """Search slowly."""
        await asyncio.sleep(5)
        return query

    budget = BudgetCallback(Budget("$1", tool_prices={"slow": "$0.01"}))
    asyncio.run(cancel(slow.ainvoke({"query": "sky"}, {"callbacks": [budget]})))
    assert budget.spent == Decimal("0.01")
    assert budget.reserved == 0


def test_end_hooks_never_raise(provider: Script, question: Any) -> None:
    """What comes after the call cannot take the paid answer away, whatever it is given."""
    budget = BudgetCallback("$1")
    nonsense: Any = None
    for hook in (budget.on_llm_end, budget.on_tool_end, budget.on_chain_end):
        hook(nonsense, run_id=uuid4())
    answer: Any = AIMessage("hi", response_metadata={"finish_reason": "stop"})
    answer.usage_metadata = {"input_tokens": "many", "output_tokens": None}
    budget.on_llm_end(
        LLMResult(generations=[[ChatGeneration(message=answer)]]), run_id=start(budget, question)
    )
    assert budget.spent > 0
    assert budget.reserved == 0


def test_store_that_fails_at_the_end(provider: Script, question: Any, monkeypatch: Any) -> None:
    """The answer arrives although it could not be booked; its hold still counts."""
    from bursar import StoreUnavailable
    from bursar.store.memory import MemoryStore

    store = MemoryStore()
    budget = BudgetCallback(Budget("$1", store=store))

    def down(*_: Any) -> Any:
        raise StoreUnavailable("down")

    monkeypatch.setattr(store, "settle", down)
    assert provider.openai().invoke(question, {"callbacks": [budget]}).content == "ok"
    assert budget.reserved * 10**9 >= provider.bill_nanos > 0


def test_store_that_fails_at_the_start(provider: Script, question: Any, monkeypatch: Any) -> None:
    """Without the store's word nothing is sent."""
    from bursar import StoreUnavailable
    from bursar.store.memory import MemoryStore
    from bursar_langchain import LangChainRefusal

    store = MemoryStore()
    budget = BudgetCallback(Budget("$1", store=store))

    def down(*_: Any) -> Any:
        raise StoreUnavailable("down")

    monkeypatch.setattr(store, "reserve", down)
    with pytest.raises(StoreUnavailable) as failed:
        provider.openai().invoke(question, {"callbacks": [budget]})
    assert isinstance(failed.value, LangChainRefusal)
    assert provider.sent == 0


def test_lost_runs_do_not_pile_up(provider: Script, question: Any) -> None:
    """Of runs whose end never comes, only the newest are remembered."""
    budget = BudgetCallback(Budget("$1", max_repeated_calls=None))
    chain = uuid4()
    for _ in range(300):
        start(budget, question, chain)
        budget.on_chain_end({}, run_id=chain)
    assert len(budget._runs) <= 256
    assert "sky" not in repr(vars(budget._runs))

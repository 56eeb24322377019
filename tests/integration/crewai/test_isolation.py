"""Each budget pays for what runs in it, and for nothing else."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from crewai.hooks.dispatch import InterceptionPoint, scoped_hooks

from bursar import Budget, BudgetExceeded
from bursar_crewai import BudgetMiddleware

if TYPE_CHECKING:
    from tests.integration.crewai.conftest import Script


def test_two_crews_in_threads(provider: Script) -> None:
    """Two budgets in two threads: each has the calls of its own crew."""
    budgets = [BudgetMiddleware("$1"), BudgetMiddleware("1 calls")]

    def run(budget: BudgetMiddleware) -> Any:
        with budget:
            try:
                return provider.crew().kickoff()
            except BudgetExceeded as refusal:
                return refusal

    with ThreadPoolExecutor(2) as pool:
        fine, refused = pool.map(run, budgets)
    assert fine.raw == "ok"
    assert isinstance(refused, BudgetExceeded)
    assert [budget.session.calls for budget in budgets] == [2, 1]
    provider.assert_exact(*budgets)


def test_two_crews_in_one_loop(provider: Script) -> None:
    """The same for two tasks of an event loop."""
    budgets = [BudgetMiddleware("$1"), BudgetMiddleware("1 calls")]

    async def run(budget: BudgetMiddleware) -> Any:
        async with budget:
            return await provider.crew().akickoff()

    async def both() -> list[Any]:
        return await asyncio.gather(*map(run, budgets), return_exceptions=True)

    fine, refused = asyncio.run(both())
    assert fine.raw == "ok"
    assert isinstance(refused, BudgetExceeded)
    assert [budget.session.calls for budget in budgets] == [2, 1]
    provider.assert_exact(*budgets)


def test_outside_of_the_block_nothing_is_charged(provider: Script) -> None:
    """Before and after the block crews run as ever, the same crew, too."""
    crew = provider.crew()
    budget = BudgetMiddleware("$1")
    crew.kickoff()
    with budget:
        crew.kickoff()
    crew.kickoff()
    assert (provider.sent, budget.session.calls) == (6, 2)


def test_one_middleware_may_be_entered_again(provider: Script) -> None:
    """One after the other, and within itself: each call is charged once."""
    budget = BudgetMiddleware("$1")
    with budget:
        provider.crew().kickoff()
    with budget, budget:
        provider.crew().kickoff()
        with budget:
            pass
        provider.crew().kickoff()
    assert budget.session.calls == 6
    provider.assert_exact(budget)


@pytest.mark.parametrize("brand", ["openai", "mistral"])
@pytest.mark.parametrize(
    ("outer", "inner", "sent"), [("$1", "$1", 2), ("1 calls", "$1", 1), ("$1", "1 calls", 1)]
)
def test_nested_budgets_both_pay(outer: str, inner: str, sent: int, brand: str, provider: Script) -> None:
    """A call within two budgets counts in both, and either may refuse it; what the other held comes back."""
    budgets = BudgetMiddleware(outer), BudgetMiddleware(inner)
    crew = provider.crew(brand=brand)
    if sent == 2:
        with budgets[0], budgets[1]:
            crew.kickoff()
    else:
        with pytest.raises(BudgetExceeded), budgets[0], budgets[1]:
            crew.kickoff()
    assert provider.sent == sent
    for budget in budgets:
        provider.assert_exact(budget)


def test_two_middlewares_of_one_session_charge_once(provider: Script) -> None:
    """A call that both hear is one call of the session."""
    session = Budget("$1").session()
    with BudgetMiddleware(session), BudgetMiddleware(session):
        provider.crew().kickoff()
    assert session.calls == 2
    provider.assert_exact(session)


@pytest.mark.parametrize(("bound", "charged"), [(False, 0), (True, 1)])
def test_a_thread_of_ones_own_needs_bind(bound: bool, charged: int, provider: Script) -> None:
    """A plain thread is in no budget; `bind` takes the function into it."""
    budget = BudgetMiddleware("$1")

    def work() -> None:
        provider.llm().call("Why?")

    with budget:
        thread = threading.Thread(target=budget.bind(work) if bound else work)
        thread.start()
        thread.join()
    assert (provider.sent, budget.session.calls) == (1, charged)


def test_hooks_around_the_block_are_asked_too(provider: Script) -> None:
    """Scoped hooks of the user's own keep being asked inside."""
    asked: list[Any] = []
    with scoped_hooks({InterceptionPoint.PRE_MODEL_CALL: [asked.append]}), BudgetMiddleware("$1"):
        provider.crew().kickoff()
    assert len(asked) == 2


def test_left_in_another_context(provider: Script) -> None:
    """A generator may be closed in another context than it began in, as fixtures are."""
    budget = BudgetMiddleware("$1")

    async def fixture() -> Any:
        async with budget:
            yield budget

    async def run() -> None:
        opened = fixture()
        await asyncio.create_task(anext(opened))
        await asyncio.create_task(opened.aclose())

    asyncio.run(run())
    with budget:
        provider.crew().kickoff()
    assert budget.session.calls == 2


def test_importing_the_package_imports_no_crewai() -> None:
    """It takes seconds: only who uses a name of the package pays for it."""
    code = "import sys, bursar_crewai; dir(bursar_crewai); assert 'crewai' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_socket_leaves_the_machine(provider: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole crew connects to 127.0.0.1 and to nothing else."""
    seen: set[str] = set()
    connect = socket.socket.connect

    def watched(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple):
            seen.add(address[0])
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    with BudgetMiddleware("$1"):
        provider.crew().kickoff()
    assert seen == {"127.0.0.1"}

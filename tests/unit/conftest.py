"""Behaviour that does not depend on where balances live is tested on every store; what adapters start from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from bursar import coverage, plugins
from bursar.integration import admission
from bursar.ledger import context, swallowed
from bursar.runtime.clock import Clock, SystemClock
from bursar.store import MemoryStore, Store
from bursar.store.redis import RedisStore, open_redis
from bursar.store.sqlite import open_sqlite
from bursar.testing import ScriptedProvider

from ..contract.toy_store import ToyStore
from ..files import file_url
from ..servers import shared_url
from .sdk import patching
from .toy_hooks import Plugin

STORES: dict[str, Callable[[Clock | None], Store]] = {
    "memory": MemoryStore,
    "sqlite": lambda clock: open_sqlite(file_url(synchronous="normal"), clock),
    "redis": lambda clock: open_redis(shared_url(), clock),
    "toy": lambda clock: ToyStore(clock or SystemClock()),
}
ALIKE = (
    *(
        "alerts",
        "asking_hooks",
        "breaker",
        "children",
        "contention",
        "finalize",
        "hold",
        "observing_hooks",
        "operators",
    ),
    *("parts", "report", "session", "shadow", "tracking"),
)
IN_MEMORY = {
    "test_a_double_cancellation_cannot_lose_a_settle": "counts the turns of a loop, and others wait in a thread",
    "test_a_store_called_from_within_itself_refuses": "calls the store from its own clock",
    "test_the_report_is_what_the_contract_says": "compares the whole report, which names the store",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of these modules on each store; in memory they keep their names."""
    alike = metafunc.module.__name__.rpartition(".test_")[2] in ALIKE
    if alike and metafunc.function.__name__ not in IN_MEMORY:
        names = [pytest.HIDDEN_PARAM if name == "memory" else name for name in STORES]
        metafunc.parametrize("where_balances_live", STORES.values(), ids=names, indirect=True)


@pytest.fixture(autouse=True)
def where_balances_live(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A budget without `store=` gets an empty store of this kind; its connections end with the test.

    What a test raises may be a parameter, which keeps the frames that it passed, and so the store.
    """
    if not hasattr(request, "param"):
        yield
        return
    made: list[Store] = []

    def make(clock: Clock | None = None) -> Store:
        made.append(request.param(clock))
        return made[-1]

    monkeypatch.setattr("bursar.settings.MemoryStore", make)
    yield
    for store in made:
        if isinstance(store, RedisStore):
            for client in store._clients._blocking.values():
                client.connection_pool.disconnect()


@pytest.fixture
def covered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """The SDK is imported, has a plugin, and no kind of client has come around it yet."""
    plugin = Plugin()
    found = plugins._plugin(plugin, "openai")
    monkeypatch.setattr(plugins, "_installed", lambda: (found,))
    monkeypatch.setattr(coverage, "_for_good", set())
    monkeypatch.setattr(admission, "_elsewhere", set())
    monkeypatch.setitem(sys.modules, "openai", sys.modules[__name__])
    yield plugin
    patching.unpatch()


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    """It serves until the test is over."""
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def _nobody_pays() -> Iterator[None]:
    """Calls and runs that a test leaves open are not those of the next one."""
    yield
    context._innermost.set(None)
    swallowed._run.set(None)

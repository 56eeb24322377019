"""Real clients of the Anthropic SDK against a provider on this machine that keeps its own bill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

import bursar
from bursar import Session
from bursar.testing import Rate, Reply, ScriptedProvider

from .surfaces import Async, Surface, Sync

RATES = {
    "claude-sonnet-4-5": Rate("3", "15", "0.30", "3.75", "6", runs={"web_search": "0.01"}),
    "claude-haiku-4-5": Rate("1", "5", "0.10", "1.25", "2", runs={"web_search": "0.01"}),
    "claude-opus-4-8": Rate("5", "25", "0.50", "6.25", "10"),
    "claude-2.1": Rate("8", "24"),
    "home-made": Rate("1", "2"),
    # At Amazon, where they cost a tenth more, and at Google.
    "anthropic.claude-sonnet-4-5-20250929-v1:0": Rate("3.30", "16.50", "0.33", "4.125", "6.60"),
    "claude-sonnet-4-5@20250929": Rate("3", "15", "0.30", "3.75", "6"),
}
WORD = '{"word": "blue"}'


# Where the SDK has no middleware yet, there is nothing to prove.
collect_ignore = [] if hasattr(anthropic, "Middleware") else ["test_middleware.py"]


class Bench:
    """What a test needs: a provider, clients of one kind, and somebody who pays for them."""

    def __init__(self, provider: ScriptedProvider, way: Sync | Async, cover: str) -> None:
        self.provider = provider
        self.way = way
        self.cover = cover
        self._clients: list[Any] = []

    def client(self, **settings: Any) -> Any:
        """A client that does not repeat what fails, unless it is told to."""
        settings = {"base_url": self.provider.anthropic_url, "api_key": "none", "max_retries": 0, **settings}
        settings["http_client"] = self.way.http(
            verify=False
        )  # certificates take longer to load than all else
        return self.keep(self.way.kind(**settings))

    def keep(self, client: Any) -> Any:
        """A client that is closed at the end of the test."""
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            self.way.run(client.close())
        self.way.close()

    def paid(self, *limits: Any, **settings: Any) -> tuple[Any, Session]:
        """A client, and the session that pays for it."""
        of_client = settings.pop("client", {})
        client = self.client(**of_client)
        return client, self.pay(client, *limits, **settings)

    def pay(self, client: Any, *limits: Any, **settings: Any) -> Session:
        """Somebody who pays for a client: a session of its own, or that of the process."""
        if self.cover == "init":
            return bursar.init(*limits, **settings)
        session = bursar.Budget(*limits, **settings).session()
        assert bursar.wrap_client(client, session) is client
        return session

    def take(self, call: Surface | Callable[[Any], Any], client: Any, taken: str = "value") -> Any:
        """Call a surface, and take the whole answer."""
        return self.way.take(call if isinstance(call, Surface) else Surface(call, taken), client)

    def assert_exact(self, session: Session) -> None:
        """The provider's bill and the ledger agree to the nano-dollar, and nothing is left held."""
        assert session.spent * 10**9 == self.provider.bill_nanos
        assert session.reserved == 0


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(snapshots={"claude-sonnet-4-5": "claude-sonnet-4-5-20250929"}) as provider:
        yield provider


@pytest.fixture
def provider(running: ScriptedProvider) -> ScriptedProvider:
    """One that has seen nothing yet."""
    running.reset()
    running.rates = dict(RATES)
    running.always(Reply(WORD))
    return running


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> Sync | Async:
    return Sync() if request.param == "sync" else Async()


@pytest.fixture(params=["wrap", "init"])
def bench(request: pytest.FixtureRequest, provider: ScriptedProvider, way: Sync | Async) -> Iterator[Bench]:
    bench = Bench(provider, way, request.param)
    yield bench
    bench.close()


@pytest.fixture
def sync_bench(provider: ScriptedProvider) -> Iterator[Bench]:
    """Blocking clients with a session of their own."""
    bench = Bench(provider, Sync(), "wrap")
    yield bench
    bench.close()


@pytest.fixture(autouse=True)
def nothing_is_left_covered() -> Iterator[None]:
    """However a test ends, the next one begins with an SDK that nobody covers."""
    yield
    bursar.teardown()


THEIRS = (
    "ignore::DeprecationWarning",
    "ignore::ResourceWarning",  # clients that are closed by the collector
    "ignore::pytest.PytestUnraisableExceptionWarning",  # the same, in a finaliser
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What the SDK warns about by itself is not ours to fail on."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for warning in THEIRS:
                item.add_marker(pytest.mark.filterwarnings(warning))

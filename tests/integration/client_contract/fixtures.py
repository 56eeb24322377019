"""What the tests of every SDK are given; its `conftest.py` imports all of it, and has an `sdk`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bursar
from bursar.testing import Reply, ScriptedProvider

from .bench import Async, Bench, Sync
from .sdk import ClientSdk

WORD = '{"word": "blue"}'  # what the provider says, unless it is told otherwise

# Which clients a test is run with:
#
#   cell        covers it                            calls it      what only this one proves
#   wrap-sync   a class of the client's own          blocking      `blocking_methods`, `Seam.wrap`
#   init-async  the base classes, for the process    awaited       `awaitable_methods`, `Seam.patch`, the context
#   wrap-async  as wrap-sync                         awaited       that `wrap` takes the methods of tasks
#   init-sync   as init-async                        blocking      that `patch` takes those of threads
#
# What a request asks for, and what is read of its answer, is decided below all of this: TWO cells
# have each way to call and each cover once. Where both meet, in which methods a cover puts in place,
# a test is marked `crossed`, and runs in all FOUR.
TWO = ("wrap-sync", "init-async")
FOUR = ("wrap-sync", "wrap-async", "init-sync", "init-async")
crossed = pytest.mark.crossed

THEIRS = (
    "ignore::DeprecationWarning",
    "error::ResourceWarning",  # also where warnings are shown only
    "error::pytest.PytestUnraisableExceptionWarning",  # the same, in a finaliser
)

# The argument of a test, and the attribute of the description with the names that it takes in turn.
_EACH = {
    "body": "opened",
    "call": "calls",
    "capped": "capped",
    "drop": "drops",
    "endpoint": "unbounded",
    "erring": "erring",
    "fit": "clamping",
    "free": "free",
    "odd": "odd",
    "settled": "settled",
    "shape": "shapes",
    "status_of_error": "statuses",
    "stream": "streams",
    "surface": "surfaces",
    "unreadable": "unreadable",
}
_EACH_OF_THE_WINDOW = {"hidden": "hidden", "without_bound": "unbounded"}
_EACH_OF_THE_STREAM = {"odd_end": "odd_ends"}


def parametrize(metafunc: pytest.Metafunc, sdk: ClientSdk) -> None:
    """Give a test its clients, and each of what the SDK has of something."""
    taken = set(metafunc.fixturenames)
    given = {name for mark in metafunc.definition.iter_markers("parametrize") for name in _named(mark)}
    if "bench" in taken:
        cells = FOUR if metafunc.definition.get_closest_marker("crossed") else TWO
        of_seam = metafunc.definition.get_closest_marker("seam_cell")
        marked = [
            pytest.param(cell, marks=pytest.mark.seam) if of_seam and cell in of_seam.args else cell
            for cell in cells
        ]
        metafunc.parametrize("bench", marked, indirect=True)
    elif "way" in taken:
        metafunc.parametrize("way", ("sync", "async"), indirect=True)
    places = ((sdk, _EACH), (sdk.window, _EACH_OF_THE_WINDOW), (sdk.stream, _EACH_OF_THE_STREAM))
    for place, each in places:
        for name in metafunc.fixturenames:
            if name in each and name not in given:
                metafunc.parametrize(name, list(getattr(place, each[name])))


def _named(mark: pytest.Mark) -> list[str]:
    names = mark.args[0]
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)


def _way(name: str) -> Sync | Async:
    return Async() if name == "async" else Sync()


@pytest.fixture(scope="module")
def running(sdk: ClientSdk) -> Iterator[ScriptedProvider]:
    with ScriptedProvider(snapshots=dict(sdk.snapshots)) as provider:
        yield provider


@pytest.fixture
def provider(running: ScriptedProvider, sdk: ClientSdk) -> ScriptedProvider:
    """One that has seen nothing yet."""
    running.reset()
    running.rates = dict(sdk.rates)
    running.always(Reply(WORD))
    return running


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[Sync | Async]:
    way = _way(request.param)
    yield way
    way.close()


@pytest.fixture
def bench(request: pytest.FixtureRequest, sdk: ClientSdk, provider: ScriptedProvider) -> Iterator[Bench]:
    cover, way = request.param.split("-")
    bench = Bench(sdk, provider, _way(way), cover)
    yield bench
    bench.close()


@pytest.fixture
def sync_bench(sdk: ClientSdk, provider: ScriptedProvider) -> Iterator[Bench]:
    """Blocking clients with a session of their own."""
    bench = Bench(sdk, provider, Sync(), "wrap")
    yield bench
    bench.close()


@pytest.fixture
def client(sdk: ClientSdk, provider: ScriptedProvider) -> Iterator[Any]:
    """A blocking client that nobody pays for yet."""
    with sdk.client(provider) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left_covered() -> Iterator[None]:
    """However a test ends, the next one begins with an SDK that nobody covers."""
    yield
    bursar.teardown()


@pytest.fixture(autouse=True)
def no_waiting(sdk: ClientSdk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK waits between attempts; these tests do not."""
    base = sdk.module._base_client.BaseClient
    monkeypatch.setattr(base, "_calculate_retry_timeout", lambda *args, **kwargs: 0)


def theirs(items: list[pytest.Item], folder: Path) -> None:
    """What an SDK warns about by itself is not ours to fail on; what nobody closed is."""
    for item in items:
        if item.path.parent == folder:
            for warning in reversed(THEIRS):
                item.add_marker(pytest.mark.filterwarnings(warning), append=False)

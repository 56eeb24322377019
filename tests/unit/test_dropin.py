"""Two lines that cover a process, and functions that cover it while they run."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

import bursar
from bursar import Budget, BudgetExceeded, BursarError, Session, coverage, hookimpl, plugins
from bursar.testing import ScriptedProvider

from .sdk import Client, Options, patching
from .test_seam import CHAT


class Plugin:
    """What an integration's hooks are, for the SDK in miniature."""

    def __init__(self) -> None:
        self.patched = 0

    @hookimpl
    def bursar_wrap_client(self, client: object, session: Session) -> object | None:
        return patching.wrap(client, session)

    @hookimpl
    def bursar_patch(self) -> str:
        self.patched = 1
        patching.patch()
        return "openai"

    @hookimpl
    def bursar_unpatch(self) -> None:
        self.patched = 0
        patching.unpatch()


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    plugin = Plugin()
    monkeypatch.setattr(plugins, "_installed", lambda: (plugins._plugin(plugin, "mini"),))
    monkeypatch.setattr(coverage, "find_spec", lambda name: name if name == "openai" else None)
    yield plugin
    bursar.teardown()
    assert plugin.patched == 0


@pytest.fixture
def client() -> Iterator[Client]:
    with ScriptedProvider() as provider:
        yield Client(provider.openai_url)


def ask(client: Client) -> bytes:
    answer: bytes = client.request(object, Options(**CHAT))
    return answer


def test_a_process_is_covered_from_init_to_teardown(plugin: Plugin, client: Client) -> None:
    """The words of the module are those of the session that pays here; then nobody pays."""
    session = bursar.init("$1", max_spend="$2")
    ask(client)
    assert bursar.get_session() is session and plugin.patched == 1
    assert (bursar.spent(), bursar.remaining()) == (session.spent, 1 - session.spent)
    assert bursar.report()["breakdown"]["llm"]["calls"] == 1
    with Budget().session() as other:
        assert (bursar.get_session(), bursar.spent(), bursar.remaining()) == (other, 0, None)
    report = bursar.teardown()
    assert report is not None and report["total_spent"] == float(session.spent) > 0
    ask(client)
    assert (session.calls, bursar.get_session(), bursar.teardown()) == (1, None, None)
    for question in (bursar.spent, bursar.remaining, bursar.report):
        with pytest.raises(BursarError, match="init"):
            question()


def test_init_is_called_once(plugin: Plugin) -> None:
    """A second one is an error; after a teardown there may be another."""
    bursar.init("$1")
    with pytest.raises(BursarError, match="teardown"):
        bursar.init("$1")
    bursar.teardown()
    bursar.init("$1")


def test_an_sdk_that_nothing_covers(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is installed would spend unseen: an error that names what to install, and nothing is covered."""
    monkeypatch.setattr(coverage, "find_spec", lambda name: name)
    for cover in (lambda: bursar.init("$1"), bursar.budgeted("$1")(lambda: None)):
        with pytest.raises(BursarError, match="pip install bursar-anthropic"):
            cover()
    assert plugin.patched == 0 and bursar.get_session() is None


def test_clients_are_wrapped_by_whoever_knows_them(plugin: Plugin, client: Client) -> None:
    """And unwrapped again."""
    session = Budget("$1").session()
    assert bursar.wrap_client(client, session) is client
    ask(client)
    assert bursar.unwrap_client(client) is client
    ask(client)
    assert session.calls == 1


def test_a_plugin_that_fails_to_cover(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that says so, and the others are uncovered again."""

    class Broken:
        @hookimpl
        def bursar_patch(self) -> str:
            raise KeyError("sk-secret")

    both = (plugins._plugin(plugin, "mini"), plugins._plugin(Broken(), "broken"))
    monkeypatch.setattr(plugins, "_installed", lambda: both)
    with pytest.raises(BursarError, match="not covered.*'broken'") as error:
        bursar.init("$1")
    assert plugin.patched == 0 and bursar.get_session() is None and "sk-secret" not in str(error.value)


def test_what_has_a_price_is_tracked(plugin: Plugin) -> None:
    """Whoever pays here pays for it."""
    bursar.init("$1")
    assert bursar.track("found", "$0.10", tool_name="search") == "found"
    assert bursar.spent() * 10 == 1


# -- decorated functions ------------------------------------------------------------------------------


def test_each_call_has_its_own_session(plugin: Plugin, client: Client) -> None:
    """Also when it fails, also within itself; with the limits of the decorator. The SDK stays covered."""

    @bursar.budgeted("$0.001", clamp=False)
    def work(calls: int, deeper: int = 0) -> Session | None:
        """Documented."""
        for _ in range(calls):
            ask(client)
        return work(calls, deeper - 1) if deeper else bursar.get_session()

    assert (work.__name__, work.__doc__) == ("work", "Documented.")
    first, second, inner = work(1), work(1), work(1, deeper=2)
    assert first is not None and second is not None and inner is not None
    assert first is not second and [first.calls, second.calls, inner.calls] == [1, 1, 1]
    with pytest.raises(BudgetExceeded):
        work(3)
    assert plugin.patched == 1 and bursar.get_session() is None


def test_a_coroutine(plugin: Plugin) -> None:
    """Two at once have a session each."""

    @bursar.budgeted("$1")
    async def work(turn: asyncio.Event) -> Session | None:
        before = bursar.get_session()
        await turn.wait()
        assert bursar.get_session() is before
        return before

    async def main() -> None:
        turn = asyncio.Event()
        tasks = [asyncio.create_task(work(turn)) for _ in range(2)]
        await asyncio.sleep(0)
        assert plugin.patched == 1 and bursar.get_session() is None
        turn.set()
        one, other = await asyncio.gather(*tasks)
        assert one is not other is not None

    asyncio.run(main())
    assert bursar.get_session() is None


def test_a_generator(plugin: Plugin) -> None:
    """Its session is the current one inside it only; what is sent, thrown and returned goes through."""

    @bursar.budgeted("$1")
    def talk(word: str) -> Any:
        inside = bursar.get_session()
        try:
            while True:
                word = yield word, inside is bursar.get_session() is not None
        except ZeroDivisionError:
            yield "caught", inside is bursar.get_session()
        return word

    talking = talk("a")
    assert plugin.patched == 0
    assert next(talking) == ("a", True) and plugin.patched == 1
    assert bursar.get_session() is None
    assert talking.send("b") == ("b", True)
    assert talking.throw(ZeroDivisionError()) == ("caught", True)
    with pytest.raises(StopIteration, match="b"):
        next(talking)
    assert bursar.get_session() is None


def test_a_generator_that_is_left(plugin: Plugin) -> None:
    """Closed or forgotten, it cleans up in its own session, and `teardown` restores the SDK again."""
    cleaned = []

    @bursar.budgeted("$1")
    def talk() -> Any:
        try:
            yield 1
        finally:
            cleaned.append(bursar.get_session())

    for leave in (lambda talking: talking.close(), lambda talking: None):
        talking = talk()
        next(talking)
        leave(talking)
        del talking
        gc.collect()
    assert len(cleaned) == 2 and None not in cleaned
    bursar.teardown()
    assert plugin.patched == 0


def test_an_asynchronous_generator(plugin: Plugin) -> None:
    """The same, awaited: sent to, thrown into, read to its end, and closed."""
    cleaned = []

    @bursar.budgeted("$1")
    async def talk(word: str) -> Any:
        inside = bursar.get_session()
        try:
            while word != "end":
                word = yield word, inside is bursar.get_session() is not None
        except ZeroDivisionError:
            yield "caught", inside is bursar.get_session()
        finally:
            cleaned.append(inside is bursar.get_session())

    async def main() -> None:
        talking: Any = talk("a")
        assert await talking.__anext__() == ("a", True)
        assert plugin.patched == 1 and bursar.get_session() is None
        assert await talking.asend("b") == ("b", True)
        assert await talking.athrow(ZeroDivisionError()) == ("caught", True)
        with pytest.raises(StopAsyncIteration):
            await talking.__anext__()
        assert [word async for word in talk("end")] == []
        left: Any = talk("a")
        await left.__anext__()
        await left.aclose()

    asyncio.run(main())
    assert cleaned == [True, True, True]


@pytest.mark.parametrize("wrong", [{"lease": -1}, {"allow": ("smell",)}])
def test_a_wrong_limit_is_told_where_it_is_written(wrong: dict[str, Any]) -> None:
    """Not at the first call."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        bursar.budgeted("$1", **wrong)
    with pytest.raises(bursar.InvalidAmount):
        bursar.budgeted("much")

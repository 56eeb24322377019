"""Whose money a call is in threads and tasks that a session's own thread starts; and who is told of a call of nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from tests.unit.sdk import AsyncClient, Client, Options, patching

import bursar
import bursar.sdk.patching as seam
from bursar import Budget, BursarError, Session
from bursar.testing import ScriptedProvider


@pytest.fixture(autouse=True)
def _covered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(seam, "_said", False)
    patching.patch()
    yield
    patching.unpatch()


CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}


@pytest.fixture
def ask() -> Iterator[Callable[[], None]]:
    """One paid call."""
    with ScriptedProvider() as provider:

        def ask(*free: str) -> None:
            Client(provider.openai_url).request(object, Options(*free) if free else Options(**CHAT))

        yield ask


@pytest.fixture
def aask() -> Iterator[Callable[[], Any]]:
    """One paid call, awaited."""
    with ScriptedProvider() as provider:

        async def ask() -> None:
            await AsyncClient(provider.openai_url).request(object, Options(**CHAT))

        yield ask


def in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def in_pool(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(2) as pool:
        pool.submit(work).result()


def by_map(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: work(), [0]))


def in_executor(work: Callable[[], object]) -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, work)

    asyncio.run(main())


def to_thread(work: Callable[[], object]) -> None:
    asyncio.run(asyncio.to_thread(work))


def by_a_timer(work: Callable[[], object]) -> None:
    timer = threading.Timer(0, work)
    timer.start()
    timer.join()


def in_a_copy(work: Callable[[], object]) -> None:
    context = copy_context()
    in_thread(lambda: context.run(work))


def in_tasks(work: Callable[[], object]) -> None:
    async def task() -> None:
        work()

    async def main() -> None:
        await asyncio.gather(task(), return_exceptions=False)

    asyncio.run(main())


def in_the_loop_of_another_thread(work: Callable[[], object]) -> None:
    async def task() -> None:
        work()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(task(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


# The rows of the table in docs/concurrency.md: whether the session of the starter pays, without bind.
ROWS = {
    "threading.Thread": (in_thread, False),
    "threading.Timer": (by_a_timer, False),
    "ThreadPoolExecutor.submit": (in_pool, False),
    "ThreadPoolExecutor.map": (by_map, False),
    "loop.run_in_executor": (in_executor, False),
    "asyncio.to_thread": (to_thread, True),
    "asyncio.create_task, gather, TaskGroup": (in_tasks, True),
    "asyncio.run_coroutine_threadsafe": (in_the_loop_of_another_thread, True),
    "copy_context().run": (in_a_copy, True),
}


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_table(
    row: str, bound: bool, ask: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The session pays where the context comes along, and everywhere once the function is bound; else one is warned."""
    start, pays = ROWS[row]
    with Budget("$1").session() as session:
        start(bursar.bind(ask) if bound else ask)
        start(session.bind(ask) if bound else ask)
    assert session.calls == (2 if bound or pays else 0)
    assert caplog.text.count("nobody pays") == (not bound and not pays)


def test_the_table_has_these_rows() -> None:
    """The page and the tests name the same ways to start something."""
    from pathlib import Path

    page = Path(__file__).parents[2].joinpath("docs/concurrency.md").read_text("utf-8")
    for row, (_, pays) in ROWS.items():
        assert f"| `{row}` | {'the session' if pays else 'nobody'} | the session |" in page.replace(
            "`, `", ", "
        )


def test_what_is_bound_is_paid_for_by_the_session_of_that_moment(ask: Callable[[], None]) -> None:
    """Also after its ``with``, also inside that of another session; and by the session of a hold, or of the process."""
    with pytest.raises(BursarError, match="no session pays"):
        bursar.bind(ask)
    with Budget("$1").session() as first:
        bound = bursar.bind(ask)
    with Budget("$1").session() as second:
        in_thread(bound)
        bound()
    assert (first.calls, second.calls) == (2, 0) and bursar.get_session() is None


def test_functions_of_every_kind_are_bound(ask: Callable[[], None], aask: Callable[[], Any]) -> None:
    """What they are called, take and give stays; a generator leaves its consumer alone while it waits."""
    session = Budget("$1").session()

    @session.bind
    def plain(word: str, *, twice: bool = False) -> str:
        """Documented."""
        ask()
        return word * (1 + twice)

    @session.bind
    async def coroutine() -> Session | None:
        await aask()
        return bursar.get_session()

    @session.bind
    def generator() -> Iterator[Session | None]:
        ask()
        yield bursar.get_session()
        ask()

    @session.bind
    async def stream() -> AsyncIterator[Session | None]:
        await aask()
        yield bursar.get_session()
        await aask()

    async def read() -> list[Session | None]:
        return [item async for item in stream() if bursar.get_session() is None]

    assert (plain.__name__, plain.__doc__, plain("a", twice=True)) == ("plain", "Documented.", "aa")
    assert asyncio.run(coroutine()) is session
    assert [item for item in generator() if bursar.get_session() is None] == [session]
    assert asyncio.run(read()) == [session]
    assert session.calls == 6


def test_a_call_of_nobody_is_warned_of_only_where_somebody_is_meant_to_pay(
    ask: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """Not without a session anywhere; not for free calls, wrapped clients, and sessions that do not cover."""
    ask()
    with Budget("$1").session(cover=False):
        in_thread(ask)
    wrapped = Client()
    with Budget("$1").session() as session, ScriptedProvider() as provider:
        in_thread(lambda: ask("/models", "GET"))
        wrapped.base_url = provider.openai_url
        patching.wrap(wrapped, session)
        in_thread(lambda: wrapped.request(object, Options(**CHAT)))

        def quietly() -> None:
            with Budget("$1").session(cover=False):
                ask()

        in_thread(quietly)
        assert caplog.text == ""
        in_thread(ask)
    assert "session.bind(function)" in caplog.text

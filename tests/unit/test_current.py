"""Which session pays here."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator

import pytest

from bursar import Budget, get_session
from bursar.ledger.context import enter, leave, pays_for_process
from bursar.session import current_session, session_of_process


@pytest.fixture(autouse=True)
def _nobody() -> Iterator[None]:
    """Each test begins and ends with nobody who pays."""
    assert current_session() is None
    yield
    pays_for_process(None)
    assert current_session() is None


def test_the_innermost_session_pays() -> None:
    """Of nested ones the last that was entered, also one that is entered twice; then that of the process."""
    outer, inner, of_process = (Budget().session() for _ in range(3))
    pays_for_process(of_process)
    with outer:
        assert current_session() is outer
        with inner, outer:
            assert get_session() is outer
            with inner:
                assert current_session() is inner
            assert current_session() is outer
        assert current_session() is outer
    assert current_session() is of_process is session_of_process()


def test_sessions_may_be_left_in_any_order() -> None:
    """Leaving the outer one first keeps the inner one; leaving one that is not entered does nothing."""
    outer, inner = Budget().session(), Budget().session()
    enter(outer)
    enter(inner)
    leave(outer)
    leave(outer)
    assert current_session() is inner
    leave(inner)


def test_an_error_leaves_the_session_too() -> None:
    """And passes."""
    with pytest.raises(ZeroDivisionError), Budget().session():
        _ = 1 / 0


def test_threads_begin_with_that_of_the_process() -> None:
    """A plain thread does not see what another one has entered."""
    seen = []
    of_process = Budget().session()
    pays_for_process(of_process)
    with Budget().session():
        thread = threading.Thread(
            target=contextvars.Context().run, args=(lambda: seen.append(current_session()),)
        )
        thread.start()
        thread.join()
    assert seen == [of_process]


def test_tasks_begin_with_that_of_their_parent() -> None:
    """What a task enters is its own; what was entered when it began stays, though the parent has left it."""
    outer, inner = Budget().session(), Budget().session()

    async def task(go_on: asyncio.Event) -> None:
        async with inner:
            assert current_session() is inner
            await go_on.wait()
        assert current_session() is outer

    async def main() -> None:
        go_on = asyncio.Event()
        async with outer:
            begun = asyncio.create_task(task(go_on))
            await asyncio.sleep(0)
            assert current_session() is outer
        assert current_session() is None
        go_on.set()
        await begun

    asyncio.run(main())

"""The hold in the context: who pays for what is sent from here."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from bursar import Budget, Hold
from bursar.ledger.context import InContext, claimed
from bursar.ledger.hold import Cover, cover, covered_hold

OUTER: Hold = Budget().session().reserve(cost=0)
INNER: Hold = Budget().session().reserve(cost=0)


@pytest.fixture(autouse=True)
def _fresh_context() -> Iterator[None]:
    """Each test begins and ends without a hold in the context."""
    assert covered_hold() is None
    yield
    assert covered_hold() is None


def test_hold_is_in_the_context_while_covered() -> None:
    """Inside ``with cover(hold)`` the hold pays, before and after it nobody does."""
    with cover(OUTER) as hold:
        assert hold is OUTER
        assert covered_hold() is OUTER
    assert covered_hold() is None


def test_innermost_hold_pays() -> None:
    """A cover within a cover takes over, and gives back."""
    with cover(OUTER):
        with cover(INNER):
            assert covered_hold() is INNER
        assert covered_hold() is OUTER


def test_exception_closes_and_passes() -> None:
    """An exception leaves the cover closed and is not swallowed."""
    with pytest.raises(ZeroDivisionError), cover(OUTER):
        _ = 1 / 0
    assert covered_hold() is None


def test_closing_twice_does_nothing_more() -> None:
    """A second close does not close the cover around it."""
    with cover(OUTER):
        inner = Cover(INNER)
        inner.close()
        inner.close()
        assert covered_hold() is OUTER


def test_covers_may_close_in_any_order() -> None:
    """An outer cover that closes first leaves the inner one in force, and does not come back."""
    outer, inner = Cover(OUTER), Cover(INNER)
    outer.close()
    assert covered_hold() is INNER
    inner.close()
    assert covered_hold() is None


def test_cover_made_within_closed_ones_outlives_them() -> None:
    """What was covered and closed before plays no part any more."""
    first, second = Cover(OUTER), Cover(INNER)
    contextvars.copy_context().run(second.close)
    contextvars.copy_context().run(first.close)
    assert covered_hold() is None
    with cover(OUTER):
        assert covered_hold() is OUTER


def test_closed_hold_pays_for_nothing_more() -> None:
    """After its settle a hold covers no second call, although its cover is still open."""
    session = Budget("$1").session()
    with cover(OUTER), session.reserve(cost="$0.10") as inner:
        assert covered_hold() is inner
        inner.settle()
        assert covered_hold() is OUTER


def test_close_in_another_context_counts_here() -> None:
    """A callback that ends the call in a copy of the context ends it in the original, too."""
    opened = Cover(OUTER)
    copied = contextvars.copy_context()
    copied.run(opened.close)
    assert covered_hold() is None
    assert copied.run(covered_hold) is None


def test_close_here_counts_in_copies() -> None:
    """A copy of the context taken while covered does not keep paying after the close."""
    with cover(OUTER):
        inner = Cover(INNER)
        copied = contextvars.copy_context()
        assert copied.run(covered_hold) is INNER
        inner.close()
        assert copied.run(covered_hold) is OUTER
    assert copied.run(covered_hold) is None


def test_cover_in_a_copy_is_not_seen_here() -> None:
    """A hold that another context covers does not pay for this one."""
    copied = contextvars.copy_context()
    opened = copied.run(Cover, INNER)
    assert covered_hold() is None
    assert copied.run(covered_hold) is INNER
    opened.close()
    assert copied.run(covered_hold) is None


def test_threads_start_uncovered() -> None:
    """A thread without a copy of the context has no hold."""
    seen: list[Any] = []
    with cover(OUTER):
        thread = threading.Thread(
            target=contextvars.Context().run, args=(lambda: seen.append(covered_hold()),)
        )
        thread.start()
        thread.join()
    assert seen == [None]


def test_tasks_keep_their_own_holds() -> None:
    """Two tasks at once each see their own hold, and each child task that of its parent."""

    async def call(hold: Hold, turn: Callable[[], Awaitable[None]]) -> list[Any]:
        with cover(hold):
            seen = [covered_hold()]
            await turn()
            seen.append(covered_hold())
            seen.append(await asyncio.create_task(child()))
        seen.append(covered_hold())
        return seen

    async def child() -> Any:
        return covered_hold()

    async def both() -> list[list[Any]]:
        async def turn() -> None:
            for _ in range(3):
                await asyncio.sleep(0)

        return list(await asyncio.gather(call(OUTER, turn), call(INNER, turn)))

    assert asyncio.run(both()) == [[OUTER, OUTER, OUTER, None], [INNER, INNER, INNER, None]]


def test_thousand_closed_covers_are_not_kept() -> None:
    """Covers that were closed elsewhere do not pile up behind the open one."""
    first = Cover(OUTER)
    for _ in range(1000):
        contextvars.copy_context().run(first.close)
        first = Cover(OUTER)
    assert first.outer is None
    first.close()


def claim_hold() -> object:
    """The hold that pays for the request that is about to be sent."""
    payment = claimed()
    return payment.hold if isinstance(payment, InContext) else None


def test_a_hold_pays_for_one_request() -> None:
    """Who claims it first sends on it; the next one gets that of the cover around it, then none."""
    assert claim_hold() is None
    with cover(OUTER), cover(INNER):
        copied = contextvars.copy_context()
        assert copied.run(claim_hold) is INNER
        assert claim_hold() is OUTER
        assert claim_hold() is None
        assert covered_hold() is INNER

"""Coroutines: a thread waits for the file, never the loop; and what is cancelled is not lost."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from bursar import Budget, StoreUnavailable

from ...files import file_url
from .test_refusals import locked, store_of, until


@pytest.mark.alone
def test_the_loop_turns_while_a_file_is_locked(tmp_path: Path) -> None:
    """For as long as it is waited for, other tasks run; all ten callers hear of it in time, not one by one."""
    path = tmp_path / "budget.db"
    budget = Budget("$1/total", store=file_url(path, timeout="0.6s"))

    async def turns() -> int:
        session = budget.session("$1")
        await (await session.areserve(cost="$0.10")).asettle(cost="$0.10")
        with contextmanager(locked)(budget, path):
            began = time.monotonic()
            waiting = [asyncio.create_task(_try(budget)) for _ in range(10)]
            count, longest = 0, 0.0
            while not all(task.done() for task in waiting):
                before = time.monotonic()
                await asyncio.sleep(0.005)
                longest = max(longest, time.monotonic() - before)
                count += 1
            assert time.monotonic() - began < 1.5
        assert [type(await task) for task in waiting] == 10 * [StoreUnavailable] and longest < 0.3
        return count

    assert asyncio.run(turns()) > 20
    assert (float(budget.spent), budget.reserved) == (0.1, 0)


async def _try(budget: Budget) -> Exception | None:
    try:
        await budget.session("$1").areserve(cost="$0.10")
    except StoreUnavailable as error:
        return error
    return None


def test_several_loops_share_a_budget(tmp_path: Path) -> None:
    """One after another, and two at a time in threads; questions to the store as well."""
    budget = Budget("$1/total", store=file_url(tmp_path / "budget.db"))

    async def spend(times: int) -> None:
        for _ in range(times):
            hold = await budget.session("$1").areserve(cost="$0.01")
            await hold.asettle(cost="$0.01")
        assert (await budget.adoctor())["store"] == "sqlite"

    async def together() -> None:
        await asyncio.gather(spend(5), asyncio.to_thread(asyncio.run, spend(5)), spend(5))

    asyncio.run(spend(3))
    asyncio.run(together())
    budget.session("$1").reserve(cost="$0.01").settle(cost="$0.01")
    assert float(budget.spent) == pytest.approx(0.19) and budget.audit() == ()


@pytest.mark.parametrize("verb", ["settle", "release", "reserve", "extend"])
def test_a_cancelled_verb_is_done_all_the_same(tmp_path: Path, verb: str) -> None:
    """A settle is booked, a release gives back, and a reserve that nobody heard of holds nothing."""
    path = tmp_path / "budget.db"
    budget = Budget("$1/total", store=file_url(path, timeout="5s"))

    async def cancel() -> None:
        session = budget.session("$1")
        hold = await session.areserve(cost="$0.10")
        hold.keep()
        with contextmanager(locked)(budget, path):
            act = {
                "settle": lambda: hold.asettle(cost="$0.04"),
                "release": hold.arelease,
                "extend": hold.aextend,
                "reserve": lambda: session.areserve(cost="$0.20").__aenter__(),
            }[verb]
            task = asyncio.ensure_future(act())
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel())
    expected = {"settle": (0.04, 0.0), "release": (0.0, 0.0), "reserve": (0.0, 0.1), "extend": (0.0, 0.1)}
    until(lambda: (float(budget.spent), float(budget.reserved)) == expected[verb])
    assert budget.audit() == () and budget.session("$1").reserve(cost="$0.86").amount


def test_a_cancelled_reserve_that_was_refused_gives_nothing_back(tmp_path: Path) -> None:
    """Nor does one that failed, and one that cannot be given back is logged and ends with its lease."""
    path = tmp_path / "budget.db"
    budget = Budget("$1/total", store=file_url(path, timeout="0.2s"))
    hold = budget.session("$1", id="s").reserve(cost="$0.90")

    async def cancel(cost: str, seconds: float) -> None:
        with contextmanager(locked)(budget, path):
            task = asyncio.ensure_future(budget.session("$1", id="s").areserve(cost=cost).__aenter__())
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(seconds)

    asyncio.run(cancel("$0.20", 0))
    asyncio.run(cancel("$0.05", 0.3))
    until(lambda: not store_of(budget)._worker._work_queue.qsize())  # type: ignore[union-attr]
    assert float(budget.reserved) == 0.9
    hold.release()

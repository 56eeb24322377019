"""A user with exactly the rights that the page lists: all promises are kept, and each right is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from bursar import Budget, BudgetExceeded, BursarError, StoreUnavailable
from bursar.store.redis import RedisStore, open_redis
from bursar.testing import ManualClock, StoreContract

from ...servers import Server, binary_with, store_url

PAGE = Path(__file__).parents[3] / "docs" / "redis.md"


def documented() -> list[str]:
    """The commands of the page."""
    (block,) = re.findall(r"ACL SETUSER bursar on [^`]*", PAGE.read_text("utf-8"))
    return re.findall(r"\+[a-z|]+", block)


@lru_cache
def _server() -> Server:
    return Server(binary_with("users"))


def user(server: Server, rights: list[str], name: str = "bursar") -> str:
    """The URL of a store for a user with these rights, and the keys of a prefix."""
    url = store_url(f"redis://{name}:pw@127.0.0.1:{server.port}/0", timeout="20s")
    prefix = url.partition("prefix=")[2].partition("&")[0]
    server.ask("ACL", "SETUSER", name, "reset", "on", ">pw", f"~{prefix}:*", *rights)
    return url


class TestWithTheDocumentedRights(StoreContract):
    """The promises of a store, for a user who may do no more than the page says."""

    many_calls = 300

    def open_store(self, clock: ManualClock) -> RedisStore:
        """An empty tree of keys."""
        return open_redis(user(_server(), documented()), clock)


def life(url: str) -> None:
    """Everything that a ledger does, by the clock of the server and by one of our own."""
    budget = Budget("$5", "$9/total", "50 calls/1h", "$9/day", store=url, max_repeated_calls=2)
    session = budget.child("alice").session(id="s")
    session.reserve(cost="$1").settle(cost="$1")
    clock = ManualClock(2_000_000_000)
    timed = Budget("$5", "$9/total", "$9/1h", name="timed", store=url, clock=clock, max_repeated_calls=2)
    session = timed.session(id="s")
    for _ in range(2):
        session.reserve(tool="t", cost="$0.1", messages=["same"]).settle(cost="$0.1")
    with pytest.raises(BudgetExceeded):
        session.reserve(tool="t", cost="$0.1", messages=["same"])
    timed.untrip("go on")
    session.untrip("go on")
    session.reserve(cost="$0.1")
    hold = session.reserve(cost="$0.1")
    hold.extend(30)
    hold.release()
    timed.set_limit("$8/total")
    timed.set_limit("$7/30d")
    timed.drop_limit("$7/30d")
    timed.trip("stop")
    timed.untrip("go on")
    timed.reset("anew")
    clock.advance(8 * 86_400)
    for _ in range(3):
        timed.session(id="t").reserve(cost="$0.1").settle(cost="$0.1")
        clock.advance(3600)
    assert timed.audit() == () and timed.summary() and timed.report()["sessions"]
    assert "timed" in open_redis(url).roots()
    timed.acknowledge_rollback("nothing was lost")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """For users who may do less and less."""
    started = Server(binary_with("users"))
    yield started
    started.close()


def test_the_documented_rights_suffice(server: Server) -> None:
    """For everything that the next test finds lacking."""
    life(user(server, documented()))


@pytest.mark.parametrize("right", documented())
def test_each_documented_right_is_needed(server: Server, right: str) -> None:
    """Without it something fails, and the error says that it is about rights; nothing else does."""
    rights = [other for other in documented() if other != right]
    server.ask("SCRIPT", "FLUSH")
    with pytest.raises(StoreUnavailable, match="rights") as error:
        life(user(server, rights))
    assert isinstance(error.value, BursarError) and "pw" not in str(error.value)

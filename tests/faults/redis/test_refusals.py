"""A server that cannot or will not: an error of ours in time, no partial effect, and nothing that was paid is lost."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import redis

from bursar import Budget, BudgetExceeded, StoreError, StoreUnavailable
from bursar.store.redis import RedisStore, open_redis

from ...servers import Server, binary_with, store_url
from .proxy import Proxy

SECRET = "hunter2-is-a-canary"
TIMEOUT_S = 0.4


def until(true: Callable[[], object], timeout_s: float = 30) -> None:
    """Wait for what other threads do."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def store_of(budget: Budget) -> RedisStore:
    """The store of a budget."""
    store = budget._ledger.store
    assert isinstance(store, RedisStore)
    return store


def _stopped(server: Server) -> Iterator[None]:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)
    yield
    os.kill(server.process.pid, signal.SIGCONT)


def _full(server: Server) -> Iterator[None]:
    with server.client() as client:
        client.config_set("maxmemory", "1mb")
        client.config_set("maxmemory-policy", "noeviction")
        yield
        client.config_set("maxmemory", "0")


def _replica(server: Server) -> Iterator[None]:
    with server.client() as client:
        client.config_set("replica-serve-stale-data", "yes")
        client.replicaof("127.0.0.1", "1")
        yield
        client.replicaof("no", "one")


def _locked(server: Server) -> Iterator[None]:
    with server.client() as client:
        client.config_set("requirepass", SECRET)
        client.execute_command("AUTH", SECRET)
        client.client_kill_filter(_type="normal", skipme=True)
        yield
        client.config_set("requirepass", "")


def _gone(server: Server) -> Iterator[None]:
    server.kill()
    yield
    server.start()


def _disk_full(server: Server) -> Iterator[None]:
    assert server.process is not None
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    server.ask("SET", "a key", "that does not fit any more")
    with server.client() as client:
        until(lambda: client.info("persistence")["aof_last_write_status"] == "err")
        yield
        resource.prlimit(
            server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )
        until(lambda: client.info("persistence")["aof_last_write_status"] == "ok")


def _unsaved(server: Server) -> Iterator[None]:
    with server.client() as client:
        client.config_set("save", "1 1")
        (server.folder / "dump.rdb").mkdir()
        with suppress(redis.ResponseError):
            client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        yield
        client.config_set("stop-writes-on-bgsave-error", "no")


def _busy(server: Server) -> Iterator[None]:
    with server.client() as client, server.client() as stuck:
        client.config_set("lua-time-limit", 10)
        thread = threading.Thread(target=_never_ends, args=(stuck,))
        thread.start()
        until(lambda: _says(client, "BUSY"))
        yield
        client.script_kill()
        thread.join()


def _never_ends(client: redis.Redis) -> None:
    with suppress(redis.RedisError):
        client.eval("while true do end", 0)


def _says(client: redis.Redis, code: str) -> bool:
    try:
        client.ping()
    except redis.RedisError as error:
        return code in str(error) or code in type(error).__name__.upper()
    return False


FAULTS = {
    "stopped": _stopped,
    "full": _full,
    "replica": _replica,
    "locked": _locked,
    "gone": _gone,
    "disk full": _disk_full,
    "unsaved": _unsaved,
    "busy": _busy,
}
SAID = {
    "full": "out of memory",
    "replica": "is a replica",
    "locked": "asks for a password",
    "gone": "cannot be reached",
    "disk full": "cannot save its data",
    "unsaved": "cannot save its data",
    "busy": "busy with a script",
}


@pytest.mark.alone
@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_that_fails_refuses_in_time_and_loses_no_booking(server: Server, fault: str) -> None:
    """No call is admitted; what was paid is booked when the server is back, and not before it counts as held."""
    server.kill()
    server.start(appendonly="yes")
    budget = Budget("$1/total", store=server.url(timeout=f"{TIMEOUT_S}s"))
    session = budget.session("$1")
    settled, released, doubtful = (session.reserve(cost="$0.20") for _ in range(3))
    before = store_of(budget).read("default").accounts
    broken = FAULTS[fault](server)
    next(broken)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=SAID.get(fault, "did not answer")) as error:
        session.reserve(cost="$0.10")
    assert time.monotonic() - began < TIMEOUT_S + 0.1
    assert str(server.port) in str(error.value) and SECRET not in str(error.value)
    if fault == "disk full":
        assert "the server could not write its log to disk" in budget.doctor()["warnings"]
    assert float(settled.settle(cost="$0.15").cost) == 0.15
    released.release()
    doubtful.settle_unknown()
    assert store_of(budget).undelivered >= 3
    next(broken, None)
    until(lambda: store_of(budget).undelivered == 0)
    assert (float(budget.spent), budget.reserved) == (0.35, 0)
    assert before["default"].spent.usd == 0 and before["default"].reserved.usd == 600_000_000
    assert budget.audit() == ()
    with pytest.raises(BudgetExceeded):
        session.reserve(cost="$0.66")
    session.reserve(cost="$0.65")


def _loads(server: Server) -> bool:
    """What the server says as soon as it looks up from its work."""
    with socket.create_connection(("127.0.0.1", server.port), 30) as plain:
        plain.sendall(b"PING\r\n")
        return plain.recv(1000).startswith(b"-LOADING")


@pytest.fixture
def slow() -> Iterator[Server]:
    """A server that can be told to load slowly."""
    started = Server(binary_with("a delay when it loads"))
    yield started
    started.close()


@pytest.mark.alone
def test_a_server_that_loads_its_data_is_waited_for(slow: Server) -> None:
    """Calls are refused in time while it does, and everything is there when it has."""
    budget = Budget("$1/total", store=slow.url(timeout="0.4s"))
    budget.session("$1").reserve(cost="$0.10").settle(cost="$0.10")
    hold = budget.session("$1").reserve(cost="$0.20")
    with slow.client() as client:
        client.config_set("rdbcompression", "no")  # it looks up every other megabyte
        client.mset({f"ballast {number}": "x" * 100_000 for number in range(40)})
        client.save()
    slow.kill()
    slow.start(key_load_delay=50_000)
    assert _loads(slow)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="loading its data|did not answer"):
        budget.session("$1").reserve(cost="$0.10")
    assert time.monotonic() - began < 0.5
    hold.settle(cost="$0.15")
    until(lambda: not _loads(slow))
    until(lambda: store_of(budget).undelivered == 0)
    assert (float(budget.spent), budget.reserved) == (0.25, 0) and budget.audit() == ()


def test_a_restarted_server_does_not_know_the_script(server: Server) -> None:
    """It is sent again, without anybody noticing."""
    server.kill()
    server.start(appendonly="yes", appendfsync="always")
    budget = Budget("$1/total", store=server.url())
    budget.session("$1").reserve(cost="$0.10").settle(cost="$0.10")
    with server.client() as client:
        client.script_flush()
    budget.session("$1").reserve(cost="$0.10").settle(cost="$0.10")
    server.kill()
    server.start()
    budget.session("$1").reserve(cost="$0.10").settle(cost="$0.10")
    assert float(budget.spent) == pytest.approx(0.3)


def test_a_wrong_password_is_said_without_the_password(server: Server) -> None:
    """Neither message nor repr nor report has it; with the right one the same budget works."""
    with server.client() as client:
        client.config_set("requirepass", "right")
    wrong, right = (
        Budget("$1/total", store=store_url(f"redis://:{word}@127.0.0.1:{server.port}"))
        for word in (SECRET, "right")
    )
    with pytest.raises(StoreUnavailable, match="does not accept") as error:
        wrong.session("$1").reserve(cost="$0.10")
    shown = f"{error.value!r} {error.value} {store_of(wrong)!r} {store_of(wrong).place!r} {wrong!r}"
    assert SECRET not in shown
    without = Budget("$1/total", store=server.url())
    for request in (without.session("$1").check, lambda *call: without.spent):  # a long one, a short one
        with pytest.raises(StoreUnavailable, match="asks for a password"):
            request("gpt-4o", 1, 1)
    right.session("$1").reserve(cost="$0.10").settle(cost="$0.10")
    assert float(right.spent) == 0.1


@pytest.mark.alone
@pytest.mark.parametrize(
    ("answer", "said", "tries"),
    [
        (b"-LOADING Redis is loading the dataset in memory", "loading", 3),
        (b"-ERR I am a teapot", "teapot", 1),
    ],
)
def test_an_answer_that_is_none(server: Server, answer: bytes, said: str, tries: int) -> None:
    """LOADING may be over at another try; what is not known is told at once. No call is made either way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        asked = []

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    while data := client.recv(65536):
                        asked.append(data)
                        client.sendall(answer + b"\r\n")

        threading.Thread(target=serve, daemon=True).start()
        budget = Budget("$1/total", store=store_url(f"redis://127.0.0.1:{port}", timeout="1s"))
        store_of(budget)._facts = open_redis(server.url()).facts()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=said):
            budget.session("$1").reserve(cost="$0.10")
        assert len(asked) >= tries and time.monotonic() - began < 1.2


def test_too_many_waiting_bookings_are_an_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the caller hears of it, and the lease books the hold at its worst."""
    monkeypatch.setattr("bursar.store.outbox.outbox._MOST", 1)
    budget = Budget("$1/total", store=server.url(timeout="0.5s"))
    first, second = (budget.session("$1").reserve(cost="$0.10") for _ in range(2))
    server.kill()
    first.settle(cost="$0.05")
    with pytest.raises(StoreUnavailable):
        second.settle(cost="$0.05")


def test_a_late_booking_finds_its_day(server: Server) -> None:
    """A charge without a hold over a calendar limit, made while the server was away."""
    with Proxy(server.port) as proxy:
        budget = Budget("$1/day", store=store_url(f"redis://127.0.0.1:{proxy.port}", timeout="0.2s"))
        budget.reset("the account exists")
        proxy.drop = 1
        budget.session("$1").record("gpt-4o", 1000, 100)
        assert store_of(budget).undelivered == 1
        proxy.drop = 0
        until(lambda: store_of(budget).undelivered == 0)
        assert budget.spent > 0 and budget.audit() == ()


def test_hosts_and_facts(server: Server) -> None:
    """What the server says about itself."""
    facts = open_redis(server.url()).facts()
    assert facts.version[0].isdigit() and facts.durability == "redis-none" and facts.eviction == "noeviction"
    assert facts.skew_ms is not None and abs(facts.skew_ms) < 1000
    with server.client() as client:
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "always")
    assert open_redis(server.url()).durability == "redis-always"
    server.kill()
    assert open_redis(server.url(timeout="0.5s")).durability == "redis-none"


def test_a_forked_child_has_connections_of_its_own(server: Server) -> None:
    """It spends from the same purse, and leaves what waits to its parent."""
    budget = Budget("$1/total", store=server.url(timeout="1s"))
    session = budget.session("$1", id="s")
    session.reserve(cost="$0.10").settle(cost="$0.10")
    child = os.fork()
    if not child:
        code = 1
        try:
            budget.session("$1").reserve(cost="$0.20").settle(cost="$0.20")
            code = 0 if store_of(budget).undelivered == 0 else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    session.reserve(cost="$0.10").settle(cost="$0.10")
    assert os.waitstatus_to_exitcode(status) == 0 and float(budget.spent) == pytest.approx(0.4)


def test_what_a_fork_inherits_is_made_anew(server: Server) -> None:
    """Connections, locks, and an empty outbox: seen from inside, as a child would."""
    budget = Budget("$1/total", store=server.url(timeout="0.5s"))
    hold = budget.session("$1").reserve(cost="$0.10")
    store = store_of(budget)
    server.kill()
    hold.settle(cost="$0.10")
    before = store._clients._blocking
    store._forks -= 1
    assert store.durability == "redis-none" and store._clients._blocking is before
    with pytest.raises(StoreUnavailable):
        store.read("default")
    assert store.undelivered == 0 and store._clients._blocking is not before


def test_a_late_booking_that_can_never_land_is_logged(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else settled the hold with another amount, or nobody could for a day: it does not block the rest."""
    monkeypatch.setattr("bursar.store.outbox.outbox._FIRST_PAUSE_S", 60)
    with Proxy(server.port) as proxy:
        prefix = {"prefix": "late", "timeout": "1s"}
        budget = Budget("$1/total", store=store_url(f"redis://127.0.0.1:{proxy.port}", **prefix))
        other = Budget("$1/total", store=server.url(**prefix))
        hold, third = (budget.session("$1", id="s").reserve(cost="$0.10", key=key) for key in "kt")
        twin = other.session("$1", id="s").reserve(cost="$0.10", key="k")
        proxy.deaf = True
        hold.settle(cost="$0.05")
        twin.settle(cost="$0.07")
        proxy.deaf = False
        assert twin.repeated and float(budget.spent) == 0.07
        assert "a late settle is refused" in caplog.text
        proxy.deaf = True
        third.settle(cost="$0.10")
        monkeypatch.setattr("bursar.store.outbox.outbox._GIVEN_UP_S", -1)
        proxy.deaf = False
        assert float(budget.reserved) == 0.1 and "given up" in caplog.text


def test_a_balance_that_would_overflow_is_refused_whole(server: Server) -> None:
    """Before the first write: no part of the booking is made. An audit finds what was changed by hand."""
    budget = Budget(store=server.url(prefix="full"))
    budget.session().reserve(cost="$0.10").settle(cost="$0.10")
    with server.client() as client:
        (key,) = [key for key in client.scan_iter() if key.endswith(":a:default")]
        client.hset(key, "s:usd", 4_599_999_999_999_999_999)
        client.hset(key, "r:usd", 1)
        with pytest.raises(StoreError, match="2\\^62"):
            budget.correct("$4000000", "too much")
        found = budget._ledger.store.audit("default")
        assert {(f.account, f.what) for f in found} == {
            ("default", "spent"),
            ("default", "reserved"),
            ("default", "history"),
        }
        client.hset(key, mapping={"s:usd": 100_000_000, "r:usd": 0})
    assert budget.audit() == () and float(budget.spent) == 0.1

"""Ledgers that an older bursar wrote are opened, brought up, and whole; those of a newer one are refused."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bursar import StoreUnavailable
from bursar.store import Amounts, Booked, Entry, Store
from bursar.store.redis import RedisStore, open_redis
from bursar.store.redis.encode import parse_limit, unescape
from bursar.store.sqlite import open_sqlite
from bursar.testing import ManualClock

from ..data.write import GPT, PATHS, START_S, TERMS, seen
from ..files import file_url
from ..servers import Server, shared_url, until

DATA = Path(__file__).parents[1] / "data"
OLDER = sorted(DATA.glob("layout_*"))
NOW_S = START_S + 122  # when they were read last
JOURNAL = [
    ("reset", "a new week"), ("set_limit", "$6/total"), ("drop_limit", "$3/total (model=gpt-4o)"),
    ("trip", "a person said so: é\n|;"),
]  # fmt: skip


def file_of(layout: Path, into: Path) -> Path:
    """A copy of the file of SQLite."""
    path = into / "ledger.db"
    shutil.copy(layout / "ledger.db", path)
    return path


def keys_of(layout: Path, store: RedisStore) -> None:
    """The ledger of Redis, in the place of this store."""
    client = client_of(store)
    for line in (layout / "ledger.redis").read_text("utf-8").splitlines():
        verb, key, *words = json.loads(line)
        client.execute_command(verb, key.replace("PREFIX", store.place.prefix, 1), *words)


def client_of(store: RedisStore) -> Any:
    """A connection to its server."""
    store.durability  # noqa: B018 - connects
    (client,) = store._clients._blocking.values()
    return client


def opened(layout: Path, where: str, tmp_path: Path, clock: ManualClock) -> Store:
    """A store with what was written in that layout."""
    if where == "sqlite":
        return open_sqlite(file_url(file_of(layout, tmp_path), timeout="20s"), clock)
    store = open_redis(shared_url(timeout="20s"), clock)
    keys_of(layout, store)
    return store


def expected(layout: Path) -> dict[str, Any]:
    """What readers saw when it was written; layout 1 also showed what had become nothing."""
    found: dict[str, Any] = json.loads((layout / "expected.json").read_text("utf-8"))
    for account in found["accounts"].values():
        account["subjects"] = [line for line in account["subjects"] if any(line[3] + line[4])]
        account["tally"] = {name: count for name, count in account["tally"].items() if count}
    return found


@pytest.mark.parametrize("where", ["sqlite", "redis"])
@pytest.mark.parametrize("layout", OLDER, ids=lambda path: path.name)
def test_an_older_ledger_is_whole(layout: Path, where: str, tmp_path: Path) -> None:
    """Balances, limits, windows, breakers and audit are as they were; budgets and sessions are listed."""
    store = opened(layout, where, tmp_path, ManualClock(NOW_S))
    assert seen(store) == expected(layout)
    keys = {name: path[-1].key for name, path in PATHS.items()}
    budgets = store.read("default").accounts
    assert {key: view.sessions for key, view in budgets.items()} == {keys["root"]: 3, keys["alice"]: 1}
    listed = store.sessions("default").accounts
    assert list(listed) == [keys["stopped"], keys["quick"], keys["looping"]]
    assert list(store.sessions(keys["run"]).accounts) == [keys["step"]]
    assert store.roots() == ("default",)  # type: ignore[attr-defined]
    assert _journal(store) == JOURNAL


@pytest.mark.parametrize("where", ["sqlite", "redis"])
@pytest.mark.parametrize("layout", OLDER, ids=lambda path: path.name)
def test_holds_of_an_older_ledger_go_on(layout: Path, where: str, tmp_path: Path) -> None:
    """Open, in doubt, expired, of the epoch before: each settles where it counts, and the books add up."""
    store = opened(layout, where, tmp_path, ManualClock(NOW_S))
    numbers = {name: _numbers(store, name) for name in ("root", "alice", "run", "step", "quick")}
    for id, place, before, after in (
        ("open", "step", (0, 30_000_000), 21_000_000),
        ("doubted", "run", (10_000_000, 0), 4_000_000),
        ("swept", "alice", (11_000_000, 0), 1_000_000),
        ("late", "run", (4_000_000, 0), 2),
        ("old", "alice", (0, 13_000_000), 5),
        ("trying", "quick", (0, 900), 7),
    ):
        booked = store.settle(Entry(id, PATHS[place], GPT, Amounts(after, 0, 1)), TERMS)
        assert isinstance(booked, Booked) and not booked.repeated
        for name, (spent, reserved) in numbers.items():
            if PATHS[name] == PATHS[place][: len(PATHS[name])]:
                anew = name == "alice" and id != "late"  # it was reset since
                numbers[name] = spent + (0 if anew else after - before[0]), reserved - before[1]
        assert {name: _numbers(store, name) for name in numbers} == numbers, id
    assert store.settle(Entry("settled", PATHS["step"], GPT, Amounts(7_000_001, 7_000, 1)), TERMS).repeated  # type: ignore[union-attr]
    assert store.audit("default") == ()


@pytest.mark.parametrize("where", ["sqlite", "redis"])
@pytest.mark.parametrize("layout", OLDER, ids=lambda path: path.name)
def test_what_waits_in_an_older_spool_lands(layout: Path, where: str, tmp_path: Path) -> None:
    """Every verb that waits, in an older ledger; what was delivered before is not delivered again."""
    spool, clock = tmp_path / "spool.jsonl", ManualClock(NOW_S)
    if where == "sqlite":
        path = file_of(layout, tmp_path)
        url, name = file_url(path, spool=spool), str(path)
    else:
        url = shared_url(spool=spool)
        bare = open_redis(url.partition("&spool")[0], clock)
        keys_of(layout, bare)
        name = f"{bare.place.where} {bare.place.prefix}"
    text = (layout / "spool.jsonl").read_text("utf-8")
    text = text.replace(f'"since":{START_S}', f'"since":{time.time()}')  # one that is a day old is given up
    spool.write_text(text.replace('"STORE"', json.dumps(name)), "utf-8")
    spool.chmod(0o600)
    store = open_sqlite(url, clock) if where == "sqlite" else open_redis(url, clock)
    assert store.undelivered == 4
    store.read("default")
    until(lambda: not store.undelivered)  # its own thread may be about to deliver them
    accounts = store.read("default", tuple(path[-1].key for path in PATHS.values())).accounts
    assert store.undelivered == 0 and spool.read_text() == ""
    before = expected(layout)["accounts"]
    key = {name: path[-1].key for name, path in PATHS.items()}
    assert accounts[key["step"]].spent.usd == before[key["step"]]["spent"][0] + 21_000_000
    assert accounts[key["step"]].reserved.usd == 0
    assert accounts[key["quick"]].spent.usd == 1_000_000
    assert accounts[key["run"]].tally["saved"] == 7
    assert (
        accounts[key["root"]].spent.usd
        == before[key["root"]]["spent"][0] + 21_000_000 + 1_000_000 + 17_000_000
    )
    assert store.audit("default") == ()


MIGRATE = """
import os, signal, sys, threading, time
from bursar.store.redis import open_redis
from bursar.store.sqlite import open_sqlite, file
from bursar.testing import ManualClock
url, at = sys.argv[1], int(sys.argv[2])
class Killed(file.sqlite3.Connection):
    count = 0
    def execute(self, *words):
        Killed.count += 1
        if Killed.count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*words)
connect = file.sqlite3.connect
file.sqlite3.connect = lambda *a, **k: connect(*a, factory=Killed, **k)
open_sqlite(url, ManualClock(float(sys.argv[3]))).read("default")
print("done", Killed.count)
"""


def test_a_file_whose_migration_is_killed_is_whole(tmp_path: Path) -> None:
    """SIGKILL before each statement of it: the next one to come brings it up, and nothing is missing."""
    layout = OLDER[0]
    killed = 0
    for at in range(1, 40, 2):
        folder = tmp_path / str(at)
        folder.mkdir(mode=0o700)
        path = file_of(layout, folder)
        command = [sys.executable, "-c", MIGRATE, file_url(path), str(at), str(NOW_S)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        killed += done.returncode == -signal.SIGKILL
        store = open_sqlite(file_url(path), ManualClock(NOW_S))
        assert seen(store) == expected(layout), at
        if "done" in done.stdout:
            break
    assert killed > 6


def test_a_server_that_is_killed_in_a_migration_is_whole(tmp_path: Path) -> None:
    """With a log of writes, all of a script is in it or nothing: whoever comes next brings the ledger up."""
    layout, killed = OLDER[0], 0
    for wait_s in (0.0, 0.002, 0.005, 0.2):
        server = Server(appendonly="yes", appendfsync="always")
        store = open_redis(server.url(timeout="3s"), ManualClock(NOW_S))
        keys_of(layout, store)
        client = client_of(store).pipeline()
        base = f"{store.place.prefix}:{{default}}:"
        for number in range(3_000):  # so that it takes a while
            key = f"default/@many{number}"
            client.hset(f"{base}a:{key}", mapping={"born": 1000 + number, "epoch": 0, "opened": NOW_S * 1000})
            client.hset(f"{base}accounts", key, NOW_S * 1000)
        client.hincrby(f"{base}meta", "accounts", 3_000)
        client.execute()
        url = server.url(prefix=store.place.prefix, timeout="1s")
        reader = threading.Thread(target=_try, args=(open_redis(url, ManualClock(NOW_S)),))
        reader.start()
        time.sleep(wait_s)
        server.kill()
        reader.join()
        server.start()
        until(partial(_loaded, server))
        killed += not server.ask("HEXISTS", f"{base}meta", "layout")
        again = open_redis(server.url(prefix=store.place.prefix, timeout="20s"), ManualClock(NOW_S))
        assert seen(again) == expected(layout)
        assert again.sessions("default").count == 3_003
        server.close()
    assert killed  # before it began, at least; a server that is quick may have ended it at all other moments


NEWER = """
import sys
from bursar.store.engine import constants
constants.LAYOUT += 1  # before the modules that read it
from bursar.store.sqlite import open_sqlite, schema
from bursar.store.redis import open_redis
schema.MIGRATIONS[constants.LAYOUT - 1] = ()
store = (open_sqlite if sys.argv[1].startswith("sqlite") else open_redis)(sys.argv[1])
print(store.read("default").accounts["default"].reserved.usd)
print(store.read("default").accounts["default"].spent.usd, store.undelivered, store.audit("default"))
"""


@pytest.mark.parametrize("where", ["sqlite", "redis"])
def test_a_program_that_is_older_than_the_ledger_is_refused(where: str, tmp_path: Path) -> None:
    """Within its timeout, while it runs; its settles wait, and land when it is upgraded: none is lost."""
    spool = tmp_path / "spool.jsonl"
    bare = file_url(tmp_path / "ledger.db") if where == "sqlite" else shared_url()
    url = f"{bare}{'&' if '?' in bare else '?'}spool={spool}&timeout=1s"
    store = open_sqlite(url) if where == "sqlite" else open_redis(url)
    root, amounts = PATHS["root"][:1], Amounts(9_000, 9, 1)
    path = (replace(root[0], limits=()),)
    for id in ("a", "b"):
        store.reserve(Entry(id, path, GPT, amounts), amounts, TERMS)

    def newer(url: str) -> list[str]:
        command = [sys.executable, "-c", NEWER, url]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")

    assert newer(bare)[0] == "18000"
    began_s = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"layout 4; this one knows 3\); upgrade here"):
        store.reserve(Entry("c", path, GPT, amounts), amounts, TERMS)
    assert time.monotonic() - began_s < 3
    for id, cost in (("a", 5_000), ("b", 7_000)):
        booked = store.settle(Entry(id, path, GPT, Amounts(cost, 5, 1)), TERMS)
        assert isinstance(booked, Booked)
    assert store.undelivered == 2 and newer(bare)[1].startswith("0 ")
    patient = url.replace("timeout=1s", "timeout=20s")
    assert newer(patient)[1] == "12000 0 ()"  # with what this one has left on the disk


def test_a_spool_with_newer_lines_is_refused(tmp_path: Path) -> None:
    """When it is opened; and stays as it is."""
    spool = tmp_path / "spool.jsonl"
    spool.write_text(
        json.dumps({"layout": 4, "store": "?", "mark": "m"}).replace("?", str(tmp_path / "a.db")) + "\n"
    )
    before = spool.read_bytes()
    with pytest.raises(StoreUnavailable, match=r"line 1 of .*layout 4; this one knows 3"):
        open_sqlite(file_url(tmp_path / "a.db", spool=spool))
    assert spool.read_bytes() == before


def _loaded(server: Server) -> bool:
    with server.client() as client:
        return bool(client.info("persistence")["loading"] == 0)


def _try(store: RedisStore) -> None:
    with suppress(StoreUnavailable):
        store.read("default")


def _numbers(store: Store, place: str) -> tuple[int, int]:
    key = PATHS[place][-1].key
    view = store.read("default", (key,)).accounts[key]
    return view.spent.usd, view.reserved.usd


def _journal(store: Store) -> list[tuple[str, str]]:
    if isinstance(store, RedisStore):
        lines = client_of(store).lrange(f"{store.place.prefix}:{{default}}:journal", 0, -1)
        found = [line.split(" ")[2:] for line in lines]
        return [(what, str(parse_limit(text)) if "limit" in what else unescape(text)) for what, text in found]
    with closing(sqlite3.connect(store.place.path)) as shell:  # type: ignore[attr-defined]
        return list(shell.execute("SELECT what, detail FROM journal ORDER BY number"))

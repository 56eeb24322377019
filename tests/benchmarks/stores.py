"""Reserve and settle in SQLite and in Redis, beside the least that two steps there can cost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import redis.asyncio
from reserving import COST, MODEL, RICH, numbers
from rows import OURS, Row, ratio, row
from tests.servers import Server
from timing import Case, by_turns

from bursar import Budget, Session

BARE = "two bare transactions"
TRIPS = "two bare round trips"


def sqlite(done: Callable[[int], object]) -> Iterator[Row]:
    """With each `synchronous`; the bare transactions write as many rows."""
    for synchronous, most in (("full", 2), ("normal", 4)):
        with TemporaryDirectory() as folder, ExitStack() as stack:
            url = f"sqlite:///{folder}/ours.db?synchronous={synchronous}&timeout=60s"
            rows = written(Budget(RICH, name="counted", store=url).session())
            session = Budget(RICH, name="timed", store=url).session()
            bare = transactions(stack, Path(folder, "bare.db"), synchronous, rows)
            found = by_turns((numbers(OURS, session), bare), 40, 40, done)
            note = f"rows written: {rows[0]} by the reserve, {rows[1]} by the settle"
            goals = ratio(BARE, most, found[OURS], found[BARE])
            yield row(f"SQLite, `synchronous={synchronous}`: reserve + settle", found, goals, note=note)


def written(session: Session) -> tuple[int, int]:
    """Rows that a reserve and a settle change, by SQLite's own count, in the first connection of a store."""
    opened: list[sqlite3.Connection] = []
    real = sqlite3.connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(real(*args, **options))
        return opened[-1]

    def changes() -> int:
        return sum(connection.total_changes for connection in opened)

    with mock.patch("sqlite3.connect", connect):
        counts = []
        for _ in range(2):  # the first one makes the accounts
            counts = [changes()]
            hold = session.reserve(MODEL, input_tokens=800, max_output_tokens=200)
            counts.append(changes())
            hold.settle(input_tokens=640, output_tokens=120)
            counts.append(changes())
    start, reserved, settled = counts
    return reserved - start, settled - reserved


def transactions(stack: ExitStack, path: Path, synchronous: str, rows: tuple[int, int]) -> Case:
    """Two that write so many rows of 100 bytes, in a file of the same kind."""
    connection = sqlite3.connect(path, isolation_level=None)
    stack.callback(connection.close)
    connection.executescript(f"PRAGMA journal_mode=wal; PRAGMA synchronous={synchronous};")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, value BLOB)")
    numbers = count()
    insert = "INSERT INTO t (value, id) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET value = excluded.value"

    def changed() -> list[list[tuple[bytes, int]]]:
        value = b"%100d" % next(numbers)  # what does not change is not written
        return [[(value, number) for number in range(each)] for each in rows]

    def call(several: list[list[tuple[bytes, int]]]) -> None:
        for each in several:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(insert, each)
            connection.execute("COMMIT")

    return Case(BARE, call, changed)


def redis_(done: Callable[[int], object]) -> Iterator[Row]:
    """A budget and its session are two accounts, the fewest there are; `PING` is the bare round trip."""
    server = Server()
    loop = asyncio.new_event_loop()
    names = count()
    try:
        with server.client() as client:

            def trips(_: object) -> None:
                client.ping()
                client.ping()

            for accounts, most in ((2, 2), (5, 2.5)):
                cases = (numbers(OURS, path(server, accounts, next(names))), Case(TRIPS, trips))
                found = by_turns(cases, 150, 300, done)
                goals = ratio(TRIPS, most, found[OURS], found[TRIPS])
                yield row(f"Redis, {accounts} accounts: reserve + settle", found, goals)
        yield in_asyncio(path(server, 2, next(names)), server, loop, done)
    finally:
        loop.close()
        server.close()


def path(server: Server, accounts: int, number: int) -> Session:
    """A session so many accounts below; the budget has the limit."""
    budget = Budget(f"{RICH}/total", name=f"b{number}", store=server.url())
    for depth in range(accounts - 2):
        budget = budget.child(f"c{depth}")
    return budget.session()


def in_asyncio(
    session: Session, server: Server, loop: asyncio.AbstractEventLoop, done: Callable[[int], object]
) -> Row:
    """The same, awaited."""
    client = redis.asyncio.Redis(port=server.port, protocol=2)

    async def call(_: object) -> None:
        hold = await session.areserve(MODEL, input_tokens=800, max_output_tokens=200)
        await hold.asettle(input_tokens=640, output_tokens=120)

    async def trips(_: object) -> None:
        await client.ping()
        await client.ping()

    cases = (
        Case(OURS, call, cost=COST, spent=lambda: session.spent, loop=loop),
        Case(TRIPS, trips, loop=loop),
    )
    found = by_turns(cases, 150, 300, done)
    loop.run_until_complete(client.aclose())
    return row("Redis, asyncio: reserve + settle", found, ratio(TRIPS, 2, found[OURS], found[TRIPS]))

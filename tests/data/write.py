"""Write a ledger of every store as the code of this tree lays it out: `python -m tests.data.write`.

Run it before the layout changes, and commit what it wrote: a folder `layout_<n>` with `ledger.db` (SQLite),
`ledger.redis` (a command a line), `spool.jsonl`, and `expected.json`: what readers saw, the same for both
stores. `tests/contract/test_layouts.py` opens them with the code of today.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from bursar.store import (
    Amounts,
    Breaker,
    Entry,
    Granted,
    Limit,
    Refused,
    StalePeriod,
    Store,
    Subject,
    Terms,
)
from bursar.store import (
    Path as AccountPath,
)
from bursar.store.outbox.messages import Message
from bursar.store.outbox.spool import Spool
from bursar.store.redis import open_redis
from bursar.store.sqlite import open_sqlite
from bursar.testing import ManualClock
from bursar.values.account import child_account, root_account, session_account
from bursar.values.window import calendar

from ..servers import Server

START_S = 1_750_000_000  # 15:06:40 UTC
MONTH_MS = 30 * 86_400_000
GPT, MINI = (
    Subject("model", ("gpt-4o-2024-08-06", "gpt-4o"), "openai"),
    Subject("model", ("gpt-4o-mini",), "openai"),
)
SEARCH = Subject("tool", (), None, "search *")
LOOP = Breaker(2, 60_000, None, None)
FAST = Breaker(None, 60_000, Limit("$0.000001/60s"), 30_000)
TERMS = Terms(lease_ms=MONTH_MS, soft_ppm=(500_000, 900_000))
SHORT = TERMS._replace(lease_ms=60_000)

ROOT = root_account(
    "default",
    (
        Limit("$5/total"), Limit("$2/24h"), Limit("$1/day").in_zone("Europe/Oslo"), Limit("$0.5"),
        Limit("9 calls/1h", tool="*"), Limit("$3/total", model="gpt-4o"),
    ),
)  # fmt: skip
ALICE = child_account(ROOT, "alice é/@", (), (Limit("$4/total"),))
RUN = session_account(ALICE, "run", (Limit("$0.25"),))
STEP = session_account(RUN, "step", ())
LOOPING, STOPPED, QUICK = (session_account(ROOT, name, ()) for name in ("looping", "stopped", "quick"))
PATHS: dict[str, AccountPath] = {
    "root": (ROOT,), "alice": (ROOT, ALICE), "run": (ROOT, ALICE, RUN), "step": (ROOT, ALICE, RUN, STEP),
    "looping": (ROOT, LOOPING), "stopped": (ROOT, STOPPED), "quick": (ROOT, QUICK),
}  # fmt: skip


def ask(store: Store, verb: str, entry: Entry, *more: object) -> Any:
    """A verb, with the calendar that the store asks for."""
    answer = getattr(store, verb)(entry, *more)
    if isinstance(answer, StalePeriod):
        periods = {tz: calendar(answer.now_ms, tz) for tz in answer.zones}
        answer = getattr(store, verb)(entry._replace(periods=periods), *more)
    return answer


def entry(id: str, place: str, nanos: int, subject: Subject = GPT, **more: Any) -> Entry:
    """A line for a place."""
    return Entry(id, PATHS[place], subject, Amounts(nanos, nanos // 1_000, 1), **more)


def live(store: Store, clock: ManualClock) -> None:
    """Fill a store: holds in every state, windows, breakers in every state, resets, a journal."""

    def hold(
        id: str, place: str, nanos: int, terms: Terms = TERMS, subject: Subject = GPT, **more: Any
    ) -> Any:
        line = entry(id, place, nanos, subject, **more)
        return ask(store, "reserve", line, line.amounts, terms)

    hold("open", "step", 30_000_000)
    hold("settled", "step", 20_000_000)
    ask(store, "settle", entry("settled", "step", 7_000_001, tally={"input": 7, "output": 3}), TERMS)
    hold("doubted", "run", 10_000_000, subject=MINI)
    ask(store, "doubt", entry("doubted", "run", 10_000_000, MINI, tally={"estimated": 1}), TERMS)
    hold("released", "run", 5_000_000)
    store.release("released", PATHS["run"], {"saved": 5})
    store.release("tombstone", PATHS["run"], {})
    hold("swept", "alice", 11_000_000, SHORT)
    hold("tool", "run", 2_000_000, subject=SEARCH)
    clock.advance(61)
    ask(store, "book", entry("charge", "root", 600_000_000), TERMS)  # the lease of "swept" is over
    hold("old", "alice", 13_000_000)
    store.reset(PATHS["alice"], "a new week")
    hold("new", "alice", 17_000_000)
    store.set_limit(PATHS["root"], Limit("$6/total"))
    store.drop_limit(PATHS["root"], Limit("$3/total", model="gpt-4o"))
    for id in ("same 1", "same 2", "same 3"):
        hold(id, "looping", 1_000, TERMS._replace(breaker=LOOP), fingerprint="same")
    hold("trying", "quick", 900, TERMS._replace(breaker=FAST))
    assert isinstance(hold("too fast", "quick", 900, TERMS._replace(breaker=FAST)), Refused)
    hold("before", "stopped", 3_000)
    store.trip(PATHS["stopped"], "a person said so: é\n|;")
    assert isinstance(hold("after", "stopped", 1), Refused)
    assert isinstance(hold("large", "run", 900_000_000), Refused)
    assert isinstance(hold("late", "run", 4_000_000, SHORT), Granted)
    clock.advance(61)  # nobody asks the store after that: the lease of "late" is over, and not yet seen


def seen(store: Store) -> dict[str, Any]:
    """What readers see, as JSON has it."""
    keys = tuple(path[-1].key for path in PATHS.values())
    snapshot = store.read("default", keys)
    accounts = {
        key: {
            "spent": list(view.spent),
            "reserved": list(view.reserved),
            "subjects": sorted(
                [subject.kind, list(subject.models), subject.tool, list(spent), list(reserved)]
                for subject, (spent, reserved) in view.subjects.items()
            ),
            "tally": dict(sorted(view.tally.items())),
            "limits": sorted(
                [str(seen.limit), seen.spent, seen.reserved, seen.frees_ms] for seen in view.limits
            ),
            "for_sessions": [str(limit) for limit in view.for_sessions],
            "tripped": view.tripped,
            "circuit": view.circuit,
            "opened_ms": view.opened_ms,
        }
        for key, view in snapshot.accounts.items()
    }
    return {"now_ms": snapshot.now_ms, "accounts": accounts, "audit": [*map(str, store.audit("default"))]}


def messages() -> list[Message]:
    """What could not be delivered: every verb that waits, with all that its arguments may hold."""
    periods = {tz: calendar(START_S * 1000, tz) for tz in ("UTC", "Europe/Oslo")}
    settle = entry("open", "step", 21_000_000, tally={"input": 21}, periods=periods, fingerprint="same")
    book = entry("waited", "quick", 1_000_000, SEARCH, periods=periods)
    both = FAST._replace(max_repeated=2)
    return [
        Message("settle", (settle, TERMS._replace(breaker=both)), "mark 1", START_S),
        Message("book", (book, TERMS), "mark 2", START_S),
        Message("doubt", (entry("new", "alice", 17_000_000, periods=periods), TERMS), "mark 3", START_S),
        Message("release", ("tool", PATHS["run"], {"saved": 2}), "mark 4", START_S),
        Message("settle", (entry("delivered", "root", 1), TERMS), "mark 5", START_S),
    ]


def commands(server: Server, prefix: str) -> list[list[str]]:
    """Every key of a tree as the command that makes it."""
    found = []
    with server.client() as client:
        for key in sorted(client.scan_iter(f"{prefix}:*")):
            kind = client.type(key)
            name = key.replace(prefix, "PREFIX", 1)
            if kind == "hash":
                pairs = sorted(client.hgetall(key).items())
                found.append(["HSET", name, *(word for pair in pairs for word in pair)])
            elif kind == "zset":
                scored = client.zrange(key, 0, -1, withscores=True)
                found.append(
                    ["ZADD", name, *(w for member, score in scored for w in (f"{score:.0f}", member))]
                )
            else:
                found.append(["RPUSH", name, *client.lrange(key, 0, -1)])
    return found


def write(folder: Path) -> None:
    """Write all of it."""
    folder.mkdir(parents=True)
    clock = ManualClock(START_S)
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp, "ledger.db")
        live(open_sqlite(f"sqlite:///{path}?synchronous=normal", clock), clock)
        with closing(sqlite3.connect(path)) as shell:
            shell.execute("VACUUM INTO ?", (str(folder / "ledger.db"),))
    server, clock = Server(), ManualClock(START_S)
    live(open_redis(server.url(prefix="write"), clock), clock)
    lines = [json.dumps(command) for command in commands(server, "write")]
    (folder / "ledger.redis").write_text("\n".join([*lines, ""]), "utf-8")
    expected = seen(open_redis(server.url(prefix="write"), clock))
    server.close()
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", "utf-8")
    spool = Spool(str(folder / "spool.jsonl"), "STORE")
    for message in messages():
        spool.keep(message)
    spool.strike(messages()[-1])


if __name__ == "__main__":
    write(Path(__file__).parent / f"layout_{sys.argv[1]}")

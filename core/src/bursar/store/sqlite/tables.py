"""The tables of a file. Money is INTEGER."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import compress, count
from operator import ne
from typing import Any

Row = tuple[Any, ...]
Rows = dict[Row, Row]  # what the key columns say, and the others

_THREE = ("usd", "tokens", "calls")


def _three(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}_{unit}" for name in names for unit in _THREE)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table.

    Attributes:
        name: of it.
        keys: the columns that tell its rows apart.
        values: the other columns.
        integers: those of both that hold numbers; the others hold text.
        maybe: those that may be NULL.
    """

    name: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    integers: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()

    def declaration(self) -> str:
        """``CREATE TABLE``."""
        columns = []
        for column in (*self.keys, *self.values):
            kind = "INTEGER" if column in self.integers else "TEXT"
            columns.append(f"{column} {kind}{'' if column in self.maybe else ' NOT NULL'}")
        columns.append(f"PRIMARY KEY ({', '.join(self.keys)})")
        lines = ",\n  ".join(columns)
        return f"CREATE TABLE {self.name} (\n  {lines}\n) STRICT"

    def split(self, row: Row) -> tuple[Row, Row]:
        """The key of a row, and the rest."""
        return row[: len(self.keys)], row[len(self.keys) :]


@cache
def select(table: Table, rest: str) -> str:
    """``SELECT`` all columns."""
    columns = ", ".join((*table.keys, *table.values))
    return f"SELECT {columns} FROM {table.name} {rest}"  # noqa: S608 - names of ours


@cache
def upsert(table: Table) -> str:
    """Put a row in the place of the one with the same key."""
    columns = (*table.keys, *table.values)
    changed = ", ".join(f"{column} = excluded.{column}" for column in table.values)
    into = f"{table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    return f"INSERT INTO {into} ON CONFLICT ({', '.join(table.keys)}) DO UPDATE SET {changed}"


@lru_cache(1024)
def update(table: Table, places: tuple[int, ...]) -> str:
    """Put other values into some columns of a row, by the places of these among `values`."""
    changed = ", ".join(f"{table.values[place]} = ?" for place in places)
    return f"UPDATE {table.name} SET {changed} WHERE {_same(table)}"  # noqa: S608


@cache
def delete(table: Table) -> str:
    """Remove a row by its key."""
    return f"DELETE FROM {table.name} WHERE {_same(table)}"  # noqa: S608


def _same(table: Table) -> str:
    return " AND ".join(f"{column} = ?" for column in table.keys)


ACCOUNTS = Table(
    "accounts",
    ("key",),
    (
        "number", "root", "session", *_THREE, *_three("reserved", "folded"),
        "epoch", "tripped", "opened_ms", "used_ms", "below", "above", "ended_ms",
    ),
    frozenset({"number", "session", *_THREE, *_three("reserved", "folded")})
    | {"epoch", "opened_ms", "used_ms", "below", "ended_ms"},
    frozenset({"tripped", "used_ms", "ended_ms"}),
)  # fmt: skip
SUBJECTS = Table(
    "subjects",
    ("account", "kind", "models", "provider", "tool"),
    (*_THREE, *_three("reserved")),
    frozenset({*_THREE, *_three("reserved")}),
)
TALLIES = Table("tallies", ("account", "name"), ("amount",), frozenset({"amount"}))
LIMITS = Table(
    "limits",
    ("account", "what"),
    ("place", "declared", "declared_over", "declared_tz", "amount", "over", "tz"),
    frozenset({"place", "declared", "amount"}),
    frozenset({"declared", "declared_over", "declared_tz", "amount", "over", "tz"}),
)
WINDOWS = Table(
    "windows",
    ("part",),
    ("account", "of", "what", "start_ms", "end_ms", "first", "spent", "reserved"),
    frozenset({"part", "start_ms", "end_ms", "first", "spent", "reserved"}),
)
BUCKETS = Table("buckets", ("part", "bucket"), ("spent",), frozenset({"part", "bucket", "spent"}))
MARKS = Table("marks", ("account", "what", "ppm"), ("amount", "at_ms"), frozenset({"ppm", "amount", "at_ms"}))
BREAKERS = Table(
    "breakers",
    ("account",),
    ("state", "cause", "reason", "opened_ms", "trying"),
    frozenset({"opened_ms"}),
    frozenset({"trying"}),
)
CALLS = Table("calls", ("account", "fingerprint"), ("times", "last_ms"), frozenset({"last_ms"}))
RECORDS = Table(
    "records",
    ("id",),
    (
        "root", "leaf", "lives", "kind", "models", "provider", "tool", *_three("want", "least", "held"),
        "state", *_three("booked"), "tally", "at_ms", "lease_ms", "epoch", "parts", "breaker", "final_ms",
        "first_ms", "tz", *_three("floor"), "call",
    ),
    frozenset({*_three("want", "least", "held", "booked", "floor"), "at_ms", "lease_ms", "epoch", "breaker"})
    | {"final_ms", "first_ms"},
    frozenset({"final_ms", *_three("floor")}),
)  # fmt: skip
DAYS = Table("days", ("account", "day"), ("counters",), frozenset({"day"}))
HISTORIES = Table("histories", ("account",), ("root", *_THREE), frozenset(_THREE))

LEDGER = (ACCOUNTS, SUBJECTS, TALLIES, LIMITS, MARKS, BREAKERS, WINDOWS, BUCKETS, CALLS, RECORDS)
HISTORY = (DAYS, HISTORIES)


def write(connection: sqlite3.Connection, table: Table, before: Rows, after: Rows) -> bool:
    """Insert the rows that are new, update the columns that differ, delete what is gone; whether any was.

    An update writes no page of an index over columns that it does not name.
    """
    if before == after:
        return False
    for key, row in after.items():
        old = before.get(key)
        if old is None:
            connection.execute(upsert(table), (*key, *row))
        elif old != row:
            differ = tuple(compress(count(), map(ne, old, row)))
            connection.execute(update(table, differ), (*[row[place] for place in differ], *key))
    for key in before:
        if key not in after:
            connection.execute(delete(table), key)
    return True

"""The tables of a file. Money is INTEGER."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
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


@cache
def delete(table: Table) -> str:
    """Remove a row by its key."""
    same = " AND ".join(f"{column} = ?" for column in table.keys)
    return f"DELETE FROM {table.name} WHERE {same}"  # noqa: S608


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


def changes(before: Mapping[Row, Row], after: Mapping[Row, Row]) -> tuple[list[Row], list[Row]]:
    """The rows that are new or different, whole; and the keys of those that are gone."""
    put = [(*key, *row) for key, row in after.items() if before.get(key) != row]
    gone = [key for key in before if key not in after] if len(before) + len(put) > len(after) else []
    return put, gone

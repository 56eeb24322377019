"""Loads the part of a ledger that one step needs from the file."""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from ...values.account import is_session
from ...values.policy import Terms
from ...values.window import Period
from ..engine.balances import Balance, Touched
from ..engine.breaker import REFUSED, TOLD, CircuitBreaker, Trip
from ..engine.constants import KEPT_MS
from ..engine.paths import OpenPath
from ..engine.records import Record
from ..engine.verbs import Verbs
from ..engine.windows import Periodic, Rolling, Slot
from ..entry import Entry
from ..views import MOST_AT_ONCE
from . import rows, tables
from .alerts import FileAlertList
from .days import FileDays
from .meta import Meta
from .tables import Row, Rows, Table

_SWEPT, _FOLDED = 100, 8  # at most, in one step

_NAMED = "IN (SELECT value FROM json_each(?))"
_BLANK: dict[str, Any] = {
    column: 0 if column in tables.RECORDS.integers else "" for column in tables.RECORDS.values
}
_CALL = "WHERE account = ? AND fingerprint = ?"
_OF_TREE = "IN (SELECT key FROM accounts WHERE root = json_extract(?, '$[0]'))"


class Loaded:
    """Fills the accounts and records of the verbs, which then see what they would see in memory.

    Args:
        connection: in a transaction.
        verbs: are filled.
        meta: of the file.
        now_ms: the time of this step.

    Attributes:
        before: the rows of each account as the file has them, by table.
        records: those of the records.
        numbers: of accounts and windows.
        origins: of records.
        days: the history.
        keys: the accounts of this step.
        ids: its records.
        calls: of the breakers of its sessions, before those of this step were read.
        old: the ids of the records that are to be folded.
        alerts: those of the file.
    """

    def __init__(self, connection: sqlite3.Connection, verbs: Verbs, meta: Meta, now_ms: int) -> None:
        self.connection = connection
        self.verbs = verbs
        self.before: dict[str, dict[Table, Rows]] = {}
        self.records: Rows = {}
        self.numbers: dict[rows.Part | Balance, int] = {}
        self.origins: dict[Record, rows.Origin] = {}
        verbs.days = verbs.records.days = self.days = FileDays(verbs.commit, connection)
        self.begin(meta, now_ms)

    def begin(self, meta: Meta, now_ms: int) -> None:
        """Start a step: clear what belonged to the last one alone; keep what the file has, too."""
        self.meta = meta
        self.now_ms = now_ms
        self.keys: dict[str, None] = {}
        self.ids: dict[str, None] = {}
        self.calls: dict[CircuitBreaker, dict[str, tuple[int, ...]]] = {}
        self.old: list[str] = []
        records = self.verbs.records
        for of_one_step in (records._leases, records._final, records._journal):
            of_one_step.clear()
        records.epoch = meta.epoch
        self.days.begin(meta.since)
        self.verbs.alert_list = self.alerts = FileAlertList(self.connection)

    def forget_final(self) -> int | None:
        """Forget the final records of this step; a later step that needs one reads it from the file.

        Returns:
            When the first lease of the others ends; None where all are final.
        """
        leases = []
        for id in self.ids:
            record = self.verbs.records.get(id)
            if record is not None and record.outcome.state == "reserved":
                leases.append(record.lease_ms)
            elif record is not None:
                del self.verbs.records._by_id[id], self.records[id,], self.origins[record]
        return min(leases, default=None)

    def read(self, keys: Iterable[str], id: str | None = None) -> None:
        """The accounts of a verb, and its record with those that it counts in."""
        record = self.verbs.records.get(id) if id is not None else None
        if record is not None:
            keys = (*keys, *(balance.key for balance, _ in record.accounts()))
        self._read(keys, [] if id is None or record is not None else self._records("WHERE id = ?", id))
        if id is not None:
            self.ids[id] = None

    def read_due(self) -> None:
        """Some holds whose lease is over, and final records that are old."""
        late = self._records(
            "WHERE state = 'reserved' AND lease_ms <= ? ORDER BY lease_ms LIMIT ?", self.now_ms, _SWEPT
        )
        old = self._records("WHERE final_ms <= ? ORDER BY final_ms LIMIT ?", self.now_ms - KEPT_MS, _FOLDED)
        self._read((), late + old)
        self.verbs.records._leases += [(found["lease_ms"], found["id"]) for found in late]
        self.old = [found["id"] for found in old]

    def read_idle(self, used_ms: int, ended_ms: int) -> None:
        """The sessions that nobody has used for the longest time, and those that ended first.

        With the accounts above them, and some of those below the ended ones.
        """
        idle = "WHERE session = 1 AND used_ms <= ? ORDER BY used_ms LIMIT 10"
        over = "WHERE ended_ms <= ? ORDER BY ended_ms LIMIT 10"
        unused, ended = (
            [row[0] for row in self._fetch(tables.ACCOUNTS, where, at_ms)]
            for where, at_ms in ((idle, used_ms), (over, ended_ms))
        )
        below = [
            row[0]
            for key in ended
            for row in self.connection.execute(
                "SELECT key FROM accounts WHERE key > ? AND key < ? LIMIT 50", _below(key)
            )
        ]
        self.read(key for leaf in (*unused, *ended, *below) for key in rows.path_keys(leaf))
        accounts = self.verbs.accounts
        accounts._sessions = {key: accounts[key].used_ms or 0 for key in unused}
        accounts._ended = {key: accounts[key].ended_ms or 0 for key in ended}

    def read_tree(self, root: str) -> None:
        """All accounts of a tree."""
        self._read_accounts(_OF_TREE, json.dumps([root]))

    def read_roots(self) -> None:
        """The roots of all trees."""
        self._read_accounts("IN (SELECT key FROM accounts WHERE above = ? AND session = 0)", "")

    def read_budgets(self, key: str) -> None:
        """A budget, with those above and below it."""
        below = """WITH RECURSIVE inside (key) AS (
          SELECT key FROM accounts WHERE session = 0 AND above = ?
          UNION ALL SELECT accounts.key FROM accounts JOIN inside ON above = inside.key WHERE session = 0)
          SELECT key FROM inside"""
        found = self.connection.execute(below, (key,))
        self.read((*rows.path_keys(key), *(row[0] for row in found)))

    def read_sessions(self, key: str, after: str, limit: int) -> None:
        """Some sessions right below an account, the newest first, with the accounts above them."""
        older = "SELECT key FROM accounts WHERE above = ? AND session = 1 AND number < ?"
        newest = int(after) if after else self.meta.numbers + 1
        page = _page(min(limit, self.verbs.sessions_at_once))
        found = self.connection.execute(f"{older} ORDER BY number DESC LIMIT ?", (key, newest, page))
        self.read((*rows.path_keys(key), *(row[0] for row in found)))

    def read_holds(self, root: str, after: str, limit: int) -> None:
        """Some open holds of a tree, those first whose leases end first."""
        until_ms, _, id = after.partition(" ")
        later = (
            "WHERE state = 'reserved' AND root = ? AND (lease_ms, id) > (?, ?) ORDER BY lease_ms, id LIMIT ?"
        )
        self._read((), self._records(later, root, int(until_ms or -1), id, _page(limit)))

    def read_calls(self, entry: Entry, terms: Terms) -> None:
        """The earlier calls with the same input that a breaker has to know; and some that are old."""
        policy, fingerprint = terms.breaker, entry.fingerprint
        session = next((account.key for account in entry.path if is_session(account.key)), None)
        if policy is None or fingerprint is None or session is None or session not in self.verbs.accounts:
            return
        breaker = rows.breaker_of(self.verbs.accounts[session])
        old = "WHERE account = ? AND last_ms <= ? ORDER BY last_ms LIMIT 16"
        self._read_calls(breaker, old, session, self.now_ms - policy.loop_ms)
        for kept in (fingerprint, fingerprint + REFUSED, fingerprint + TOLD):
            self._read_calls(breaker, _CALL, session, kept)

    def read_call_of(self, id: str) -> None:
        """When the call that a hold pays for was made, for a breaker that is to forget it."""
        record = self.verbs.records.get(id)
        if record is not None and record.call is not None and record.breaker is not None:
            self._read_calls(record.breaker, _CALL, record.breaker.account, record.call[0])

    def next_lease_ms(self) -> int | None:
        """When the first lease of an open hold ends; None where nothing is open."""
        query = "SELECT min(lease_ms) FROM records WHERE state = 'reserved'"
        found: tuple[int | None] = self.connection.execute(query).fetchone()
        return found[0]

    def read_sums(self, root: str) -> None:
        """In the place of all records of a tree their sums by account, epoch and state, for an audit."""
        columns = [f"{held}_{unit}" for held in ("held", "booked") for unit in ("usd", "tokens", "calls")]
        sums = ", ".join(f"sum({column}) AS {column}" for column in columns)
        query = f"SELECT leaf, lives, epoch, state = 'reserved' AS is_open, {sums} FROM records"  # noqa: S608 - constants
        cursor = self.connection.execute(
            f"{query} WHERE root = ? AND leaf != '' GROUP BY 1, 2, 3, 4", (root,)
        )
        names = [column[0] for column in cursor.description]
        for number, row in enumerate(cursor):
            found = {**_BLANK, **dict(zip(names, row, strict=True)), "id": f"group {number}"}
            self._take_up({**found, "state": "reserved" if found["is_open"] else "settled"})

    # -- rows as what they stand for ---------------------------------------------------------

    def _fetch(self, table: Table, where: str, *values: Any) -> list[Row]:
        return self.connection.execute(tables.select(table, where), values).fetchall()

    def _rows(self, table: Table, where: str, *values: Any, account: int = 0) -> Iterator[Row]:
        """Rows of accounts, by the place of the account's key in them."""
        for row in self._fetch(table, where, *values):
            key, rest = table.split(row)
            self.before.setdefault(row[account], {}).setdefault(table, {})[key] = rest
            yield row

    def _records(self, where: str, *values: Any) -> list[dict[str, Any]]:
        columns = (*tables.RECORDS.keys, *tables.RECORDS.values)
        found = self._fetch(tables.RECORDS, where, *values)
        self.records |= map(tables.RECORDS.split, found)
        self.ids |= dict.fromkeys(row[0] for row in found)
        return [dict(zip(columns, row, strict=True)) for row in found]

    def _read_calls(self, breaker: CircuitBreaker, where: str, *values: Any) -> None:
        for _, call, times, _ in self._rows(tables.CALLS, where, *values):
            breaker.calls[call] = tuple(map(int, times.split(",")))

    def _read(self, keys: Iterable[str], records: list[dict[str, Any]]) -> None:
        """Read what is not there yet; of the calls of a session only those are there that a step asks for."""
        wanted = dict.fromkeys(keys)
        for found in records:
            wanted |= dict.fromkeys(rows.path_keys(found["leaf"]) if found["leaf"] else ())
        self.keys |= wanted
        accounts = self.verbs.accounts
        missing = [key for key in wanted if key not in accounts]
        if missing:
            self._read_accounts(_NAMED, json.dumps(missing))
        for key in wanted:
            if key in accounts and accounts[key].session:
                breaker = rows.breaker_of(accounts[key])
                self.calls[breaker] = breaker.calls = OrderedDict()
                self.before[key].pop(tables.CALLS, None)
        for found in records:
            self._take_up(found)

    def _read_accounts(self, which: str, value: str) -> None:
        balances = self.verbs.accounts._balances
        for key, *row in self._rows(tables.ACCOUNTS, f"WHERE key {which} ORDER BY number", value):
            balance = balances[key] = rows.balance_of(key, tuple(row))
            self.numbers[balance] = row[0]
            self.verbs.accounts.take_up(balance)
        for account, *row in self._rows(tables.SUBJECTS, f"WHERE account {which}", value):
            rows.put_subject(balances[account], tuple(row[:4]), tuple(row[4:]))
        for account, name, amount in self._rows(tables.TALLIES, f"WHERE account {which}", value):
            balances[account].tally[name] = amount
        in_order = f"WHERE account {which} ORDER BY account, place"
        for account, what, *row in self._rows(tables.LIMITS, in_order, value):
            rows.put_limit(balances[account], what, tuple(row))
        for account, what, ppm, amount, at_ms in self._rows(tables.MARKS, f"WHERE account {which}", value):
            balances[account].marks[rows.parse_what(what), ppm] = (amount, at_ms)
        for account, *trip in self._rows(tables.BREAKERS, f"WHERE account {which}", value):
            rows.breaker_of(balances[account]).trip = Trip(*trip)
        rolling: dict[int, tuple[str, Rolling]] = {}
        for number, account, *row in self._rows(tables.WINDOWS, f"WHERE account {which}", value, account=1):
            part = self._take_up_window(balances[account], *row)
            self.numbers[part] = number
            if isinstance(part, Rolling):
                rolling[number] = account, part
        if rolling:
            named = json.dumps(list(rolling))
            for number, bucket, spent in self._fetch(tables.BUCKETS, f"WHERE part {_NAMED}", named):
                account, part = rolling[number]
                part.buckets[bucket] = spent
                self.before[account].setdefault(tables.BUCKETS, {})[number, bucket] = (spent,)

    def _take_up_window(
        self,
        balance: Balance,
        of: str,
        what: str,
        start_ms: int,
        end_ms: int,
        first: int,
        spent: int,
        reserved: int,
    ) -> rows.Part:
        key = rows.parse_what(what)
        part: rows.Part
        if key[1].endswith("ms"):
            part = rolling = Rolling(int(key[1].removesuffix("ms")))
            rolling.first = first
            if of == "velocity":
                rows.breaker_of(balance).rates[key] = rolling
            else:
                balance.windows[key] = rolling
        else:
            periodic = balance.windows[key] = Periodic()
            part = periodic.slot = Slot(Period(start_ms, end_ms))
        part.spent, part.reserved = spent, reserved
        return part

    def _take_up(self, found: dict[str, Any]) -> None:
        """A record, with the lane that it counts in."""
        call_path, touched, breaker = None, [], None
        if found["leaf"]:
            open_path = OpenPath((), tuple(self._accounts_of(found)))
            call_path = self.verbs.accounts.call_path_on(open_path, rows.subject_of(found))
            parts = tuple(rows.parse_touched(found["parts"]))
            by_number = {number: thing for thing, number in self.numbers.items()} if parts else {}
            for number, unit, place in parts:
                part = by_number.get(number)  # None: of a period that is over, or of a limit that was dropped
                if place < len(open_path.accounts) and isinstance(part, Slot | Rolling):
                    touched.append(Touched(part, unit, place))
            if found["breaker"] and open_path.session is not None:
                breaker = rows.breaker_of(open_path.session[0])
        record = rows.record_of(found, call_path, tuple(touched), breaker)
        self.verbs.records._by_id[found["id"]] = record
        self.origins[record] = rows.Origin(found["lives"], found["parts"])

    def _accounts_of(self, found: dict[str, Any]) -> Iterator[Balance]:
        """Those that it was made in, as far as they are there."""
        lives = found["lives"].split()
        for key, life in zip(rows.path_keys(found["leaf"]), lives, strict=True):
            balance = self.verbs.accounts._balances.get(key)
            if balance is None or str(self.numbers[balance]) != life:
                return  # a session that was dropped; it is the last on the path
            yield balance


def _page(limit: int) -> int:
    """How many rows tell what is on a page, and whether another one comes after it."""
    return min(limit, MOST_AT_ONCE) + 1


def _below(key: str) -> tuple[str, str]:
    """Between these are the keys of all accounts below one: no name has a slash."""
    return f"{key}/", f"{key}0"

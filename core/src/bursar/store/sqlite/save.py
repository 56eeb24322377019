"""Writes the rows that a step has changed."""

from __future__ import annotations

from ...errors import StoreError
from ..engine.balances import Balance
from ..engine.records import Record
from . import rows, tables
from .load import Loaded
from .meta import Meta
from .tables import Rows, Table, write

_JOURNAL = 10_000  # lines are kept
_NONE: dict[Table, Rows] = {}
_FINAL = tables.RECORDS.values.index("final_ms")


def save(loaded: Loaded) -> Meta | None:
    """Write what differs from what was read; the ledger as it is afterwards, None where nothing differs.

    Raises:
        StoreError: a balance would pass what a file can hold.
    """
    number = _Numbers(loaded)
    connection, journal = loaded.connection, loaded.verbs.records._journal
    wrote = bool(journal) | _drop_calls(loaded)
    try:
        for key in loaded.keys:
            wrote |= _save_account(loaded, key, number)
        for id in loaded.ids:
            wrote |= _save_record(loaded, id, number)
        wrote |= loaded.days.save() | loaded.alerts.wrote
    except OverflowError:
        raise StoreError("a balance in the store would pass 2^63; reset the account") from None
    if not wrote:
        return None
    for line in journal:
        words = (*line[:-1], rows.storable(line[-1]))
        connection.execute("INSERT INTO journal (at_ms, account, what, detail) VALUES (?, ?, ?, ?)", words)
        connection.execute("DELETE FROM journal WHERE number <= last_insert_rowid() - ?", (_JOURNAL,))
    meta = loaded.meta._replace(
        seq=loaded.meta.seq + 1, now_ms=loaded.now_ms, epoch=loaded.verbs.records.epoch, numbers=number.last
    )
    meta.write(connection)
    return meta


class _Numbers:
    """The numbers of accounts and windows; a new one gets the next."""

    def __init__(self, loaded: Loaded) -> None:
        self._known = loaded.numbers
        self.last = loaded.meta.numbers

    def of(self, thing: rows.Part | Balance) -> int:
        if thing not in self._known:
            self.last += 1
            self._known[thing] = self.last
        return self._known[thing]


def _save_account(loaded: Loaded, key: str, number: _Numbers) -> bool:
    balance = loaded.verbs.accounts._balances.get(key)
    before, after = loaded.before.get(key, _NONE), {} if balance is None else _account(balance, number)
    if before == after:
        return False
    wrote = False
    for table in {**before, **after}:
        wrote |= write(loaded.connection, table, before.get(table, {}), after.get(table, {}))
    loaded.before[key] = after
    return wrote


def _account(balance: Balance, number: _Numbers) -> dict[Table, Rows]:
    """The rows of an account in each table that it has any in."""
    of_tables = (
        (tables.ACCOUNTS, dict([rows.account_row(balance, number.of(balance))])),
        (tables.SUBJECTS, rows.subject_rows(balance)),
        (tables.TALLIES, rows.tally_rows(balance)),
        (tables.LIMITS, rows.limit_rows(balance)),
        (tables.MARKS, rows.mark_rows(balance)),
        (tables.BREAKERS, rows.breaker_rows(balance)),
        (tables.CALLS, rows.call_rows(balance)),
    )
    found = {table: made for table, made in of_tables if made}
    for of, what, part in rows.parts_of(balance):
        found.setdefault(tables.WINDOWS, {})[number.of(part),] = rows.window_row(balance, of, what, part)
        found.setdefault(tables.BUCKETS, {}).update(rows.bucket_rows(number.of(part), part))
    return found


def _save_record(loaded: Loaded, id: str, number: _Numbers) -> bool:
    record, old = loaded.verbs.records.get(id), loaded.records.get((id,))
    after: Rows = {}
    if record is not None:
        origin = loaded.origins.get(record)
        if origin is None:
            origin = loaded.origins[record] = _origin(record, number)
        closed = id in loaded.verbs.records._final
        final_ms = loaded.now_ms if closed else old[_FINAL] if old is not None else None
        after = dict([rows.record_row(record, origin, final_ms)])
    wrote = write(loaded.connection, tables.RECORDS, {} if old is None else {(id,): old}, after)
    loaded.records |= after
    return wrote


def _origin(record: Record, number: _Numbers) -> rows.Origin:
    lives = " ".join(str(number.of(balance)) for balance, _ in record.accounts())
    touched = ((number.of(part), unit, place) for part, unit, place in record.touched)
    return rows.Origin(lives, rows.touched_text(touched))


def _drop_calls(loaded: Loaded) -> bool:
    """Remove what breakers have forgotten as a whole, or with their session; not all of that was read."""
    dropped = False
    for breaker, calls in loaded.calls.items():
        if breaker.calls is not calls or breaker.account not in loaded.verbs.accounts:
            done = loaded.connection.execute("DELETE FROM calls WHERE account = ?", (breaker.account,))
            loaded.before[breaker.account].pop(tables.CALLS, None)
            dropped = dropped or done.rowcount > 0
    return dropped

"""Writes the rows that a step has changed."""

from __future__ import annotations

from ...errors import StoreError
from ..engine.balances import Balance
from ..engine.records import Record
from . import rows, tables
from .load import Loaded
from .meta import Meta
from .tables import Rows, Table, changes, delete, upsert

_JOURNAL = 10_000  # lines are kept


def save(loaded: Loaded) -> Meta | None:
    """Write what differs from what was read; the ledger as it is afterwards, None where nothing differs.

    Raises:
        StoreError: a balance would pass what a file can hold.
    """
    number = _Numbers(loaded)
    after: dict[Table, Rows] = {table: {} for table in tables.LEDGER}
    for balance in loaded.verbs.accounts._balances.values():
        _put_account(after, balance, number)
    _put_records(after, loaded, number)
    connection, journal = loaded.connection, loaded.verbs.records._journal
    wrote = bool(journal) | _drop_calls(loaded)
    try:
        for table in tables.LEDGER:
            put, gone = changes(loaded.before[table], after[table])
            if put:
                connection.executemany(upsert(table), put)
            if gone:
                connection.executemany(delete(table), gone)
            wrote = wrote or bool(put or gone)
        wrote = loaded.days.save() or loaded.alerts.wrote or wrote
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


def _put_account(after: dict[Table, Rows], balance: Balance, number: _Numbers) -> None:
    key, row = rows.account_row(balance, number.of(balance))
    after[tables.ACCOUNTS][key] = row
    after[tables.SUBJECTS] |= rows.subject_rows(balance)
    after[tables.TALLIES] |= rows.tally_rows(balance)
    after[tables.LIMITS] |= rows.limit_rows(balance)
    after[tables.MARKS] |= rows.mark_rows(balance)
    after[tables.BREAKERS] |= rows.breaker_rows(balance)
    after[tables.CALLS] |= rows.call_rows(balance)
    for of, what, part in rows.parts_of(balance):
        after[tables.WINDOWS][number.of(part),] = rows.window_row(balance, of, what, part)
        after[tables.BUCKETS] |= rows.bucket_rows(number.of(part), part)


def _put_records(after: dict[Table, Rows], loaded: Loaded, number: _Numbers) -> None:
    closed = set(loaded.verbs.records._final)
    finals = tables.RECORDS.values.index("final_ms")
    for id, record in loaded.verbs.records._by_id.items():
        origin = loaded.origins.get(record) or _origin(record, number)
        before = loaded.before[tables.RECORDS].get((id,))
        final_ms = loaded.now_ms if id in closed else before[finals] if before is not None else None
        key, row = rows.record_row(record, origin, final_ms)
        after[tables.RECORDS][key] = row


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
            dropped = dropped or done.rowcount > 0
    return dropped

"""Decodes the answers of the script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ...errors import HoldClosed, LimitConflict, StoreError, StoreUnavailable
from ...values.account import shown_key
from ...values.amounts import Amounts
from ..alerts import AlertPage, StoredAlert, StoredKind
from ..engine.constants import LAYOUT
from ..entry import UNITS, Entry
from ..layout import newer
from ..results import Booked, Cause, Contended, Granted, HeldLimit, Mark, Refused, StalePeriod, State
from ..rollback import lost
from .encode import parse_limit, unescape

_REFUSAL = 11  # lines of a refusal


def granted(lines: Sequence[str], now_ms: int, entry: Entry) -> Granted | Contended | Refused | StalePeriod:
    """The answer to a reserve or a probe.

    Raises:
        HoldClosed: the id belongs to another call.
        StoreError: of the kinds in `fail`.
    """
    kind, words = lines[0], lines[1:]
    if kind == "granted":
        ignored = _refused(words[5:], entry) if len(words) > 5 else None
        return Granted(_amounts(words), cast("State", words[3]), words[4] == "1", now_ms, ignored)
    if kind == "refused":
        return _refused(words, entry)
    if kind == "contended":
        held = (words[place : place + 5] for place in range(1, len(words), 5))
        limits = tuple(HeldLimit(key, parse_limit(text), *map(int, sums)) for key, text, *sums in held)
        return Contended(limits, now_ms, int(words[0]) if words[0] else None)
    if kind == "stale":
        return StalePeriod(now_ms, tuple(map(unescape, words)))
    raise fail(lines, entry)


def booked(lines: Sequence[str], now_ms: int, entry: Entry) -> Booked | StalePeriod:
    """The answer to settle, book and doubt.

    Raises:
        HoldClosed: it was settled with other amounts, or released.
        StoreError: of the kinds in `fail`.
    """
    kind, words = lines[0], lines[1:]
    if kind == "stale":
        return StalePeriod(now_ms, tuple(map(unescape, words)))
    if kind != "booked":
        raise fail(lines, entry)
    overrun, repeated, exceeds, rest = int(words[3]), words[4] == "1", words[5] == "1", words[6:]
    over = None
    if exceeds:
        over, rest = _refused(rest, entry), rest[_REFUSAL:]
    marks = tuple(
        Mark(rest[i], parse_limit(rest[i + 1]), int(rest[i + 2]), int(rest[i + 3]))
        for i in range(0, len(rest), 4)
    )
    return Booked(_amounts(words), overrun, repeated, over, now_ms, marks)


def alert_page(lines: Sequence[str], now_ms: int) -> AlertPage:
    """The answer to alerts and claim.

    Raises:
        StoreError: of the kinds in `fail`.
    """
    kind, after, *rest = lines
    if kind != "alerts":
        raise fail(lines)
    lines_of = zip(*(rest[part::3] for part in range(3)), strict=True)
    return AlertPage(now_ms, tuple(_alert(id, facts, due == "1") for id, facts, due in lines_of), after)


def _alert(id: str, facts: str, due: bool) -> StoredAlert:
    kind, account, limit, ppm, spent, reserved, detail, at_ms = facts.split(" ")
    return StoredAlert(
        id,
        cast("StoredKind", kind),
        account,
        parse_limit(limit) if limit else None,
        int(ppm) if ppm else None,
        int(spent),
        int(reserved),
        unescape(detail),
        int(at_ms),
        due,
    )


def fail(lines: Sequence[str], entry: Entry | None = None, id: str = "") -> Exception:
    """The error that an answer means."""
    kind, *words = lines
    id = entry.id if entry is not None else id
    if kind == "closed":
        return HoldClosed(_CLOSED.get(words[0], _FINAL).format(id=f"{id!r:.80}", state=words[0]))
    if kind == "conflict":
        return _conflict(words)
    if kind == "rolled_back":
        return lost(words[0])
    if kind == "newer":
        return StoreUnavailable(f"the ledger {newer(int(words[0]), LAYOUT)}")
    if kind == "overflow":
        return StoreError("a balance in the store would pass 2^62; reset the account")
    return StoreError(f"the store cannot read its own request: {kind!r:.40}")


_FINAL = "the hold {id} is {state} already, and cannot be released"
_CLOSED = {
    "another": "the id {id} was used before, for another call",
    "not open": "the hold {id} is not open, so that its lease cannot be extended",
    "amounts": "the hold {id} is settled already, with other amounts",
    "undoubted": "the hold {id} is released already",
}


def _conflict(words: Sequence[str]) -> LimitConflict:
    key, here, wanted = words
    listed = (
        ", ".join(str(parse_limit(text)) for text in texts.split(" ") if text) for texts in (here, wanted)
    )
    has, declared = listed
    return LimitConflict(
        f"the account {shown_key(key)!r:.80} has {has or 'no limits'}, and is declared here with"
        f" {declared}; give one of the two budgets another name,"
        " declare the same limits, or change them with set_limit"
    )


def _amounts(words: Sequence[str]) -> Amounts:
    return Amounts(int(words[0]), int(words[1]), int(words[2]))


def _refused(words: Sequence[str], entry: Entry) -> Refused:
    key, cause, limit_text, spent, reserved, tripped, wait_ms, kept, first, times, reason = words[:_REFUSAL]
    limit = parse_limit(limit_text) if limit_text else None
    return Refused(
        key,
        limit,
        int(spent),
        int(reserved),
        entry.amounts[UNITS.index(limit.unit)] if limit else 0,
        unescape(tripped[1:]) if tripped else None,
        int(wait_ms) / 1000 if wait_ms else None,
        cast("Cause", cause),
        int(kept),
        first == "1",
        int(times),
        unescape(reason[1:]) if reason else None,
    )

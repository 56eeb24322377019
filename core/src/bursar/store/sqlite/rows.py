"""Turns balances and records into rows, and rows into balances and records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast
from urllib.parse import quote, unquote

from ...values.account import Account, parent_key, root_key
from ...values.amounts import Amounts
from ...values.call import Kind, Subject
from ...values.limits import Limit
from ..engine.balances import Balance, Touched
from ..engine.breaker import CLOSED, CircuitBreaker
from ..engine.paths import CallPath
from ..engine.plan import Count
from ..engine.records import Outcome, Record
from ..engine.windows import Rolling, Slot
from ..entry import Entry, Path
from .tables import Row, Rows

Part = Slot | Rolling
What = tuple[str, ...]  # what makes a limit the same limit


@lru_cache(4096)
def escaped(text: str) -> str:
    """Without the signs that separate words in a column."""
    return quote(text, safe="", errors="surrogatepass")


def storable(text: str) -> str:
    """As it is, but for lone surrogates, which no file can hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def path_keys(key: str) -> Iterator[str]:
    """The keys from the root to an account."""
    at = key.find("/")
    while at >= 0:
        yield key[:at]
        at = key.find("/", at + 1)
    yield key


@lru_cache(4096)
def bare_path(leaf: str) -> Path:
    """The accounts from the root to a leaf, without what anybody declares of them."""
    return tuple(map(Account, path_keys(leaf)))


# -- words in columns ----------------------------------------------------------------------------


@lru_cache(4096)
def what_text(what: What) -> str:
    """``usd;86400000ms;gpt-4o;;``: unit, window, model, tool, provider."""
    return ";".join(map(escaped, what))


@lru_cache(4096)
def parse_what(text: str) -> What:
    """What `what_text` wrote."""
    return tuple(map(unquote, text.split(";")))


@lru_cache(4096)
def stored_limit(text: str, amount: int, over: str, tz: str) -> Limit:
    """A limit that was written down."""
    unit, _, model, tool, provider = parse_what(text)
    cap = f"{amount // 10**9}.{amount % 10**9:09d}" if unit == "usd" else f"{amount} {unit}"
    selectors = {"model": model or None, "tool": tool or None, "provider": provider or None}
    return Limit(f"{cap}/{over}", **selectors).in_zone(tz)


@lru_cache(4096)
def subject_words(subject: Subject) -> tuple[str, str, str, str]:
    """Kind, models, provider, tool; empty where there is none."""
    models = ",".join(map(escaped, subject.models))
    return subject.kind, models, subject.provider or "", subject.tool or ""


@lru_cache(4096)
def parse_subject(kind: str, models: str, provider: str, tool: str) -> Subject:
    """What `subject_words` wrote."""
    named = tuple(map(unquote, models.split(","))) if models else ()
    return Subject(cast("Kind", kind), named, provider or None, tool or None)


def tally_text(tally: Mapping[str, int]) -> str:
    """``input=7,estimated=1``."""
    return ",".join(f"{escaped(name)}={amount}" for name, amount in tally.items())


def parse_tally(text: str) -> dict[str, int]:
    """What `tally_text` wrote."""
    pairs = (word.partition("=") for word in text.split(",") if word)
    return {unquote(name): int(amount) for name, _, amount in pairs}


# -- accounts ------------------------------------------------------------------------------------


def balance_of(key: str, row: Row) -> Balance:
    """An account as it was written; its other tables are read by `Loaded`."""
    number, _, _, *sums, epoch, tripped, opened_ms, used_ms, below, _, ended_ms = row
    balance = Balance(key, opened_ms)
    balance.total.sums = cast("tuple[int, int, int, int, int, int]", tuple(sums[:6]))
    balance.folded = Amounts(*sums[6:])
    balance.epoch, balance.tripped = epoch, tripped
    balance.used_ms, balance.below, balance.ended_ms, balance.number = used_ms, below, ended_ms, number
    return balance


def account_row(balance: Balance, number: int) -> tuple[Row, Row]:
    """Its line among the accounts."""
    key = balance.key
    tripped = None if balance.tripped is None else storable(balance.tripped)
    return (key,), (
        number, root_key(key), int(balance.session), *balance.total.sums, *balance.folded,
        balance.epoch, tripped, balance.opened_ms, balance.used_ms, balance.below,
        parent_key(key), balance.ended_ms,
    )  # fmt: skip


def put_subject(balance: Balance, words: Row, sums: Row) -> None:
    """Put a row of it back."""
    count = balance.subjects[parse_subject(*words)] = Count()
    count.sums = cast("tuple[int, int, int, int, int, int]", sums)


def put_limit(balance: Balance, text: str, row: Row) -> None:
    """Put a row of it back."""
    _, *words = row
    declared, effective = (
        None if amount is None else stored_limit(text, amount, over, tz)
        for amount, over, tz in (words[:3], words[3:])
    )
    balance.limits[parse_what(text)] = (declared, effective)


def subject_rows(balance: Balance) -> Rows:
    """What was spent and is held, by what the calls asked for."""
    key = balance.key
    return {(key, *subject_words(subject)): count.sums for subject, count in balance.subjects.items()}


def tally_rows(balance: Balance) -> Rows:
    """Its named counters."""
    return {(balance.key, name): (amount,) for name, amount in balance.tally.items()}


def limit_rows(balance: Balance) -> Rows:
    """Its limits, as they were declared and as they are in force."""
    return {
        (balance.key, what_text(what)): (place, *_limit_words(declared), *_limit_words(effective))
        for place, (what, (declared, effective)) in enumerate(balance.limits.items())
    }


def _limit_words(limit: Limit | None) -> Row:
    return (None, None, None) if limit is None else (limit.amount, limit.window, limit.tz)


def mark_rows(balance: Balance) -> Rows:
    """The fractions of its limits that were told."""
    return {(balance.key, what_text(what), ppm): told for (what, ppm), told in balance.marks.items()}


def breaker_rows(balance: Balance) -> Rows:
    """Its breaker, where that is not closed."""
    breaker = balance.breaker
    if breaker is None or breaker.trip is CLOSED:
        return {}
    state, cause, reason, opened_ms, trying = breaker.trip
    return {(balance.key,): (state, cause, storable(reason), opened_ms, trying)}


def parts_of(balance: Balance) -> Iterator[tuple[str, What, Part]]:
    """What its windows have counted: of limits, and of how fast a session spends."""
    for what, window in balance.windows.items():
        yield "limit", what, window.part()
    for what, rate in balance.breaker.rates.items() if balance.breaker is not None else ():
        yield "velocity", what, rate


def window_row(balance: Balance, of: str, what: What, part: Part) -> Row:
    """One window, without its buckets."""
    if isinstance(part, Slot):
        return balance.key, of, what_text(what), *part.period, 0, part.spent, part.reserved
    return balance.key, of, what_text(what), 0, 0, part.first, part.spent, part.reserved


def bucket_rows(number: int, part: Part) -> Rows:
    """What a rolling window has counted in each stretch of time."""
    if isinstance(part, Slot):
        return {}
    return {(number, bucket): (spent,) for bucket, spent in part.buckets.items()}


def call_rows(balance: Balance) -> Rows:
    """When calls were made, by their fingerprints: those that this step looked at."""
    calls = balance.breaker.calls if balance.breaker is not None else {}
    return {
        (balance.key, fingerprint): (",".join(map(str, made)), made[-1])
        for fingerprint, made in calls.items()
    }


def breaker_of(balance: Balance) -> CircuitBreaker:
    """Its breaker, made where it was not there."""
    if balance.breaker is None:
        balance.breaker = CircuitBreaker(balance.key, balance.key.count("/"))
    return balance.breaker


# -- records -------------------------------------------------------------------------------------


class Origin(NamedTuple):
    """What a record was made in; it never changes.

    Attributes:
        lives: the numbers of its accounts: another account may have the same key later.
        parts: the windows that it takes part in, as `touched_text` has them.
    """

    lives: str
    parts: str


def record_row(record: Record, origin: Origin, final_ms: int | None) -> tuple[Row, Row]:
    """A hold or a charge."""
    entry, outcome = record.entry, record.outcome
    leaf = "" if record.call_path is None else entry.path[-1].key
    return (entry.id,), (
        root_key(entry.path[0].key), leaf, origin.lives, *subject_words(entry.subject),
        *entry.amounts, *record.minimum, *record.held,
        outcome.state, *outcome.booked, tally_text(outcome.tally), outcome.at_ms,
        record.lease_ms, record.epoch, origin.parts, int(record.breaker is not None), final_ms,
        outcome.first_ms, record.tz, *(record.floor or (None, None, None)),
        "" if record.call is None else "{} {}".format(*record.call),
    )  # fmt: skip


def record_of(
    found: Mapping[str, Any],
    call_path: CallPath | None,
    touched: tuple[Touched, ...],
    breaker: CircuitBreaker | None,
) -> Record:
    """A hold or a charge as it was written."""
    path = bare_path(found["leaf"] or found["root"])
    booked, tally = _three(found, "booked"), parse_tally(found["tally"])
    outcome = Outcome(found["state"], booked, tally, found["at_ms"], found["first_ms"])
    return Record(
        Entry(found["id"], path, subject_of(found), _three(found, "want")),
        call_path,
        outcome,
        found["epoch"],
        _three(found, "held"),
        _three(found, "least"),
        touched,
        breaker,
        found["lease_ms"],
        None if found["floor_usd"] is None else _three(found, "floor"),
        found["tz"],
        call=_call(found["call"]),
    )


def _call(text: str) -> tuple[str, int] | None:
    fingerprint, _, at_ms = text.partition(" ")
    return (fingerprint, int(at_ms)) if fingerprint else None


def subject_of(found: Mapping[str, Any]) -> Subject:
    """What a record is about."""
    return parse_subject(found["kind"], found["models"], found["provider"], found["tool"])


def _three(found: Mapping[str, Any], name: str) -> Amounts:
    return Amounts(found[f"{name}_usd"], found[f"{name}_tokens"], found[f"{name}_calls"])


def touched_text(parts: Iterable[tuple[int, int, int]]) -> str:
    """``12:0:1``: the window, the unit, the place of its account on the path."""
    return " ".join(f"{part}:{unit}:{place}" for part, unit, place in parts)


def parse_touched(text: str) -> list[tuple[int, int, int]]:
    """What `touched_text` wrote."""
    return [cast("tuple[int, int, int]", tuple(map(int, word.split(":")))) for word in text.split()]

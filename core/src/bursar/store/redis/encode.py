"""Encodes the arguments of the script: amounts as digits, names percent-encoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote, unquote

from ...errors import InvalidAmount
from ...values.amounts import Amounts
from ...values.call import Kind, Subject
from ...values.limits import Limit, stored_limit
from ...values.policy import Breaker, Terms
from ...values.window import DAY_MS, Calendar, shift
from ..engine.constants import MOST_AMOUNT
from ..entry import Entry, Path

_SAFE = re.compile(r"[\w.~-]*", re.ASCII)  # what `quote` leaves as it is


def escape(text: str) -> str:
    """Without any of the signs that separate the words of a request or an answer."""
    return text if _SAFE.fullmatch(text) else quote(text, safe="", errors="surrogatepass")


def unescape(text: str) -> str:
    """The text that was escaped."""
    return unquote(text, errors="surrogatepass")


def amount(number: int) -> str:
    """An amount as digits.

    Raises:
        InvalidAmount: no int, or more than 2^52.
    """
    if type(number) is not int or abs(number) > MOST_AMOUNT:
        raise InvalidAmount(f"an amount of {number!r:.40} is not a whole number up to 2^52")
    return str(number)


def amounts(three: Amounts) -> list[str]:
    """Money, tokens and calls as digits."""
    return [amount(number) for number in three]


@lru_cache(4096)
def limit_text(limit: Limit) -> str:
    """A limit as it is stored: what makes it the same limit, then its amount, zone and window."""
    unit, over, *selectors = limit.key
    return ";".join(
        (unit, over, *map(escape, selectors), amount(limit.amount), escape(limit.tz), escape(limit.window))
    )


@lru_cache(4096)
def parse_limit(text: str) -> Limit:
    """The limit that was stored."""
    unit, _, model, tool, provider, amount, tz, window = map(unescape, text.split(";"))
    return stored_limit(unit, int(amount), window, model=model, tool=tool, provider=provider, tz=tz)


@lru_cache(4096)
def subject_text(subject: Subject) -> str:
    """What selectors look at, as it is stored."""
    provider, tool = escape(subject.provider or ""), escape(subject.tool or "")
    return ";".join((subject.kind, provider, tool, ",".join(map(escape, subject.models))))


@lru_cache(4096)
def parse_subject(text: str) -> Subject:
    """The subject that was stored."""
    kind, provider, tool, models = text.split(";")
    named = tuple(map(unescape, models.split(","))) if models else ()
    known: dict[str, Kind] = {"model": "model", "tool": "tool", "correction": "correction"}
    return Subject(known[kind], named, unescape(provider) or None, unescape(tool) or None)


def tally_text(tally: Mapping[str, int]) -> str:
    """Named counters."""
    return ",".join(f"{escape(name)}={amount(number)}" for name, number in tally.items())


def encode_path(path: Path) -> list[str]:
    """What the owners of the accounts declare."""
    words = []
    for account in path:
        for limits in (account.limits, account.unless_declared):
            words += [str(len(limits)), *map(limit_text, limits)]
    return words


def encode_periods(periods: Mapping[str, Calendar]) -> list[str]:
    """The calendars that the client knows."""
    return [str(len(periods)), *(_calendar_text(tz, calendar) for tz, calendar in periods.items())]


@lru_cache(64)
def _calendar_text(tz: str, calendar: Calendar) -> str:
    bounds = (str(bound) for period in calendar for bound in period)
    return f"{escape(tz)};{','.join(bounds)}"


def encode_entry(entry: Entry) -> list[str]:
    """What is moved."""
    return [escape(entry.id), subject_text(entry.subject), *amounts(entry.amounts)]


def encode_terms(terms: Terms, subject: Subject, now_ms: int) -> list[str]:
    """The decisions that the step acts on, at about this time."""
    words, zone = list(_encode_terms(terms)), _zone_text(terms.tz, now_ms // DAY_MS)
    if terms.breaker is None:
        return [*words, "", zone]
    name = subject.tool or (subject.models or ("a call",))[0]
    most, loop, velocity, cooldown, within, too_fast, trips = _encode_breaker(terms.breaker)
    decides = (most, loop, velocity, cooldown, escape(repr(name)), within, too_fast, trips)
    return [*words, "1", *decides, zone]


@lru_cache(64)
def _zone_text(tz: str, day: int) -> str:
    return "" if tz == "UTC" else ";".join((escape(tz), *map(str, shift(tz, day))))


@lru_cache(256)
def _encode_terms(terms: Terms) -> tuple[str, ...]:
    return (
        str(terms.lease_ms),
        str(int(terms.enforce)),
        str(int(terms.finalizing)),
        str(terms.kept_ppm),
        amount(terms.kept_nanos),
        ",".join(map(str, terms.soft_ppm)),
        str(terms.share_ppm),
        str(int(terms.others_wait)),
        str(terms.history_days),
    )


@lru_cache(256)
def _encode_breaker(breaker: Breaker) -> tuple[str, ...]:
    limit = breaker.velocity
    return (
        "" if breaker.max_repeated is None else str(breaker.max_repeated),
        str(breaker.loop_ms),
        "" if limit is None else limit_text(limit),
        "" if breaker.cooldown_ms is None else str(breaker.cooldown_ms),
        escape(f" times with the same input within {breaker.loop_ms / 1000:g} s"),
        "" if limit is None else escape(f"spending would pass {limit}"),
        str(int(breaker.loop_trips)),
    )

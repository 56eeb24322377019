"""The verbs of the store as requests: sent again where needed, applied once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import HoldClosed
from ...runtime.ids import new_id
from ...values.account import root_key
from ...values.amounts import Amounts
from ...values.limits import Limit
from ...values.policy import Terms
from ..entry import PLAIN, Ask, Entry, Path
from ..views import MOST_AT_ONCE
from . import decode, views
from .encode import (
    amounts,
    encode_entry,
    encode_path,
    encode_periods,
    encode_terms,
    escape,
    limit_text,
    tally_text,
)
from .keys import path_keys, tree_keys

Reader = Callable[[Sequence[str], int], Any]


@dataclass(frozen=True, slots=True)
class RedisRequest:
    """A verb, ready to be sent.

    Attributes:
        verb: its name.
        root: the key of the root of the tree.
        keys: that it names.
        words: its arguments.
        read: turns the lines of the answer, and the store's time, into the result or its error.
        nonce: tells the script that it has seen this very request before.
    """

    verb: str
    root: str
    keys: Sequence[str]
    words: Sequence[str]
    read: Reader
    nonce: str = field(default_factory=new_id)


class Requests:
    """Makes them, by the names of the verbs.

    Args:
        prefix: what all keys begin with.
        now_ms: about the time of the store.
    """

    def __init__(self, prefix: str, now_ms: Callable[[], int]) -> None:
        self._prefix = prefix
        self._now_ms = now_ms

    def reserve(
        self,
        entry: Entry,
        minimum: Amounts,
        terms: Terms = PLAIN,
        floor: Amounts | None = None,
        ask: Ask = "last",
        verb: str = "reserve",
    ) -> RedisRequest:
        words = [
            *encode_entry(entry),
            *amounts(minimum),
            *amounts(minimum if floor is None else floor),
            ask,
            entry.fingerprint or "",
            *encode_terms(terms, entry.subject, self._now_ms()),
            *encode_periods(entry.periods),
            *encode_path(entry.path),
        ]
        read: Reader = lambda lines, now_ms: decode.granted(lines, now_ms, entry)  # noqa: E731
        return self._on(entry.path, verb, words, read, words[0])

    def probe(
        self, entry: Entry, minimum: Amounts, terms: Terms = PLAIN, floor: Amounts | None = None
    ) -> RedisRequest:
        return self.reserve(entry, minimum, terms, floor, verb="probe")

    def settle(self, entry: Entry, terms: Terms = PLAIN, verb: str = "settle") -> RedisRequest:
        words = [
            *encode_entry(entry),
            tally_text(entry.tally),
            *encode_terms(terms, entry.subject, self._now_ms()),
            *encode_periods(entry.periods),
            *encode_path(entry.path),
        ]
        read: Reader = lambda lines, now_ms: decode.booked(lines, now_ms, entry)  # noqa: E731
        return self._on(entry.path, verb, words, read, words[0])

    def book(self, entry: Entry, terms: Terms = PLAIN) -> RedisRequest:
        return self.settle(entry, terms, "book")

    def doubt(self, entry: Entry, terms: Terms = PLAIN) -> RedisRequest:
        return self.settle(entry, terms, "doubt")

    def release(self, id: str, path: Path, tally: Mapping[str, int]) -> RedisRequest:
        return self._on(path, "release", [escape(id), tally_text(tally)], _done(id), escape(id))

    def withdraw(self, id: str, path: Path, reserve: str) -> RedisRequest:
        """Undo the reserve whose request has this mark."""
        return self._on(path, "withdraw", [escape(id), reserve], _done(id), escape(id))

    def extend(self, id: str, path: Path, lease_ms: int) -> RedisRequest:
        if not path:
            raise HoldClosed(f"the hold {id!r:.80} is not open, so that its lease cannot be extended")
        return self._on(path, "extend", [escape(id), str(lease_ms)], _done(id), escape(id))

    def set_limit(self, path: Path, limit: Limit) -> RedisRequest:
        return self._on(path, "set_limit", [*encode_path(path), limit_text(limit)], _done())

    def drop_limit(self, path: Path, limit: Limit) -> RedisRequest:
        return self._on(path, "drop_limit", [*encode_path(path), limit_text(limit)], _done())

    def trip(self, path: Path, reason: str) -> RedisRequest:
        return self._on(path, "trip", [*encode_path(path), escape(reason)], _done())

    def untrip(self, path: Path, reason: str) -> RedisRequest:
        return self._on(path, "untrip", [*encode_path(path), escape(reason)], _done())

    def reset(self, path: Path, reason: str) -> RedisRequest:
        return self._on(path, "reset", [*encode_path(path), escape(reason)], _done())

    def acknowledge(self, root: str, reason: str) -> RedisRequest:
        return self._at(root, "acknowledge", [escape(reason)], _done())

    def end(self, root: str, keys: tuple[str, ...]) -> RedisRequest:
        return self._at(root, "end", [str(len(keys)), *keys], _done())

    def read(self, key: str, keys: tuple[str, ...] | None = None) -> RedisRequest:
        wanted = views.with_parents((key,) if keys is None else keys)

        def snapshot(lines: Sequence[str], now_ms: int) -> Any:
            if lines[0] != "accounts":
                raise decode.fail(lines)
            return views.snapshot(lines[1:], now_ms, keys)

        words = [str(len(wanted)), *wanted, key if keys is None else ""]
        return self._at(root_key(key), "read", words, snapshot)

    def sessions(self, key: str, after: str = "", limit: int = MOST_AT_ONCE) -> RedisRequest:
        def page(lines: Sequence[str], now_ms: int) -> Any:
            if lines[0] != "sessions":
                raise decode.fail(lines)
            return views.session_page(lines[1:], now_ms, key)

        words = [key, after, str(min(limit, MOST_AT_ONCE))]
        return self._at(root_key(key), "sessions", words, page)

    def holds(self, root: str, after: str = "", limit: int = MOST_AT_ONCE) -> RedisRequest:
        def page(lines: Sequence[str], now_ms: int) -> Any:
            if lines[0] != "holds":
                raise decode.fail(lines)
            return views.hold_page(lines[1:], now_ms)

        until_ms, _, id = after.partition(" ")
        words = [until_ms or "-inf", id, str(min(limit, MOST_AT_ONCE))]
        return self._at(root, "holds", words, page)

    def history(self, root: str, keys: tuple[str, ...], days: int, tz: str = "UTC") -> RedisRequest:
        def view(lines: Sequence[str], now_ms: int) -> Any:
            if lines[0] != "history":
                raise decode.fail(lines)
            return views.history_view(lines[1:], now_ms, keys, tz)

        return self._at(root, "history", [str(len(keys)), *keys, str(days)], view)

    def alerts(self, root: str, after: str = "", limit: int = MOST_AT_ONCE) -> RedisRequest:
        return self._at(root, "alerts", [after, str(min(limit, MOST_AT_ONCE))], decode.alert_page)

    def claim(self, root: str, idle_ms: int, limit: int = MOST_AT_ONCE) -> RedisRequest:
        def claimed(lines: Sequence[str], now_ms: int) -> Any:
            return decode.alert_page(lines, now_ms).alerts

        return self._at(root, "claim", [str(idle_ms), str(min(limit, MOST_AT_ONCE))], claimed)

    def delivered(self, root: str, ids: tuple[str, ...]) -> RedisRequest:
        return self._at(root, "delivered", [str(len(ids)), *ids], _done())

    def audit(self, root: str) -> RedisRequest:
        def findings(lines: Sequence[str], _: int) -> Any:
            if lines[0] != "accounts":
                raise decode.fail(lines)
            return views.findings(lines)

        return self._at(root, "audit", [], findings)

    def _on(self, path: Path, verb: str, words: list[str], read: Reader, id: str = "") -> RedisRequest:
        return RedisRequest(verb, root_key(path[0].key), path_keys(self._prefix, path, id), words, read)

    def _at(self, root: str, verb: str, words: list[str], read: Reader) -> RedisRequest:
        return RedisRequest(verb, root, tree_keys(self._prefix, root), words, read)


def _done(id: str = "") -> Reader:
    def read(lines: Sequence[str], _: int) -> None:
        if lines[0] != "done":
            raise decode.fail(lines, id=id)

    return read

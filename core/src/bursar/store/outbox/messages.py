"""`Message`: a verb with its arguments that the store has not acknowledged; also as a line of JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from ...errors import StoreUnavailable
from ...runtime.ids import new_id
from ...values.account import Account, root_key
from ...values.amounts import Amounts
from ...values.call import Subject
from ...values.limits import Limit, stored_limit
from ...values.policy import Breaker, Terms
from ...values.window import Calendar, Period
from ..entry import Entry
from ..layout import newer

LAYOUT = 3  # of a line; those of 1 have no number, and begin the kinds with a capital letter
_KINDS: dict[str, Any] = {
    "account": Account, "amounts": Amounts, "breaker": Breaker, "calendar": Calendar, "entry": Entry,
    "period": Period, "subject": Subject, "terms": Terms,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}
_LIMIT = ("unit", "amount", "window", "model", "tool", "provider", "tz")

KEPT = ("settle", "book", "doubt", "release", "withdraw")  # what has happened, and is to be known


@dataclass(frozen=True, slots=True)
class Message:
    """A verb that is still to be carried out: once, however often it is sent.

    Attributes:
        verb: its name.
        arguments: with which it was asked for; the ids in them make a second delivery harmless.
        nonce: of the request, where the store knows one; else the message's own.
        since_s: when it was written, seconds since the epoch.
        age_s: how old it was when this process got it, in seconds.
        got_s: when that was, by the clock that nobody sets.
    """

    verb: str
    arguments: tuple[Any, ...]
    nonce: str = field(default_factory=new_id)
    since_s: float = field(default_factory=time.time)
    age_s: float = 0.0
    got_s: float = field(default_factory=time.monotonic)

    @property
    def account(self) -> str:
        """The key of the account that it is about."""
        first = self.arguments[0]
        path = first.path if isinstance(first, Entry) else self.arguments[1]
        key: str = path[-1].key
        return key

    @property
    def root(self) -> str:
        """The key of the root of its tree."""
        return root_key(self.account)

    def waited_s(self) -> float:
        """How long it has waited, in seconds; a clock that is set does not make it older."""
        return self.age_s + time.monotonic() - self.got_s


def to_line(message: Message, store: str) -> str:
    """The message as one line of JSON.

    Args:
        message: what to write.
        store: which store it is for.
    """
    words = {
        "layout": LAYOUT,
        "store": store,
        "mark": message.nonce,
        "since": round(message.since_s, 3),
        "verb": message.verb,
        "arguments": [_pack(argument) for argument in message.arguments],
    }
    return json.dumps(words, separators=(",", ":"))


def from_words(words: Mapping[str, Any]) -> Message:
    """The message whose line was read.

    Raises:
        ValueError: it is none.
        StoreUnavailable: it is of a newer layout.
    """
    layout = words.get("layout", 1)
    if isinstance(layout, int) and layout > LAYOUT:
        raise StoreUnavailable(newer(layout, LAYOUT))
    try:
        verb, nonce, since_s = words["verb"], str(words["mark"]), float(words["since"])
        arguments = tuple(map(_unpack, words["arguments"]))
        message = Message(verb, arguments, nonce, since_s, max(0.0, time.time() - since_s))
        known = verb in KEPT and type(message.root) is str
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no message: {type(error).__name__}") from error
    if not known:
        raise ValueError("no message: its verb is none of those that wait")
    return message


def _pack(value: Any) -> Any:
    """A value of JSON that `_unpack` makes the same value of."""
    if isinstance(value, Limit):
        return {"limit": {name: getattr(value, name) for name in _LIMIT}}
    kind = _NAMES.get(type(value))
    if kind is not None:
        names = [part.name for part in fields(value)] if is_dataclass(value) else value._fields
        return {kind: {name: _pack(getattr(value, name)) for name in names}}
    if isinstance(value, Mapping):
        return {"": {name: _pack(part) for name, part in value.items()}}
    return [_pack(part) for part in value] if isinstance(value, tuple) else value


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_unpack, value))
    if not isinstance(value, dict):
        return value
    ((kind, parts),) = value.items()
    kind = kind.lower()
    if kind == "limit":
        return stored_limit(**parts)
    parts = {name: _unpack(part) for name, part in parts.items()}
    return _KINDS[kind](**parts) if kind else parts

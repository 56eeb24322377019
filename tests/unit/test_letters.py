"""Letters: what a verb was asked with comes back from a line of JSON."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from bursar import Limit
from bursar.store.entry import Entry
from bursar.store.outbox.messages import Message, from_words, to_line
from bursar.values.account import child_account, root_account
from bursar.values.amounts import Amounts
from bursar.values.call import Subject
from bursar.values.policy import Breaker, Terms
from bursar.values.window import calendar

LIMITS = (
    Limit("$5.000000001/total"),
    Limit("20 calls/1h", tool="ünïcode"),
    Limit("3k tokens/day", model="gpt-4o").in_zone("Europe/Berlin"),
    Limit("$1", provider="openai"),
)
ROOT = root_account("default", LIMITS)
PATH = (ROOT, child_account(ROOT, 'al"ice\\ /@', (), LIMITS[:1]))
ENTRY = Entry(
    "h1",
    PATH,
    Subject("model", ("gpt-4o-2024-08-06", "gpt-4o"), "openai"),
    Amounts(2**52, 7, 1),
    {"input": 3, "überzug": -1},
    {"Europe/Berlin": calendar(1_700_000_000_000, "Europe/Berlin")},
)
TERMS = Terms(5, False, True, 3, 4, (900_000,), Breaker(10, 60_000, Limit("$1/1h"), None))


@pytest.mark.parametrize(
    "message",
    [
        Message("settle", (ENTRY, TERMS)),
        Message("book", (ENTRY,)),
        Message("doubt", (ENTRY._replace(tally={}, periods={}), Terms())),
        Message("release", ("h1", PATH, {"saved_usd": 5})),
        Message("withdraw", ("h1", PATH, "a nonce")),
    ],
    ids=lambda message: message.verb,
)
def test_a_letter_comes_back_as_it_was(message: Message) -> None:
    """Verb, arguments with their types, mark and age; in one line without a secret of the store."""
    line = to_line(message, "redis://host/0 bursar")
    assert "\n" not in line and line.isascii()
    back = from_words(json.loads(line))
    assert (back.verb, back.arguments, back.nonce) == (message.verb, message.arguments, message.nonce)
    assert [type(argument) for argument in back.arguments] == [type(given) for given in message.arguments]
    assert (back.account, back.root) == (PATH[-1].key, "default")
    assert back.since_s == pytest.approx(message.since_s, abs=0.001)
    assert back.waited_s() == pytest.approx(message.waited_s(), abs=10)


def test_an_old_letter_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its age counts from when it was written, and a clock that is set afterwards does not change it."""
    words = json.loads(to_line(Message("book", (ENTRY,), since_s=time.time() - 1000), "s"))
    back = from_words(words)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 999 < back.waited_s() < 1100
    assert from_words(words).waited_s() < 100, "a clock before the letter's makes it young, not negative"


@pytest.mark.parametrize(
    "change",
    [
        {"verb": "acknowledge"},
        {"verb": "__init__"},
        {"verb": ["book"]},
        {"arguments": []},
        {"arguments": [{"Entry": {"id": "h"}}]},
        {"arguments": [{"Popen": {"args": "true"}}]},
        {"arguments": [{}]},
        {"arguments": ["h", [], {"": {}}]},
        {"arguments": 5},
        {"since": "yesterday"},
    ],
    ids=str,
)
def test_what_is_no_letter_is_refused(change: dict[str, Any]) -> None:
    """Another verb than those that wait, other classes, missing or wrong fields: one kind of error."""
    words = json.loads(to_line(Message("book", (ENTRY,)), "s"))
    from_words(words)
    with pytest.raises(ValueError, match="no message|convert|unpack"):
        from_words(words | change)

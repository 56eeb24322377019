"""Every store answers random verbs with the same words, to the last field."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from bursar.store import Refused, Store
from bursar.store.redis import decode, open_redis, script
from bursar.store.sqlite import SqliteStore, open_sqlite
from bursar.store.sqlite.step import READS
from bursar.store.sqlite.url import parse_url
from bursar.testing import ManualClock

from ..contract.toy_store import ToyStore
from ..files import file_url
from ..scale import scaled
from ..servers import shared_url
from .answers import AnswersMachine

SOME = settings(max_examples=scaled(30, 300), stateful_step_count=40, deadline=None)
NO_SEARCH = settings(
    SOME,
    max_examples=300,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    print_blob=False,
    report_multiple_bugs=False,
)


class SqliteAnswers(AnswersMachine):
    """Balances in a file."""

    def open_store(self, clock: ManualClock) -> Store:
        """An empty file."""
        return open_sqlite(file_url(synchronous="normal"), clock)


class RedisAnswers(AnswersMachine):
    """Balances on a server."""

    def open_store(self, clock: ManualClock) -> Store:
        """An empty tree of keys."""
        return open_redis(shared_url(), clock)


class ToyAnswers(AnswersMachine):
    """Balances that are added up from lines."""

    rolling = False  # it keeps each charge where others keep 288 buckets: both may say what is left

    def open_store(self, clock: ManualClock) -> Store:
        """An empty list."""
        return ToyStore(clock)


class Forgetful(SqliteStore):
    """Every step reads what it needs from the file, as the first step of a process does."""

    def _ask(self, verb: str, *arguments: Any) -> Any:
        self._file._kept = None
        return super()._ask(verb, *arguments)


class KeptAnswers(AnswersMachine):
    """Two files: one whose steps take up what the last one kept, and one whose steps do not.

    Every step writes the same rows in both.
    """

    def open_oracle(self, clock: ManualClock) -> Store:
        """An empty file."""
        return Forgetful(parse_url(file_url(synchronous="normal")), clock)

    def open_store(self, clock: ManualClock) -> Store:
        """Another one."""
        return open_sqlite(file_url(synchronous="normal"), clock)

    def both(self, verb: str, *arguments: Any) -> None:
        """Carry out a verb in both, and compare what the files say."""
        super().both(verb, *arguments)
        if verb not in READS:
            forgetful, keeping = map(_dump, self.stores)
            assert keeping == forgetful, (verb, arguments, set(keeping) ^ set(forgetful))


def _dump(store: Any) -> list[str]:
    """All that a file says, but for the random id of its ledger; in no order."""
    with closing(sqlite3.connect(store.place.path)) as other:
        return sorted(line for line in other.iterdump() if not line.startswith('INSERT INTO "meta"'))


@pytest.mark.parametrize("machine", [SqliteAnswers, RedisAnswers, ToyAnswers, KeptAnswers])
def test_every_field_of_every_answer_is_the_same(machine: type[AnswersMachine]) -> None:
    """Granted, refused, booked, views, audits: as in memory, for random verbs with all that they may be told."""
    run_state_machine_as_test(machine, settings=SOME)


_REASON = "reason = breaker.what .. '%20was%20called%20' .. int(#made) .. breaker.within"
WRONG = {  # in the script: what is sound, and what is wrong about one field
    "account": ("    account.key, cause, more.limit", "    path[1], cause, more.limit"),
    "limit": (
        "more.limit and more.limit.text or ''",
        "more.limit and cause == 'velocity' and more.limit.text or ''",
    ),
    "spent": ("int(more.spent or 0)", "int((more.spent or 0) + (more.reserved or 0))"),
    "reserved": ("int(more.reserved or 0)", "int(0)"),
    "tripped": ("more.tripped and '=' .. more.tripped or ''", "more.tripped and '=' .. cause or ''"),
    "retry_after_s": ("more.wait and int(more.wait) or ''", "more.wait and int(more.wait + 1) or ''"),
    "cause": (
        "account.key, cause, more.limit",
        "account.key, more.tripped and 'tripped' or cause, more.limit",
    ),
    "kept": ("int(more.kept or 0)", "'0'"),
    "first": ("    flag(more.first), int", "    '1', int"),
    "times": ("times = #made + 1", "times = #made"),
    "reason": (_REASON, "reason = breaker.what"),
}


@pytest.mark.parametrize("field", [name for name in Refused._fields if name != "asked"])
def test_a_wrong_field_of_a_refusal_is_found(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One value in the script is wrong, and random verbs see it."""
    sound, wrong = WRONG[field]
    source = script.source()
    assert source.count(sound) == 1
    source = source.replace(sound, wrong)
    monkeypatch.setattr(script, "source", lambda: source)
    monkeypatch.setattr(script, "sha", lambda: script.digest(source))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(RedisAnswers, settings=NO_SEARCH)


def test_a_wrong_amount_that_was_asked_for_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client knows it, and the script does not: the same for the one field that is read here."""
    sound = decode._refused
    monkeypatch.setattr(decode, "_refused", lambda words, entry: sound(words, entry)._replace(asked=1))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(RedisAnswers, settings=NO_SEARCH)

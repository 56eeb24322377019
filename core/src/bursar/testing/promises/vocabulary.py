"""Helpers in which the promises of a store are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ...errors import BursarError
from ...store.base import Store
from ...store.entry import Entry, Path
from ...store.results import Booked, Granted, Refused, StalePeriod
from ...values.account import Account, root_account
from ...values.amounts import Amounts
from ...values.call import Subject
from ...values.limits import Limit
from ...values.policy import Terms
from ...values.window import calendar
from ..clock import ManualClock

E = TypeVar("E", bound=BursarError)

LEASE_MS = 60_000
TERMS = Terms(lease_ms=LEASE_MS)
GPT = Subject("model", ("gpt-4o-2024-08-06", "gpt-4o"), "openai")
MINI = Subject("model", ("gpt-4o-mini",), "openai")
SEARCH = Subject("tool", (), None, "search")


def usd(nanos: int, tokens: int = 0) -> Amounts:
    """One call."""
    return Amounts(nanos, tokens, 1)


def limit(nanos: int, window: str = "total", **selectors: str) -> Limit:
    """A limit of nano-dollars."""
    return Limit(f"0.{nanos:09d}/{window}", **selectors)


def root(*limits: Limit) -> Path:
    """A path of one account."""
    return (root_account("default", limits),)


def below(path: Path, make: Callable[..., Account], name: str, *limits: Limit) -> Path:
    """A path that is longer by one account."""
    return (*path, make(path[-1], name, limits))


def dated(entry: Entry, stale: StalePeriod) -> Entry:
    """The same line with the calendar of the store's own time."""
    return entry._replace(periods={tz: calendar(stale.now_ms, tz) for tz in stale.zones})


class Vocabulary:
    """A fresh store and clock for every test, and short words for its verbs."""

    clock: ManualClock
    store: Store
    many_calls = 12_000  # more than the store keeps whole at a time

    def open_store(self, clock: ManualClock) -> Store:
        """An empty store that takes its time from `clock`."""
        raise NotImplementedError("return an empty store of yours")

    def setup_method(self) -> None:
        """A fresh store and clock for every test."""
        self.clock = ManualClock(1_750_000_000)
        self.store = self.open_store(self.clock)

    def teardown_method(self) -> None:
        """Let go of the store: pytest keeps the object until all tests are over."""
        del self.store

    def ask(
        self,
        id: str,
        path: Path,
        want: Amounts,
        minimum: Amounts | None = None,
        subject: Subject = GPT,
        terms: Terms = TERMS,
        fingerprint: str | None = None,
    ) -> Granted | Refused:
        """Reserve, with the calendar that the store asks for."""
        entry = Entry(id, path, subject, want, fingerprint=fingerprint)
        answer = self.store.reserve(entry, minimum or want, terms)
        if isinstance(answer, StalePeriod):
            answer = self.store.reserve(dated(entry, answer), minimum or want, terms)
        assert isinstance(answer, Granted | Refused), answer
        return answer

    def settle(self, entry: Entry, terms: Terms = TERMS) -> Booked:
        """Settle, with the calendar that the store asks for."""
        return self._booked(self.store.settle, entry, terms)

    def doubt(self, entry: Entry, terms: Terms = TERMS) -> Booked:
        """Book in doubt, likewise."""
        return self._booked(self.store.doubt, entry, terms)

    def book(self, entry: Entry, terms: Terms = TERMS) -> Booked:
        """Book without a hold, likewise."""
        return self._booked(self.store.book, entry, terms)

    def _booked(
        self, verb: Callable[[Entry, Terms], Booked | StalePeriod], entry: Entry, terms: Terms
    ) -> Booked:
        answer = verb(entry, terms)
        if isinstance(answer, StalePeriod):
            answer = verb(dated(entry, answer), terms)
        assert isinstance(answer, Booked), answer
        return answer

    def held(
        self,
        id: str,
        path: Path,
        want: Amounts,
        subject: Subject = GPT,
        terms: Terms = TERMS,
        fingerprint: str | None = None,
    ) -> Granted:
        """Reserve what has to fit."""
        answer = self.ask(id, path, want, None, subject, terms, fingerprint)
        assert isinstance(answer, Granted), answer
        return answer

    def refused(
        self,
        id: str,
        path: Path,
        want: Amounts,
        subject: Subject = GPT,
        terms: Terms = TERMS,
        fingerprint: str | None = None,
    ) -> Refused:
        """Reserve what must not fit."""
        answer = self.ask(id, path, want, None, subject, terms, fingerprint)
        assert isinstance(answer, Refused), answer
        return answer

    def numbers(self, account: Account) -> tuple[int, int]:
        """Spent and reserved nano-dollars; nothing where the account is not known."""
        view = self.store.read("default", (account.key,)).accounts.get(account.key)
        return (view.spent.usd, view.reserved.usd) if view else (0, 0)

    def clean(self) -> None:
        """The books add up."""
        assert self.store.audit("default") == ()

    def raises(self, expected: type[E], act: Callable[..., Any], *arguments: Any) -> E:
        """The error that an act has to end in."""
        try:
            answer = act(*arguments)
        except expected as error:
            return error
        raise AssertionError(f"no {expected.__name__}, but {answer!r}")

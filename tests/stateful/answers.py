"""Random verbs with all that a verb may be told, carried out by two stores, whose whole answers are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bursar import BursarError, Limit
from bursar.store import (
    Amounts,
    Ask,
    Breaker,
    Entry,
    MemoryStore,
    StalePeriod,
    Store,
    Subject,
    Terms,
)
from bursar.testing import ManualClock
from bursar.values.account import child_account, root_account, session_account
from bursar.values.window import calendar

START_S = 1_750_031_000  # 23:43:20 UTC: days of the history end in its midst
SUBJECTS = (
    Subject("model", ("gpt-4o-2024-08-06", "gpt-4o"), "openai"),
    Subject("model", ("gpt-4o-mini",), "openai"),
    Subject("tool", (), None, "search *"),
    Subject("tool"),
)
AMOUNT = st.integers(0, 300)
AMOUNTS = st.builds(Amounts, AMOUNT, st.integers(0, 40), st.just(1))
LIMITS = (
    Limit("0.000005/total"), Limit("0.0000012/1h"), Limit("0.000002/day").in_zone("Europe/Oslo"),
    Limit("400 tokens/90s"), Limit("7 calls/total", tool="*"), Limit("0.000002/total", model="gpt-4o"),
    Limit("0.0000009"),
)  # fmt: skip
BREAKERS = (
    None,
    Breaker(2, 60_000, None, None),
    Breaker(2, 60_000, None, None, loop_trips=True),
    Breaker(2, 60_000, None, 20_000),
    Breaker(2, 60_000, Limit("0.0000004/60s"), 45_000),
)
TERMS = st.builds(
    Terms,
    lease_ms=st.sampled_from([30_000, 600_000]),
    enforce=st.sampled_from([True, True, True, False]),
    finalizing=st.booleans(),
    kept_ppm=st.sampled_from([0, 100_000]),
    kept_nanos=st.sampled_from([0, 50]),
    soft_ppm=st.sampled_from([(), (500_000, 900_000)]),
    breaker=st.sampled_from(BREAKERS),
    tz=st.sampled_from(["UTC", "Europe/Oslo", "America/St_Johns"]),
    history_days=st.sampled_from([400, 2]),
    share_ppm=st.sampled_from([1_000_000, 125_000, 400_001]),
)


def told(value: Any, left_out: frozenset[str], name: str = "") -> Any:
    """A whole answer as plain tuples: each field with its name, but for those that are left out."""
    if is_dataclass(value):
        parts = [(part.name, getattr(value, part.name)) for part in fields(value)]
    elif hasattr(value, "_fields"):
        parts = list(zip(value._fields, value, strict=True))
    elif hasattr(value, "items"):
        return {key: told(part, left_out, name) for key, part in value.items()}
    elif isinstance(value, tuple):
        return tuple(told(part, left_out, name) for part in value)
    else:
        return value
    kind = type(value).__name__
    return (
        kind,
        *((n, told(part, left_out, n)) for n, part in parts if f"{kind}.{n}" not in left_out),
    )


def differences(one: Any, other: Any, at: str = "") -> Iterator[str]:
    """Where two answers differ, for whoever reads the failure."""
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        for place, parts in enumerate(zip(one, other, strict=True)):
            yield from differences(*parts, f"{at}.{place}")
    elif isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            yield from differences(one.get(key), other.get(key), f"{at}[{key}]")
    elif one != other:
        yield f"{at}: {one!r:.200}, and {other!r:.200}"


class AnswersMachine(RuleBasedStateMachine):
    """Both stores are asked the same, and answer the same.

    Attributes:
        left_out: the fields that may differ, with the reasons.
        rolling: False without limits over rolling windows.
    """

    left_out: Mapping[str, str] = {"Limit.implied": "how it was written is for messages, and not stored"}
    rolling = True

    def open_store(self, clock: ManualClock) -> Store:
        """An empty store."""
        raise NotImplementedError

    def open_oracle(self, clock: ManualClock) -> Store:
        """The one whose answers are right."""
        return MemoryStore(clock)

    @initialize()
    def open(self) -> None:
        """Two empty stores that go by one clock."""
        self.clock = ManualClock(START_S)
        self.stores = (self.open_oracle(self.clock), self.open_store(self.clock))
        self.calls: list[tuple[str, Subject]] = []  # as they were asked for; their numbers are their ids
        self.paths = dict(_paths(rolling=self.rolling))

    @rule(
        place=st.sampled_from(["root", "alice", "s", "s", "nested", "other"]),
        want=AMOUNTS,
        least=AMOUNTS,
        floor=st.none() | AMOUNTS,
        asks=st.sampled_from([("last",), ("first", "again", "last"), ("again", "last")]),
        subject=st.sampled_from(SUBJECTS),
        terms=TERMS,
        same=st.sampled_from([None, "same", "same"]),
        probing=st.booleans(),
    )
    def reserve(
        self,
        place: str,
        want: Amounts,
        least: Amounts,
        subject: Subject,
        terms: Terms,
        same: str | None,
        probing: bool,
        floor: Amounts | None = None,
        asks: tuple[Ask, ...] = ("last",),
    ) -> None:
        """A reserve, perhaps after a probe of the same, and perhaps asked for more than once."""
        least = Amounts(*map(min, want, least))
        floor = floor and Amounts(*map(min, want, floor))
        terms = self.fit(terms)
        entry = Entry(self.new(place, subject), self.paths[place], subject, want, fingerprint=same)
        if probing:
            self.both("probe", entry, least, terms, floor)
        for ask in asks:
            self.both("reserve", entry, least, terms, floor, ask)

    @rule(
        place=st.sampled_from(["s", "nested", "other"]), breaker=st.sampled_from(BREAKERS[1:]), nanos=AMOUNT
    )
    def repeat(self, place: str, breaker: Breaker, nanos: int) -> None:
        """The same call until it is refused, as a loop or as too fast, and once more."""
        for _ in range(4):
            self.reserve(
                place,
                Amounts(nanos, 1, 1),
                Amounts(nanos, 1, 1),
                SUBJECTS[0],
                Terms(breaker=breaker),
                "same",
                False,
            )

    @rule(
        number=st.integers(0, 30),
        cost=AMOUNTS,
        verb=st.sampled_from(["settle", "settle", "doubt"]),
        terms=TERMS,
    )
    def conclude(self, number: int, cost: Amounts, verb: str, terms: Terms) -> None:
        """An outcome of a call: any, also of one that was refused or has ended."""
        terms = self.fit(terms)
        id, place, subject = self.some(number)
        self.both(verb, Entry(id, self.paths[place], subject, cost, {"input": cost.tokens}), terms)

    @rule(number=st.integers(0, 30))
    def release(self, number: int) -> None:
        """A call that was never sent."""
        id, place, _ = self.some(number)
        self.both("release", id, self.paths[place], {"saved": 1})

    @rule(number=st.integers(0, 30))
    def extend(self, number: int) -> None:
        """A longer lease."""
        id, place, _ = self.some(number)
        self.both("extend", id, self.paths[place], 45_000)

    @rule(
        place=st.sampled_from(["root", "alice", "s", "nested"]),
        cost=AMOUNTS,
        subject=st.sampled_from(SUBJECTS),
        terms=TERMS,
    )
    def book(self, place: str, cost: Amounts, subject: Subject, terms: Terms) -> None:
        """A charge without a hold."""
        terms = self.fit(terms)
        self.both("book", Entry(self.new(place, subject), self.paths[place], subject, cost), terms)

    @rule(
        place=st.sampled_from(["root", "alice", "s"]),
        verb=st.sampled_from(["trip", "untrip", "untrip", "reset"]),
    )
    def administer(self, place: str, verb: str) -> None:
        """An order of a person."""
        self.both(verb, self.paths[place], "a person said so")

    @rule(limit=st.sampled_from(LIMITS), place=st.sampled_from(["root", "alice"]), dropped=st.booleans())
    def change(self, limit: Limit, place: str, dropped: bool) -> None:
        """A limit that is set, or dropped."""
        if limit.span_ms and not self.rolling:
            return
        self.both("drop_limit" if dropped else "set_limit", self.paths[place], limit)

    @rule(seconds=st.sampled_from([1, 15, 29, 30, 31, 60, 90, 600, 3590, 3600, 30_000]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.clock.advance(seconds)

    @invariant()
    def views_agree(self) -> None:
        """What readers see, and what an audit finds."""
        self.both("read", "root", tuple(path[-1].key for path in self.paths.values()))
        for tz in ("UTC", "Europe/Oslo", "America/St_Johns"):
            self.both("history", "root", ("root", "root/alice"), 1, tz)
        self.both("audit", "root")

    # -- words ----------------------------------------------------------------------------------

    def fit(self, terms: Terms) -> Terms:
        """Without a velocity where there are no rolling windows."""
        if self.rolling or terms.breaker is None:
            return terms
        return terms._replace(breaker=terms.breaker._replace(velocity=None))

    def new(self, place: str, subject: Subject) -> str:
        """The id of one more call."""
        self.calls.append((place, subject))
        return str(len(self.calls) - 1)

    def some(self, number: int) -> tuple[str, str, Subject]:
        """A call that was asked for lately; or one that nobody has heard of."""
        place = len(self.calls) - number
        if 0 <= place < len(self.calls):
            return str(place), *self.calls[place]
        return self.new("alice", SUBJECTS[number % 3]), "alice", SUBJECTS[number % 3]

    def both(self, verb: str, *arguments: Any) -> None:
        """Carry out a verb in both, and compare."""
        left_out = frozenset(self.left_out)
        memory, other = (told(self.answer(store, verb, *arguments), left_out) for store in self.stores)
        assert other == memory, (verb, arguments, *differences(memory, other))

    def answer(self, store: Store, verb: str, *arguments: Any) -> Any:
        """What a store answers in the end, or the kind of its error.

        Whether it asks for a calendar first is left out: one in memory may know it from a probe.
        """
        try:
            found = getattr(store, verb)(*arguments)
            if isinstance(found, StalePeriod):
                periods = {tz: calendar(found.now_ms, tz) for tz in found.zones}
                found = getattr(store, verb)(arguments[0]._replace(periods=periods), *arguments[1:])
        except BursarError as error:
            return type(error).__name__
        return found


def _paths(*, rolling: bool) -> Iterator[tuple[str, tuple[Any, ...]]]:
    above, below = (tuple(x for x in part if rolling or not x.span_ms) for part in (LIMITS[:3], LIMITS[3:6]))
    root = root_account("root", above)
    alice = child_account(root, "alice", (), below)
    session = session_account(alice, "s", (LIMITS[6],))
    yield "root", (root,)
    yield "alice", (root, alice)
    yield "s", (root, alice, session)
    yield "nested", (root, alice, session, session_account(session, "nested", (Limit("0.0000003"),)))
    yield "other", (root, session_account(root, "other", ()))

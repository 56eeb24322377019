"""Random lives of holds, against a model that only adds up, and shares no code with a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from bursar import HoldClosed, Limit
from bursar.store import (
    Amounts,
    Breaker,
    Contended,
    Entry,
    Granted,
    Refused,
    StalePeriod,
    Store,
    Subject,
    Terms,
)
from bursar.store.memory import MemoryStore
from bursar.store.redis import open_redis
from bursar.store.sqlite import open_sqlite
from bursar.testing import ManualClock
from bursar.values.account import child_account, root_account, session_account
from bursar.values.window import calendar

from ..contract.toy_store import ToyStore
from ..files import file_url
from ..scale import scaled
from ..servers import shared_url

LEASE_S = 60
START_S = 1_750_000_000  # 15:06:40 UTC
LIMITS = {"root": 5000, "alice": 2500, "s": 900, "nested": 300}  # nano-dollars
ROLLING, ROLLING_S = 600, 3600  # of the root, in any hour
HOURLY = 500  # of alice, in each hour of the calendar
REPEATED, LOOP_S = 2, 60  # of the outermost session
PATHS = {"root": ("root",), "alice": ("root", "alice"), "s": ("root", "alice", "s"), "bob": ("root", "bob")}
PATHS["nested"] = (*PATHS["s"], "nested")
AMOUNT = st.integers(0, 300)
SHARE_PPM = 250_000
TERMS = Terms(lease_ms=LEASE_S * 1000, breaker=Breaker(REPEATED, LOOP_S * 1000, None, None))


@dataclass
class Life:
    """What became of one hold, as the model has it."""

    place: str
    held: int
    until: float
    reserved_at: float
    same: bool = False
    booked: int = 0
    booked_at: float = 0
    state: str = "reserved"


@dataclass
class Model:
    """Sums over lives: no balances, no counters, no buckets, nothing to go out of step."""

    lives: dict[str, Life] = field(default_factory=dict)
    looped: bool = False
    refused: list[float] = field(default_factory=list)  # when the call was refused in a row
    forgiven: float = 0  # calls before somebody closed the breaker are forgotten

    def expire(self, now: float) -> None:
        """Book what is left of holds whose lease is over."""
        for life in self.lives.values():
            if life.state == "reserved" and life.until <= now:
                life.state, life.booked, life.booked_at = "in_doubt", life.held, life.until

    def at(self, account: str) -> Iterator[Life]:
        """All calls at or below an account."""
        return (life for life in self.lives.values() if account in PATHS[life.place])

    def spent(self, account: str) -> int:
        """All that was booked at or below an account."""
        return sum(life.booked for life in self.at(account))

    def reserved(self, account: str) -> int:
        """All that is held at or below an account."""
        return sum(life.held for life in self.at(account) if life.state == "reserved")

    def left(self, place: str, now: float) -> tuple[int, int]:
        """The least room on the path; and with the windows, between the strictest and the most generous count."""
        lifelong = min(LIMITS[a] - self.spent(a) - self.reserved(a) for a in PATHS[place] if a in LIMITS)
        hour = now // 3600
        if "alice" in PATHS[place]:
            this_hour = [life for life in self.at("alice") if life.reserved_at // 3600 == hour]
            held = sum(life.held for life in this_hour if life.state == "reserved")
            lifelong = min(lifelong, HOURLY - held - sum(life.booked for life in this_hour))
        late = ROLLING_S / 288
        strict, generous = (
            ROLLING
            - self.reserved("root")
            - sum(life.booked for life in self.lives.values() if life.booked_at > now - ROLLING_S - slack)
            for slack in (late + 0.01, 0)
        )
        return min(lifelong, strict), min(lifelong, generous)

    def repeated(self, now: float) -> int:
        """How often the same call was made lately in the outermost session."""
        since = max(now - LOOP_S, self.forgiven)
        return sum(
            1 for life in self.at("s") if life.same and life.reserved_at > since and life.state != "released"
        )


class LedgerMachine(RuleBasedStateMachine):
    """Reserve, settle, release, doubt, lease ends, late settles, windows, loops, nested accounts, a moving clock."""

    holds = Bundle("holds")

    def open_store(self, clock: ManualClock) -> Store:
        """An empty store."""
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        """An empty store and an empty model."""
        self.clock = ManualClock(START_S)
        self.store = self.open_store(self.clock)
        self.model = Model()
        self.count = 0
        rolling = Limit(f"0.{ROLLING:09d}/1h")
        root = root_account("root", (limit("root", "total"), rolling))
        alice = child_account(root, "alice", (limit("alice", "total"), Limit(f"0.{HOURLY:09d}/hour")))
        session = session_account(alice, "s", (limit("s", "session"),))
        nested = session_account(session, "nested", (limit("nested", "session"),))
        bob = child_account(root, "bob", ())
        self.paths = {
            "root": (root,),
            "alice": (root, alice),
            "s": (root, alice, session),
            "nested": (root, alice, session, nested),
            "bob": (root, bob),
        }

    @rule(
        target=holds,
        place=st.sampled_from(sorted(PATHS)),
        want=AMOUNT,
        least=AMOUNT,
        same=st.sampled_from([True, True, False]),
        floor=st.none() | AMOUNT,
        ask=st.sampled_from(["last", "first", "again"]),
    )
    def reserve(
        self, place: str, want: int, least: int, same: bool, floor: int | None = None, ask: str = "last"
    ) -> str:
        """Granted exactly when the minimum fits and the call is no loop, and then as much as fits.

        With a floor it has a share: not below the floor while others hold something, or it is contended.
        """
        self.count += 1
        id, least, now = f"h{self.count}", min(want, least), self.clock.now()
        self.model.expire(now)
        strict, generous = self.model.left(place, now)
        inside = "s" in PATHS[place]
        entry = self.entry(id, place, want)._replace(fingerprint="same" if same else None)
        terms = TERMS if floor is None else TERMS._replace(share_ppm=SHARE_PPM)
        floor = least if floor is None else min(want, floor)
        answer = self.ask("reserve", entry, Amounts(least, 0, 1), terms, Amounts(floor, 0, 1), ask)
        if inside and self.model.looped:
            assert isinstance(answer, Refused) and answer.tripped
            return id
        looping = inside and same and self.model.repeated(now) >= REPEATED
        if isinstance(answer, Granted):
            assert generous >= least and not looping
            useful = max(floor, least)
            share = strict if terms is TERMS else max(useful, strict * SHARE_PPM // 10**6)
            assert min(want, strict, share) <= answer.amounts.usd <= min(want, generous)
            self.model.lives[id] = Life(place, answer.amounts.usd, now + LEASE_S, now, same)
            if inside and same:
                self.model.refused = []
            for account in PATHS[place]:  # the promise: at every admission, for every limit
                if account in LIMITS:
                    assert self.model.spent(account) + self.model.reserved(account) <= LIMITS[account]
            assert self.model.left(place, now)[1] >= 0
        elif isinstance(answer, Contended):
            assert ask != "last" and strict < max(floor, least) and not looping
            assert any(self.model.reserved(account) for account in PATHS[place])
        elif answer.cause == "loop":
            assert looping
            self.model.refused = [at for at in self.model.refused if at > now - LOOP_S] + [now]
            self.model.looped = len(self.model.refused) >= REPEATED
        else:
            assert strict < least and not looping
        return id

    @rule(place=st.sampled_from(["s", "nested"]), times=st.integers(1, REPEATED + 2))
    def repeat(self, place: str, times: int) -> None:
        """The same small call, in a row."""
        for _ in range(times):
            self.reserve(place, 1, 1, same=True)

    @rule(id=holds, cost=AMOUNT)
    def settle(self, id: str, cost: int) -> None:
        """Always booked, whatever became of the hold; but only once."""
        now = self.clock.now()
        self.model.expire(now)
        life = self.model.lives.setdefault(id, Life("bob", 0, 0, now, state="released"))
        place = life.place
        if life.state == "settled" and life.booked != cost:
            self.refuses(self.store.settle, self.entry(id, place, cost))
            return
        held = 0 if life.state == "released" else life.held
        booked = self.ask("settle", self.entry(id, place, cost), TERMS)
        assert booked.repeated == (life.state == "settled")
        assert booked.repeated or booked.overrun_usd == max(0, cost - held)
        if not booked.repeated:
            life.state, life.booked, life.booked_at = "settled", cost, now

    @rule(id=holds, cost=AMOUNT)
    def doubt(self, id: str, cost: int) -> None:
        """Booked until the truth is known; a settled call has no doubt."""
        now = self.clock.now()
        self.model.expire(now)
        life = self.model.lives.get(id)
        if life is None:
            return
        if life.state == "released":
            self.refuses(self.store.doubt, self.entry(id, life.place, cost))
            return
        self.ask("doubt", self.entry(id, life.place, cost), TERMS)
        if life.state != "settled":
            life.state, life.booked, life.booked_at = "in_doubt", cost, now

    @rule(id=holds)
    def release(self, id: str) -> None:
        """Nothing is left of an open hold; a booked one cannot be released."""
        self.model.expire(self.clock.now())
        life = self.model.lives.get(id)
        if life is None:
            return
        if life.state in ("settled", "in_doubt"):
            self.refuses(self.store.release, id, self.paths[life.place], {})
            return
        self.store.release(id, self.paths[life.place], {})
        life.state = "released"

    @rule(id=holds)
    def extend(self, id: str) -> None:
        """A new lease for an open hold."""
        self.model.expire(self.clock.now())
        life = self.model.lives.get(id)
        if life is None or life.state != "reserved":
            self.refuses(self.store.extend, id, (), LEASE_S * 1000)
            return
        self.store.extend(id, self.paths[life.place], LEASE_S * 1000)
        life.until = self.clock.now() + LEASE_S

    @rule(cost=AMOUNT, place=st.sampled_from(sorted(PATHS)))
    def book(self, cost: int, place: str) -> None:
        """A charge without a hold, past every limit."""
        self.count += 1
        now = self.clock.now()
        booked = self.ask("book", self.entry(f"b{self.count}", place, cost), TERMS)
        assert booked.overrun_usd == 0
        self.model.expire(now)
        self.model.lives[f"b{self.count}"] = Life(place, 0, 0, now, False, cost, now, "settled")

    @rule()
    def untrip(self) -> None:
        """Somebody closes the breaker, and the calls that opened it are forgotten."""
        self.store.untrip(self.paths["s"], "looked into")
        self.model.looped, self.model.forgiven, self.model.refused = False, self.clock.now(), []
        self.clock.advance(1)  # calls of the same moment are before it

    @rule(seconds=st.sampled_from([0, 1, 30, 59, 60, 61, 600, 3590, 3600, 7200]))
    def wait(self, seconds: int) -> None:
        """Time passes; leases end, hours end, windows roll."""
        self.clock.advance(seconds)

    @invariant()
    def books_agree(self) -> None:
        """Every balance is what the model adds up, and the store's own audit is clean."""
        self.model.expire(self.clock.now())
        seen = self.store.read("root", tuple(path[-1].key for path in self.paths.values())).accounts
        for name, path in self.paths.items():
            view = seen.get(path[-1].key)
            found = (view.spent.usd, view.reserved.usd) if view else (0, 0)
            assert found == (self.model.spent(name), self.model.reserved(name)), name
        assert self.store.audit("root") == ()

    def ask(self, verb: str, entry: Entry, *more: object) -> Any:
        """A verb of the store, with the calendar that it asks for."""
        answer = getattr(self.store, verb)(entry, *more)
        if isinstance(answer, StalePeriod):
            periods = {tz: calendar(answer.now_ms, tz) for tz in answer.zones}
            answer = getattr(self.store, verb)(entry._replace(periods=periods), *more)
        return answer

    def entry(self, id: str, place: str, nanos: int) -> Entry:
        """A line for a place."""
        return Entry(id, self.paths[place], Subject("model", ("gpt-4o",)), Amounts(nanos, 0, 1))

    def refuses(self, verb: Any, *arguments: object) -> None:
        """The verb has to end in `HoldClosed`."""
        try:
            verb(*arguments)
        except HoldClosed:
            return
        raise AssertionError("no HoldClosed")


def limit(account: str, window: str) -> Limit:
    """The limit that the model knows too."""
    return Limit(f"0.{LIMITS[account]:09d}/{window}")


class MemoryMachine(LedgerMachine):
    """Balances in this process."""

    def open_store(self, clock: ManualClock) -> Store:
        """An empty store in memory."""
        return MemoryStore(clock)


class ToyMachine(LedgerMachine):
    """Balances that are added up from lines."""

    def open_store(self, clock: ManualClock) -> Store:
        """An empty list."""
        return ToyStore(clock)


class RedisMachine(LedgerMachine):
    """Balances on a server."""

    def open_store(self, clock: ManualClock) -> Store:
        """An empty tree of keys."""
        return open_redis(shared_url(), clock)


class SqliteMachine(LedgerMachine):
    """Balances in a file."""

    def open_store(self, clock: ManualClock) -> Store:
        """An empty file."""
        return open_sqlite(file_url(synchronous="normal"), clock)


TestRedisMachine, TestSqliteMachine = RedisMachine.TestCase, SqliteMachine.TestCase
TestMemoryMachine, TestToyMachine = MemoryMachine.TestCase, ToyMachine.TestCase
# Some lives of fifty steps in each store every time, at other dice each time; with `--full` ten times as many.
TestMemoryMachine.settings = settings(max_examples=scaled(80, 800), stateful_step_count=50, deadline=None)
TestToyMachine.settings = settings(TestMemoryMachine.settings, max_examples=scaled(40, 400))
TestRedisMachine.settings = settings(TestMemoryMachine.settings, max_examples=scaled(20, 200))
TestSqliteMachine.settings = settings(TestRedisMachine.settings)

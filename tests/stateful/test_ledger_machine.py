"""Random lives of holds, against a model of thirty lines that shares no code with a store."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from bursar import HoldClosed, Limit, MemoryStore
from bursar.account import child_account, root_account, session_account
from bursar.amounts import Amounts
from bursar.call import Subject
from bursar.store.base import Entry, Granted
from bursar.testing import ManualClock

LEASE_S = 60
LIMITS = {"root": 1000, "alice": 400, "s": 250, "nested": 120}  # nano-dollars
PATHS = {"root": ("root",), "alice": ("root", "alice"), "s": ("root", "alice", "s"), "bob": ("root", "bob")}
PATHS["nested"] = (*PATHS["s"], "nested")
AMOUNT = st.integers(0, 300)


@dataclass
class Life:
    """What became of one hold, as the model has it."""

    place: str
    held: int
    until: float
    booked: int = 0
    state: str = "reserved"


@dataclass
class Model:
    """Sums over lives: no balances, no counters, nothing to go out of step."""

    lives: dict[str, Life] = field(default_factory=dict)

    def expire(self, now: float) -> None:
        """Book what is left of holds whose lease is over."""
        for life in self.lives.values():
            if life.state == "reserved" and life.until <= now:
                life.state, life.booked = "in_doubt", life.held

    def spent(self, account: str) -> int:
        """All that was booked at or below an account."""
        return sum(life.booked for life in self.lives.values() if account in PATHS[life.place])

    def reserved(self, account: str) -> int:
        """All that is held at or below an account."""
        return sum(
            life.held
            for life in self.lives.values()
            if life.state == "reserved" and account in PATHS[life.place]
        )

    def left(self, place: str) -> int:
        """The least room on the path."""
        return min(LIMITS[a] - self.spent(a) - self.reserved(a) for a in PATHS[place] if a in LIMITS)


class LedgerMachine(RuleBasedStateMachine):
    """Reserve, settle, release, doubt, leases that end, late settles, nested accounts, a moving clock."""

    holds = Bundle("holds")

    @initialize()
    def open(self) -> None:
        """An empty store and an empty model."""
        self.clock = ManualClock(1_750_000_000)
        self.store = MemoryStore(self.clock)
        self.model = Model()
        self.count = 0
        root = root_account("root", (limit("root", "total"),))
        alice = child_account(root, "alice", (limit("alice", "total"),))
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

    @rule(target=holds, place=st.sampled_from(sorted(PATHS)), want=AMOUNT, least=AMOUNT)
    def reserve(self, place: str, want: int, least: int) -> str:
        """Granted exactly when the minimum fits, and then as much as fits."""
        self.count += 1
        id, least = f"h{self.count}", min(want, least)
        self.model.expire(self.clock.now())
        left = self.model.left(place)
        answer = self.store.reserve(self.entry(id, place, want), Amounts(least, 0, 1), LEASE_S * 1000)
        assert isinstance(answer, Granted) == (left >= least)
        if isinstance(answer, Granted):
            assert answer.amounts.usd == min(want, left)
            self.model.lives[id] = Life(place, answer.amounts.usd, self.clock.now() + LEASE_S)
            for account in PATHS[place]:  # the promise: at every admission, for every limit
                if account in LIMITS:
                    assert self.model.spent(account) + self.model.reserved(account) <= LIMITS[account]
        return id

    @rule(id=holds, cost=AMOUNT)
    def settle(self, id: str, cost: int) -> None:
        """Always booked, whatever became of the hold; but only once."""
        self.model.expire(self.clock.now())
        life = self.model.lives.setdefault(id, Life("bob", 0, 0, state="released"))
        place = life.place
        if life.state == "settled" and life.booked != cost:
            self.refuses(self.store.settle, self.entry(id, place, cost))
            return
        held = 0 if life.state == "released" else life.held
        booked = self.store.settle(self.entry(id, place, cost))
        assert booked.repeated == (life.state == "settled")
        assert booked.repeated or booked.overrun_usd == max(0, cost - held)
        life.state, life.booked = "settled", cost

    @rule(id=holds, cost=AMOUNT)
    def doubt(self, id: str, cost: int) -> None:
        """Booked until the truth is known; a settled call has no doubt."""
        self.model.expire(self.clock.now())
        life = self.model.lives.get(id)
        if life is None:
            return
        if life.state == "released":
            self.refuses(self.store.doubt, self.entry(id, life.place, cost))
            return
        self.store.doubt(self.entry(id, life.place, cost))
        if life.state != "settled":
            life.state, life.booked = "in_doubt", cost

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

    @rule(seconds=st.sampled_from([0, 1, 30, 59, 60, 61, 3600]))
    def wait(self, seconds: int) -> None:
        """Time passes; leases end."""
        self.clock.advance(seconds)

    @invariant()
    def books_agree(self) -> None:
        """Every balance is what the model adds up, and the store's own audit is clean."""
        self.model.expire(self.clock.now())
        seen = self.store.read("root").accounts
        for name, path in self.paths.items():
            view = seen.get(path[-1].key)
            found = (view.spent.usd, view.reserved.usd) if view else (0, 0)
            assert found == (self.model.spent(name), self.model.reserved(name)), name
        assert self.store.audit("root") == ()

    def entry(self, id: str, place: str, nanos: int) -> Entry:
        """A line for a place."""
        return Entry(id, self.paths[place], Subject("model", ("gpt-4o",)), Amounts(nanos, 0, 1))

    def refuses(self, verb: object, *arguments: object) -> None:
        """The verb has to end in `HoldClosed`."""
        try:
            verb(*arguments)  # type: ignore[operator]
        except HoldClosed:
            return
        raise AssertionError("no HoldClosed")


def limit(account: str, window: str) -> Limit:
    """The limit that the model knows too."""
    return Limit(f"0.{LIMITS[account]:09d}/{window}")


LedgerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase

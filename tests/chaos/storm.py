"""Kill those who spend, at any moment, and see that nobody spent too much."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bursar import LedgerRolledBack, StoreUnavailable

from . import judge
from .board import ASKING, CLOSED, CLOSING, HOLDING, IDLE, LETTERS, SERVED, Board, Fate, Slot
from .nursery import Nursery
from .outcome import Outcome
from .provider import Bill, Bills
from .rounds import LEASE_S, Round, round_of
from .stores import STORES, open_by
from .worker import Order

AIMS = (ASKING, HOLDING, SERVED, CLOSING, CLOSED, None, None)  # None: wherever it is
STUCK_S = 60
AIMED_S = 0.5  # a thread that does not come by is not waited for


@dataclass
class Victim:
    """One worker.

    Attributes:
        number: of the process that it stands for, over all its replacements.
    """

    pid: int
    order: Order
    number: int


@dataclass
class Storm:
    """One run over one store.

    Args:
        store: a row of `STORES`.
        pairs: of reserve and settle; then it is over.
        kills: SIGKILLs to workers, spread over the pairs.
        crashes: SIGKILLs to the server of the store, likewise.
        calls: that the largest round takes, about.
        broken: a row of `BROKEN`.
        most_s: seconds after which it is over in any case.
    """

    store: str
    seed: int
    pairs: int
    kills: int
    crashes: int = 0
    processes: int = 4
    threads: int = 4
    calls: int = 4_000
    broken: str = ""
    most_s: float = 3_600
    say: Callable[[str], None] = lambda _: None
    found: list[judge.Violation] = field(default_factory=list)

    def run(self) -> Outcome:
        """To the end of it."""
        with tempfile.TemporaryDirectory(prefix="bursar-storm-") as folder:
            self._folder = Path(folder)
            self._dice = random.Random(self.seed)
            self._board = Board(self._folder / "board", self.processes * self.threads)
            self._place = STORES[self.store]()
            self._nursery = Nursery(self._folder / "log")
            self._serial = 0
            self._done: Counter[int] = Counter()  # pairs by process number, of those that are dead
            self._steps: Counter[str] = Counter()
            self._dead: list[Fate] = []
            self._hit = self._killed = self._crashed = 0
            self._began_s = time.monotonic()
            try:
                self._victims = [self._start(number) for number in range(self.processes)]
                return self._shared() if self._place.url else self._private()
            finally:
                self._nursery.close()
                self._place.close()

    # -- what is done to workers ----------------------------------------------------------------

    def _start(self, number: int) -> Victim:
        self._serial += 1
        order = Order(
            str(self._folder),
            self._place.url,
            self.broken,
            self.seed,
            self._serial,
            number * self.threads,
            self.threads,
            self.processes * self.threads,
            number % 4 == 3,
            self.calls,
        )
        for slot in self._slots(order):
            slot.clear()
        return Victim(self._nursery.start(order), order, number)

    def _slots(self, order: Order) -> list[Slot]:
        return self._board.slots[order.place : order.place + order.threads]

    def _kill(self) -> None:
        """One of them, at a step or at a random instant; what it was doing is read afterwards."""
        victim = self._dice.choice(self._victims)
        slots, aim = self._slots(victim.order), self._dice.choice(AIMS)
        if aim is None:
            time.sleep(self._dice.uniform(0, 0.01))
        else:
            deadline = time.monotonic() + AIMED_S
            while time.monotonic() < deadline and all(slot.step != aim for slot in slots):
                time.sleep(0.0001)
        self._nursery.kill(victim.pid)
        status = self._nursery.bury(victim.pid)
        assert status == -9, f"a worker ended by itself: {status}\n{self._log()}"
        fates = [slot.fate() for slot in slots]
        self._killed += 1
        self._hit += any(fate.holds for fate in fates)
        self._steps.update(LETTERS[fate.step] for fate in fates)
        self._done[victim.number] += sum(fate.pairs for fate in fates)
        self._dead += fates
        self._bury(victim, fates)
        self._victims[self._victims.index(victim)] = self._start(victim.number)

    def _bury(self, victim: Victim, fates: list[Fate]) -> None:
        for n, fate in enumerate(fates):
            if fate.round:
                self._fates.setdefault(fate.round, {})[f"{victim.order.serial}-{n}"] = fate

    def _strike(self) -> None:
        """What is due by now, of kills and crashes: evenly over the pairs, and by the dice around that."""
        progress = self._pairs / self.pairs
        if self._killed < self.kills and progress >= self._next_kill:
            self._kill()
            self._next_kill += self._dice.expovariate(self.kills) * 0.97
        if self._crashed < self.crashes and progress >= (self._crashed + 0.5) / self.crashes:
            assert self._place.crash is not None
            self._place.crash()
            self._crashed += 1

    @property
    def _pairs(self) -> int:
        return self._done.total() + sum(slot.fate().pairs for slot in self._board.slots)

    @property
    def _enough(self) -> bool:
        wanted = self._pairs >= self.pairs and self._killed >= self.kills
        return wanted or time.monotonic() - self._began_s > self.most_s

    def _log(self) -> str:
        return (self._folder / "log").read_text()[-20_000:]

    # -- a store that all share -----------------------------------------------------------------

    def _shared(self) -> Outcome:
        """The storm calls the rounds, and judges each."""
        self._fates: dict[int, dict[str, Fate]] = {}
        self._next_kill = self._dice.expovariate(max(self.kills, 1))
        self._store, self._bill = open_by(self._place.url), Bill(self._folder / "bill")
        self._due: deque[tuple[float, Round]] = deque()
        self._spent, number = 0, 0
        while not self._enough:
            number += 1
            round = round_of(self.seed, number, self.calls)
            self._board.round = number
            self._weather(round)
            self._judge(lambda round=round: judge.at_end(self._store, round, self._bill))  # type: ignore[misc]
            self._due.append((time.monotonic() + LEASE_S + 0.1, round))
            self._judge_due(time.monotonic())
            self.say(self._line(number))
        self._board.end()
        for victim in self._victims:
            assert self._nursery.bury(victim.pid) == 0, self._log()
        time.sleep(LEASE_S + 0.1)
        self._judge_due(time.monotonic())
        return self._outcome(self._bill, self._spent, self._bill.read_on().total, number)

    def _weather(self, round: Round) -> None:
        """Strike until everybody who is left has no money any more."""
        checked_s = time.monotonic()
        while True:
            time.sleep(0.004)
            self._strike()
            if time.monotonic() - checked_s > 0.5:
                self._judge(lambda: judge.sample(self._store, round))
                checked_s = time.monotonic()
            fates = [slot.fate() for slot in self._board.slots]
            if all(fate.step == IDLE and fate.round == round.number for fate in fates):
                break
            if self._stuck(fates):
                for victim in self._victims:
                    self._nursery.ask_where(victim.pid)
                time.sleep(1)
                raise AssertionError(f"nothing moves: {fates}\n{self._log()}")
        for victim in self._victims:
            place = victim.order.place
            self._bury(victim, fates[place : place + self.threads])

    def _stuck(self, fates: list[Fate]) -> bool:
        """Nobody did anything for a long time."""
        state = [fate[:8] for fate in fates]
        if state != getattr(self, "_last", None):
            self._last, self._moved_s = state, time.monotonic()
        return time.monotonic() - self._moved_s > STUCK_S

    def _judge_due(self, now_s: float) -> None:
        while self._due and self._due[0][0] <= now_s:
            _, round = self._due.popleft()
            spent: list[int] = []

            def check(round: Round = round, spent: list[int] = spent) -> list[judge.Violation]:
                ledger, found = judge.after_lease(
                    self._store, round, self._bill, self._fates.get(round.number, {})
                )
                spent.append(ledger)
                return found

            self._judge(check)
            self._spent += spent[-1]
            self._fates.pop(round.number, None)
            self._place.forget(round)

    def _judge(self, check: Callable[[], list[judge.Violation]]) -> None:
        """Ask the store, again where it is just down."""
        while True:
            try:
                self.found += check()
            except LedgerRolledBack as error:
                self.found.append(judge.Violation(judge.ROLLED_BACK, self._board.round, str(error)))
                self._store.acknowledge(round_of(self.seed, self._board.round, self.calls).name, "go on")
            except StoreUnavailable:
                time.sleep(0.05)
            else:
                return

    # -- stores that end with their process -----------------------------------------------------

    def _private(self) -> Outcome:
        """Each worker judges its own ledgers while it lives; the bills of all are judged here."""
        self._fates = {}
        self._next_kill = self._dice.expovariate(max(self.kills, 1))
        while not self._enough:
            time.sleep(0.002)
            self._strike()
            self.say(self._line(self._serial))
        self._board.end()
        for victim in self._victims:
            assert self._nursery.bury(victim.pid) == 0, self._log()
        with suppress(FileNotFoundError):
            lines = (self._folder / "findings").read_text().splitlines()
            self.found += [judge.Violation(*json.loads(line)) for line in lines]
        bills = Bills(self._folder.glob("bill-*"))
        for number in bills.ledgers:
            self.found += judge.overspent(round_of(self.seed, number, self.calls), bills)
        ended = dict(map(int, line.split()) for line in (self._folder / "ledgers").read_text().splitlines())
        return self._outcome(bills, sum(ended.values()), sum(map(bills.of, ended)), len(bills.ledgers))

    # -- what is told ---------------------------------------------------------------------------

    def _line(self, number: int) -> str:
        return (
            f"{self.store}: {self._pairs:,} pairs, {self._killed} kills, {self._hit} in an open hold,"
            f" round {number}, {len(self.found)} violations, {time.monotonic() - self._began_s:.0f} s"
        )

    def _outcome(self, bill: Bill | Bills, ledger: int, judged: int, rounds: int) -> Outcome:
        living = [slot.fate() for slot in self._board.slots]
        for victim in self._victims:
            place = victim.order.place
            self._done[victim.number] += sum(fate.pairs for fate in living[place : place + self.threads])
        all_fates = self._dead + living
        return Outcome(
            store=self.store,
            seed=self.seed,
            pairs=self._done.total(),
            kills=self._killed,
            kills_in_a_hold=self._hit,
            crashes=self._crashed,
            rounds=rounds,
            refusals=sum(fate.refused for fate in all_fates),
            served=bill.calls,
            bill=bill.total,
            judged=judged,
            ledger=ledger,
            slowest_reserve_ms=max(fate.slowest_reserve_ns for fate in all_fates) / 1e6,
            slowest_settle_ms=max(fate.slowest_settle_ns for fate in all_fates) / 1e6,
            per_process=[self._done[number] for number in range(self.processes)],
            steps=dict(sorted(self._steps.items())),
            seconds=round(time.monotonic() - self._began_s, 1),
            violations=list(self.found),
        )

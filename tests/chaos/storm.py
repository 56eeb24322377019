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
from functools import partial
from pathlib import Path
from typing import TypeVar

from bursar import LedgerRolledBack, StoreUnavailable

from . import judge
from .board import ASKING, CLOSED, CLOSING, HOLDING, IDLE, LETTERS, SERVED, Fate
from .crew import Crew
from .outcome import Outcome
from .provider import Bill, Bills
from .rounds import LEASE_S, Round, round_of
from .stores import STORES, open_by

T = TypeVar("T")

AIMS = (ASKING, HOLDING, SERVED, CLOSING, CLOSED, None, None)  # None: wherever it is
AIMED_S = 0.5  # a thread that does not come by is not waited for
STUCK_S = 60


@dataclass
class Storm:
    """One run over one store. The dice are its seed's; who is scheduled when is the system's own affair.

    Args:
        store: a row of `STORES`.
        pairs: of reserve and settle; then it is over.
        kills: SIGKILLs to workers, spread over the pairs.
        hits: how many of them have to find a hold open; there are more kills until they do.
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
    hits: int = 0
    most_s: float = 3_600
    say: Callable[[str], None] = lambda _: None
    found: list[judge.Violation] = field(default_factory=list)

    def run(self) -> Outcome:
        """To the end of it."""
        self._dice = random.Random(self.seed)
        self._done: Counter[int] = Counter()  # pairs of those that are dead, by the number of their process
        self._fates: dict[int, dict[str, Fate]] = {}  # how sessions ended, by round
        self._dead: list[Fate] = []
        self._hit = self._killed = self._crashed = 0
        self._next_kill = 0.0
        self._began_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bursar-storm-") as folder:
            self._folder, self._place = Path(folder), STORES[self.store]()
            try:
                self._crew = Crew(
                    self._folder, self._place.url, self.seed, self.processes, self.threads, self.calls,
                    self.broken,
                )  # fmt: skip
                try:
                    return self._shared() if self._place.url else self._private()
                finally:
                    self._crew.close()
            finally:
                self._place.close()

    # -- what is done to workers ----------------------------------------------------------------

    def _strike(self) -> None:
        """What is due by now, of kills and crashes: evenly over all of it, and by the dice around that."""
        passed_s = time.monotonic() - self._began_s
        progress = max(self._pairs / self.pairs, passed_s / self.most_s)
        few = self._killed < self.kills or self._hit < self.hits
        if few and progress >= self._next_kill:
            self._kill()
            self._next_kill += self._dice.expovariate(self.kills) * 0.97
        if (
            self._place.crash
            and self._crashed < self.crashes
            and progress >= (self._crashed + 0.5) / self.crashes
        ):
            self._place.crash()
            self._crashed += 1

    def _kill(self) -> None:
        """One of them, at a step or at a random instant; what it was doing is read afterwards."""
        victim, aim = self._dice.choice(self._crew.workers), self._dice.choice(AIMS)
        slots = self._crew.slots(victim)
        if aim is None:
            time.sleep(self._dice.uniform(0, 0.01))
        else:
            deadline = time.monotonic() + AIMED_S
            while time.monotonic() < deadline and all(slot.step != aim for slot in slots):
                time.sleep(0.0001)
        fates = self._crew.kill(victim)
        self._killed += 1
        self._hit += any(fate.holds for fate in fates.values())
        self._done[victim.number] += sum(fate.pairs for fate in fates.values())
        self._dead += fates.values()
        self._remember(fates)

    def _remember(self, fates: dict[str, Fate]) -> None:
        for name, fate in fates.items():
            self._fates.setdefault(fate.round, {})[name] = fate

    @property
    def _pairs(self) -> int:
        return self._done.total() + sum(slot.fate().pairs for slot in self._crew.board.slots)

    @property
    def _enough(self) -> bool:
        wanted = self._pairs >= self.pairs and self._killed >= self.kills and self._hit >= self.hits
        return wanted or time.monotonic() - self._began_s > self.most_s

    # -- a store that all share -----------------------------------------------------------------

    def _shared(self) -> Outcome:
        """The storm calls the rounds, and judges each."""
        self._store, self._bill = open_by(self._place.url), Bill(self._folder / "bill")
        due: deque[tuple[float, Round]] = deque()
        spent, number = 0, 0

        def judge_due() -> None:
            nonlocal spent
            while due and due[0][0] <= time.monotonic():
                spent += self._judged(due.popleft()[1])

        while not self._enough:
            number += 1
            round = round_of(self.seed, number, self.calls)
            self._crew.board.current = number
            self._weather(round)
            self.found += self._asked(partial(judge.at_end, self._store, round, self._bill))
            due.append((time.monotonic() + LEASE_S + 0.1, round))
            judge_due()
            self.say(self._line(number))
        self._crew.end()
        time.sleep(LEASE_S + 0.2)
        judge_due()
        return self._outcome(self._bill, spent, self._bill.read_on().total, number)

    def _weather(self, round: Round) -> None:
        """Strike until everybody who is left has no money any more."""
        looked_s = moved_s = time.monotonic()
        before: list[Fate] = []
        while True:
            time.sleep(0.004)
            self._strike()
            now_s = time.monotonic()
            if now_s - looked_s > 0.5:
                self.found += self._asked(partial(judge.sample, self._store, round))
                looked_s = now_s
            fates = [slot.fate() for slot in self._crew.board.slots]
            if all(fate.step == IDLE and fate.round == round.number for fate in fates):
                break
            if [fate[:8] for fate in fates] != before:
                before, moved_s = [fate[:8] for fate in fates], now_s
            if now_s - moved_s > STUCK_S:
                self._crew.ask_where()
                time.sleep(1)
                raise AssertionError(f"nothing moves: {fates}\n{self._crew.log}")
        for worker in self._crew.workers:
            self._remember(self._crew.fates(worker))

    def _judged(self, round: Round) -> int:
        """A round whose leases are over; what its ledger has."""
        fates = self._fates.pop(round.number, {})
        spent, found = self._asked(partial(judge.after_lease, self._store, round, self._bill, fates))
        self.found += found
        self._place.forget(round)
        return spent

    def _asked(self, check: Callable[[], T]) -> T:
        """What the store says, when it is not just down."""
        while True:
            try:
                return check()
            except LedgerRolledBack as error:
                number = self._crew.board.current
                self.found.append(judge.Violation(judge.ROLLED_BACK, number, str(error)))
                self._store.acknowledge(round_of(self.seed, number, self.calls).name, "go on")
            except StoreUnavailable:
                time.sleep(0.05)

    # -- stores that end with their process -----------------------------------------------------

    def _private(self) -> Outcome:
        """Each worker judges its own ledgers while it lives; the bills of all are judged here."""
        while not self._enough:
            time.sleep(0.004)
            self._strike()
            self.say(self._line(len(self._fates)))
        self._crew.end()
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
        living = [slot.fate() for slot in self._crew.board.slots]
        for worker in self._crew.workers:
            self._done[worker.number] += sum(slot.fate().pairs for slot in self._crew.slots(worker))
        steps = Counter(LETTERS[fate.step] for fate in self._dead)
        return Outcome(
            store=self.store,
            seed=self.seed,
            pairs=self._done.total(),
            kills=self._killed,
            kills_in_a_hold=self._hit,
            crashes=self._crashed,
            rounds=rounds,
            refusals=sum(fate.refused for fate in self._dead + living),
            served=bill.calls,
            bill=bill.total,
            judged=judged,
            ledger=ledger,
            slowest_reserve_ms=max(fate.slowest_reserve_ns for fate in self._dead + living) / 1e6,
            slowest_settle_ms=max(fate.slowest_settle_ns for fate in self._dead + living) / 1e6,
            per_process=[self._done[number] for number in range(self.processes)],
            steps=dict(sorted(steps.items())),
            seconds=round(time.monotonic() - self._began_s, 1),
            violations=list(self.found),
        )

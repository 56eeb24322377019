"""Records of holds and charges by id: leases, outcomes, folding, audit."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, cast

from ...values.account import root_key
from ...values.amounts import NOTHING, Amounts
from ..entry import Entry
from ..results import State
from ..views import Finding
from .balances import Balance, Touched, add_up, book
from .breaker import CircuitBreaker
from .history import Days
from .paths import CallPath
from .plan import Plan

_KEPT = 10_000  # final records stay for late and repeated verbs, then fold into their accounts
_BATCH = 256  # are folded at once


class Outcome(NamedTuple):
    """Where a record stands.

    Attributes:
        booked: what was booked for it.
        tally: which counters were added up.
        at_ms: when.
        first_ms: when something was booked for it first, whose day counts it; 0 before.
    """

    state: State
    booked: Amounts
    tally: Mapping[str, int]
    at_ms: int
    first_ms: int = 0


RESERVED = Outcome("reserved", NOTHING, {}, 0)
RELEASED = Outcome("released", NOTHING, {}, 0)


class Record:
    """One hold or charge, for as long as its id is remembered.

    Attributes:
        entry: as it was reserved or booked.
        call_path: where it counts; None for a release that came first.
        held: what was set aside.
        minimum: what would have sufficed.
        floor: what was not to be passed while others held the rest; None where nobody wrote it down.
        touched: the counts of windows that it takes part in.
        breaker: the breaker that let it through.
        call: its fingerprint, and when the breaker counted it; None where it did not.
        lease_ms: when its hold ends.
        epoch: the number of resets before it.
        tz: the time zone of its budget, whose day counts it, too.
        outcome: where it stands.
    """

    __slots__ = (
        "breaker",
        "call",
        "call_path",
        "entry",
        "epoch",
        "floor",
        "held",
        "lease_ms",
        "minimum",
        "outcome",
        "touched",
        "tz",
    )

    def __init__(
        self,
        entry: Entry,
        call_path: CallPath | None,
        outcome: Outcome,
        epoch: int,
        held: Amounts = NOTHING,
        minimum: Amounts = NOTHING,
        touched: tuple[Touched, ...] = (),
        breaker: CircuitBreaker | None = None,
        lease_ms: int = 0,
        floor: Amounts | None = None,
        tz: str = "UTC",
        call: tuple[str, int] | None = None,
    ) -> None:
        self.call = call
        self.entry = entry
        self.call_path = call_path
        self.outcome = outcome
        self.epoch = epoch
        self.held = held
        self.minimum = minimum
        self.touched = touched
        self.breaker = breaker
        self.lease_ms = lease_ms
        self.floor = floor
        self.tz = tz

    def is_of(self, entry: Entry, minimum: Amounts, floor: Amounts) -> bool:
        """True for the very reserve that made it."""
        mine = self.entry
        return self.floor in (None, floor) and (
            mine.subject,
            mine.amounts,
            mine.path[-1].key,
            self.minimum,
        ) == (
            entry.subject,
            entry.amounts,
            entry.path[-1].key,
            minimum,
        )

    def accounts(self) -> Iterator[tuple[Balance, bool]]:
        """Where it counts, and whether that is still in the epoch that it was made in."""
        for balance in self.call_path.open_path.accounts if self.call_path is not None else ():
            yield balance, balance.epoch <= self.epoch


class Records:
    """The records that are at hand, the leases of the open ones, and the journal.

    Args:
        commit: carries out a plan.
        days: count what is booked.

    Attributes:
        epoch: how many resets there were.
    """

    def __init__(self, commit: Callable[[Plan], None], days: Days) -> None:
        self._commit = commit
        self.days = days
        self._by_id: dict[str, Record] = {}
        self.get = self._by_id.get
        self.epoch = 0
        self._leases: list[tuple[int, str]] = []  # a heap; entries of closed or extended holds are stale
        self._final: deque[str] = deque()
        self._journal: deque[tuple[int, str, str, str]] = deque(maxlen=1000)

    def add(self, plan: Plan, record: Record, *, final: bool = False) -> None:
        """Keep a record; an open one until its lease ends."""
        id = record.entry.id
        plan.puts.append((self._by_id, id, record))
        if final:
            plan.call(self._final.append, id)
        elif record.lease_ms:
            plan.calls.append((heapq.heappush, (self._leases, (record.lease_ms, id))))

    def lease(self, plan: Plan, record: Record, until_ms: int) -> None:
        """Let the lease of an open hold end at another time."""
        plan.set(record, "lease_ms", until_ms)
        plan.call(heapq.heappush, self._leases, (until_ms, record.entry.id))

    def next_lease_ms(self) -> int | None:
        """When the first lease of an open hold ends; None where nothing is open."""
        leases = self._leases
        while leases:
            lease_ms, id = leases[0]
            record = self.get(id)
            if record is not None and record.outcome.state == "reserved" and record.lease_ms == lease_ms:
                return lease_ms
            heapq.heappop(leases)
        return None

    def close(self, plan: Plan, record: Record, outcome: Outcome, now_ms: int) -> None:
        """Replace what a record holds, or has booked before, by what it books now."""
        before, call_path = (
            record.outcome,
            cast("CallPath", record.call_path),
        )  # only a release that came first has none
        state, spent, tally, at_ms, first_ms = outcome
        booked, held, was = spent, NOTHING, before.state
        if was == "reserved":
            held = record.held
        elif before is not RELEASED:  # something was booked for it already
            spent = spent.minus(before.booked)
            tally = {n: tally.get(n, 0) - before.tally.get(n, 0) for n in {**tally, **before.tally}}
        in_doubt = (state == "in_doubt") - (was == "in_doubt")
        counted = {**tally, "in_doubt": in_doubt} if in_doubt else tally
        if counted or spent != NOTHING:
            self.days.book(plan, call_path, spent, counted, first_ms or now_ms, record.tz)
        counts = call_path.counts or call_path.open(plan)
        if record.epoch == self.epoch:
            book(plan, counts, spent, held)
            for balance in call_path.open_path.accounts:
                add_up(plan, balance, tally)
        else:
            for place, (balance, current) in enumerate(record.accounts()):
                book(plan, counts[2 * place : 2 * place + 2], spent if current else NOTHING, held)
                add_up(plan, balance, tally if current else {})
                if not current:
                    detail = f"{record.entry.id}: {booked}"
                    self.log(plan, now_ms, balance.key, state, detail)
                    if not balance.session:
                        self.days.part(plan, balance, spent)
        for part, unit, place in record.touched:
            current = call_path.open_path.accounts[place].epoch <= record.epoch
            part.move(
                plan,
                reserved=-held[unit],
                at_ms=at_ms,
                spent=booked[unit] if current else 0,
                was_ms=before.at_ms,
                was=before.booked[unit] if current else 0,
            )
        if record.breaker is not None:
            record.breaker.over(plan, record.entry.id, answered=state == "settled")
            if record.call is not None and state == "released":
                record.breaker.forget(plan, *record.call)
        plan.calls.append((setattr, (record, "outcome", outcome)))
        plan.calls.append((self._final.append, (record.entry.id,)))

    def sweep(self, now_ms: int) -> None:
        """Book the holds whose lease is over: nobody is left who knows what they cost."""
        leases = self._leases
        while leases and leases[0][0] <= now_ms:
            lease_ms, id = leases[0]
            record = self.get(id)
            if record is not None and record.outcome.state == "reserved" and record.lease_ms == lease_ms:
                plan = Plan()
                worst = Outcome("in_doubt", record.held, {"estimated": 1}, lease_ms, lease_ms)
                self.close(plan, record, worst, now_ms)
                self._commit(plan)
            heapq.heappop(leases)
        if len(self._final) >= _KEPT + _BATCH:
            self._fold_the_oldest()

    def fold(self, ids: Iterable[str]) -> None:
        """Forget final records; what they booked stays in their accounts."""
        plan, alike = Plan(), dict[tuple[CallPath | None, int], list[Amounts]]()
        for id in ids:
            record = self.get(id)
            if record is not None:
                plan.drop(self._by_id, id)
                alike.setdefault((record.call_path, record.epoch), []).append(record.outcome.booked)
        folded: dict[Balance, Amounts] = {}
        for (call_path, epoch), booked in alike.items():
            booked_usd, tokens, calls = map(sum, zip(*booked, strict=True))
            for balance in call_path.open_path.accounts if call_path is not None else ():
                if balance.epoch <= epoch:
                    folded[balance] = folded.get(balance, balance.folded).plus(
                        Amounts(booked_usd, tokens, calls)
                    )
        for balance, sums in folded.items():
            plan.set(balance, "folded", sums)
        self._commit(plan)

    def open_holds(self, root: str, after: str, limit: int) -> tuple[list[Record], str]:
        """Some open holds of a tree, by the end of their leases, and what the next page comes after."""
        until_ms, _, id = after.partition(" ")
        place = (int(until_ms), id) if after else (0, "")
        held = [record for record in self._by_id.values() if record.outcome.state == "reserved"]
        lines = (
            ((record.lease_ms, record.entry.id), record)
            for record in held
            if root_key(record.entry.path[0].key) == root
        )
        found = heapq.nsmallest(limit + 1, (line for line in lines if line[0] > place))
        records = [record for _, record in found[:limit]]
        return records, "{} {}".format(*found[limit - 1][0]) if len(found) > limit else ""

    def _fold_the_oldest(self) -> None:
        self.fold(dict.fromkeys(islice(self._final, _BATCH)))  # in doubt first, then settled: twice
        for _ in range(_BATCH):
            self._final.popleft()
        if len(self._leases) > 2 * len(self._by_id):  # most are of holds that are long closed
            kept = self._by_id.items()
            self._leases = [(r.lease_ms, id) for id, r in kept if r.outcome.state == "reserved"]
            heapq.heapify(self._leases)

    def audit(self, balances: Sequence[Balance]) -> tuple[Finding, ...]:
        """What the balances of one tree have that their records do not add up to."""
        spent = {balance: balance.folded for balance in balances}  # another one may have had the same key
        reserved = dict.fromkeys(spent, NOTHING)
        for record in self._by_id.values():
            for balance, current in record.accounts():
                if balance not in spent:
                    continue
                if record.outcome.state == "reserved":
                    reserved[balance] = reserved[balance].plus(record.held)
                elif current:
                    spent[balance] = spent[balance].plus(record.outcome.booked)
        findings = []
        for balance in balances:
            key, total, charged = balance.key, balance.total, spent[balance]
            if total.spent != charged:
                findings.append(Finding(key, "spent", total.spent, charged))
            if total.reserved != reserved[balance]:
                findings.append(Finding(key, "reserved", total.reserved, reserved[balance]))
        return tuple(findings)

    def log(self, plan: Plan, now_ms: int, key: str, what: str, detail: str) -> None:
        """A line in the journal."""
        plan.call(self._journal.append, (now_ms, key, what, detail))

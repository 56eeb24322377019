"""Holds and charges by their ids, for as long as somebody may still ask."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from ..amounts import NOTHING, Amounts
from .base import Finding
from .books import Balance, Outcome, Record, move
from .plan import Plan

_KEPT = 10_000  # final records stay for late and repeated verbs, then fold into their accounts
_BATCH = 256  # are folded at once


class Records:
    """All records of a memory store, the leases of the open ones, and the journal.

    Args:
        commit: carries out a plan.
    """

    def __init__(self, commit: Callable[[Plan], None]) -> None:
        self._commit = commit
        self._by_id: dict[str, Record] = {}
        self.get = self._by_id.get
        self._leases: list[tuple[int, str]] = []  # a heap; entries of closed or extended holds are stale
        self._final: deque[str] = deque()
        self._journal: deque[tuple[int, str, str, str]] = deque(maxlen=1000)

    def add(self, plan: Plan, record: Record, *, final: bool = False) -> None:
        """Keep a record; an open one until its lease ends."""
        plan.put(self._by_id, record.id, record)
        if final:
            plan.call(self._final.append, record.id)
        elif record.lease_ms:
            plan.call(heapq.heappush, self._leases, (record.lease_ms, record.id))

    def lease(self, plan: Plan, record: Record, until_ms: int) -> None:
        """Let the lease of an open hold end at another time."""
        plan.set(record, "lease_ms", until_ms)
        plan.call(heapq.heappush, self._leases, (until_ms, record.id))

    def close(self, plan: Plan, record: Record, outcome: Outcome, now_ms: int) -> None:
        """Replace what a record holds, or has booked before, by what it books now."""
        before = record.outcome
        given = record.held if before.state == "reserved" else NOTHING
        spent, tally = outcome.booked, outcome.tally
        if before.booked is not NOTHING:
            spent = spent.minus(before.booked)
        if before.tally:
            tally = {n: tally.get(n, 0) - before.tally.get(n, 0) for n in {**tally, **before.tally}}
        for balance, epoch in zip(record.accounts, record.epochs, strict=True):
            if balance.epoch == epoch:
                move(plan, balance, record.entry.subject, tally, spent, given=given)
            else:
                move(plan, balance, record.entry.subject, {}, NOTHING, given=given)
                self.log(plan, now_ms, balance.key, outcome.state, f"{record.id}: {outcome.booked}")
        for part, unit, place in record.touched:
            current = record.accounts[place].epoch == record.epochs[place]
            part.move(
                plan,
                reserved=-given[unit],
                at_ms=outcome.at_ms,
                spent=outcome.booked[unit] if current else 0,
                was_ms=before.at_ms,
                was=before.booked[unit] if current else 0,
            )
        if record.fuse is not None:
            record.fuse.over(plan, record.id, answered=outcome.state == "settled")
        plan.set(record, "outcome", outcome)
        plan.call(self._final.append, record.id)

    def sweep(self, now_ms: int) -> None:
        """Book the holds whose lease is over: nobody is left who knows what they cost."""
        while self._leases and self._leases[0][0] <= now_ms:
            lease_ms, id = self._leases[0]
            record = self.get(id)
            if record is not None and record.outcome.state == "reserved" and record.lease_ms == lease_ms:
                plan = Plan()
                self.close(plan, record, Outcome("in_doubt", record.held, {"estimated": 1}, lease_ms), now_ms)
                self._commit(plan)
            heapq.heappop(self._leases)
        if len(self._final) >= _KEPT + _BATCH:
            self._fold()

    def _fold(self) -> None:
        """Forget the oldest final records; what they booked stays in their accounts."""
        plan = Plan()
        folded: dict[Balance, Amounts] = {}
        for id in dict.fromkeys(islice(self._final, _BATCH)):  # in doubt first, then settled: twice
            record = self.get(id)
            if record is not None:
                plan.drop(self._by_id, id)
                for balance, current in record.current():
                    if current:
                        folded[balance] = folded.get(balance, balance.folded).plus(record.outcome.booked)
        for balance, amounts in folded.items():
            plan.set(balance, "folded", amounts)
        self._commit(plan)
        for _ in range(_BATCH):
            self._final.popleft()
        if len(self._leases) > 2 * len(self._by_id):  # most are of holds that are long closed
            self._leases = [(r.lease_ms, r.id) for r in self._by_id.values() if r.outcome.state == "reserved"]
            heapq.heapify(self._leases)

    def audit(self, balances: Sequence[Balance]) -> tuple[Finding, ...]:
        """What the balances of one tree have that their records do not add up to."""
        spent = {balance.key: balance.folded for balance in balances}
        reserved = dict.fromkeys(spent, NOTHING)
        for record in self._by_id.values():
            for balance, current in record.current():
                if balance.key not in spent:
                    continue
                if record.outcome.state == "reserved":
                    reserved[balance.key] = reserved[balance.key].plus(record.held)
                elif current:
                    spent[balance.key] = spent[balance.key].plus(record.outcome.booked)
        findings = []
        for balance in balances:
            key, sums, charged = balance.key, balance.sums, spent[balance.key]
            if sums.spent != charged:
                findings.append(Finding(key, "spent", sums.spent, charged))
            if sums.reserved != reserved[key]:
                findings.append(Finding(key, "reserved", sums.reserved, reserved[key]))
        return tuple(findings)

    def log(self, plan: Plan, now_ms: int, key: str, what: str, detail: str) -> None:
        """A line in the journal."""
        plan.call(self._journal.append, (now_ms, key, what, detail))

"""Balances in this process: the default store."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..account import parent_key, root_key, shown_key
from ..amounts import NOTHING, Amounts
from ..call import Subject
from ..clock import Clock, SystemClock
from ..errors import HoldClosed, LimitConflict, StoreUnavailable
from ..limits import Limit
from ..process import OneProcess, forks
from .base import (
    AccountView,
    Booked,
    Entry,
    Finding,
    Granted,
    LimitView,
    Path,
    Refused,
    Snapshot,
    State,
    Store,
)
from .books import Balance, Outcome, Plan, Record, Rule, change, rule

_INHERITED = (
    "this budget is in the memory of the process that was forked, and what it has left is not there twice:"
    " open a Budget in the child, or use a store that processes share"
)
_KEPT = 10_000  # final records stay for late and repeated verbs, then fold into their accounts

P = ParamSpec("P")
R = TypeVar("R")


def _verb(
    method: Callable[Concatenate[MemoryStore, int, P], R],
) -> Callable[Concatenate[MemoryStore, P], R]:
    """One atomic step: alone, after what an earlier step left undone, at one moment."""

    def step(self: MemoryStore, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._forks != forks():  # before the lock: a thread of the parent may have held it
            raise StoreUnavailable(_INHERITED)
        # A flag of our own could be left standing by an interrupt; the lock knows its owner.
        if self._lock._is_owned():  # type: ignore[attr-defined]
            raise StoreUnavailable("the memory store was called from within one of its own steps")
        with self._lock:
            if self._plan is not None:
                self._commit(self._plan)
            now_ms = int(self._clock.now() * 1000)
            now_ms = max(now_ms, self._now_ms)
            self._now_ms = now_ms
            if self._leases and self._leases[0][0] <= now_ms:
                self._expire(now_ms)
            if len(self._final) > _KEPT:
                self._fold()
            return method(self, now_ms, *args, **kwargs)

    update_wrapper(step, method)
    return step


class MemoryStore(OneProcess, Store):
    """Balances that live and die with this process; safe for threads and tasks.

    Args:
        clock: tells the time; the machine's own clock by default. A clock that runs
            backwards stands still here.
    """

    durability = "memory"

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._forks = forks()
        self._plan: Plan | None = None
        self._now_ms = 0
        self._accounts: dict[str, Balance] = {}
        self._records: dict[str, Record] = {}
        self._leases: list[tuple[int, str]] = []  # a heap; entries of closed or extended holds are stale
        self._final: deque[str] = deque()
        self._journal: deque[tuple[int, str, str, str]] = deque(maxlen=1000)
        self._limits_changed = 1

    @_verb
    def reserve(self, now_ms: int, entry: Entry, minimum: Amounts, lease_ms: int) -> Granted | Refused:
        origin = (entry.subject, entry.amounts, minimum, entry.path)
        known = self._records.get(entry.id)
        if known is not None:
            if known.origin != origin:
                raise HoldClosed(f"the id {entry.id!r:.80} was used before, for another call")
            return Granted(known.held, known.outcome.state, True, now_ms)
        accounts = self._open(entry.path, now_ms)
        granted = self._grant(accounts, entry, minimum)
        plan = Plan()
        if isinstance(granted, Refused):
            for balance in accounts:
                plan.put(balance.tally, "refusals", balance.tally.get("refusals", 0) + 1)
            self._commit(plan)
            return granted
        more = change(taken=granted)
        for balance in accounts:
            plan.move(balance, entry.subject, more, {})
        record = Record(entry, accounts, granted, "reserved", now_ms + lease_ms, origin)
        plan.put(self._records, entry.id, record)
        plan.call(heapq.heappush, self._leases, (record.lease_ms, entry.id))
        self._commit(plan)
        return Granted(granted, "reserved", False, now_ms)

    @_verb
    def settle(self, now_ms: int, entry: Entry) -> Booked:
        return self._conclude(entry, "settled", now_ms)

    @_verb
    def book(self, now_ms: int, entry: Entry) -> Booked:
        return self._conclude(entry, "settled", now_ms, unheld=True)

    @_verb
    def doubt(self, now_ms: int, entry: Entry) -> Booked:
        return self._conclude(entry, "in_doubt", now_ms)

    @_verb
    def release(self, now_ms: int, id: str, path: Path, tally: Mapping[str, int]) -> None:
        plan = Plan()
        record = self._records.get(id)
        if record is None:
            record = Record(Entry(id, path, Subject("model"), NOTHING, {}), (), NOTHING, "released")
            plan.put(self._records, id, record)
            plan.call(self._final.append, id)
        elif record.outcome.state == "released":
            return
        elif record.outcome.state == "reserved":
            self._close(plan, record, Outcome("released", NOTHING, tally), now_ms)
        else:
            state = record.outcome.state
            raise HoldClosed(f"the hold {id!r:.80} is {state} already, and cannot be released")
        self._commit(plan)

    @_verb
    def extend(self, now_ms: int, id: str, path: Path, lease_ms: int) -> None:
        record = self._records.get(id)
        if record is None or record.outcome.state != "reserved":
            raise HoldClosed(f"the hold {id!r:.80} is not open, so that its lease cannot be extended")
        plan = Plan()
        plan.set(record, "lease_ms", now_ms + lease_ms)
        plan.call(heapq.heappush, self._leases, (now_ms + lease_ms, id))
        self._commit(plan)

    @_verb
    def set_limit(self, now_ms: int, path: Path, limit: Limit) -> None:
        plan, balance = self._administer(path, now_ms, "set_limit", str(limit))
        declared, _ = balance.limits.get(limit.key, (None, None))
        self._limit(plan, balance, (declared, limit), limit.key)
        self._commit(plan)

    @_verb
    def drop_limit(self, now_ms: int, path: Path, limit: Limit) -> None:
        plan, balance = self._administer(path, now_ms, "drop_limit", str(limit))
        declared, _ = balance.limits.get(limit.key, (None, None))
        self._limit(plan, balance, (declared, None), limit.key)
        self._commit(plan)

    @_verb
    def trip(self, now_ms: int, path: Path, reason: str) -> None:
        plan, balance = self._administer(path, now_ms, "trip", reason)
        plan.set(balance, "tripped", reason)
        self._commit(plan)

    @_verb
    def untrip(self, now_ms: int, path: Path, reason: str) -> None:
        plan, balance = self._administer(path, now_ms, "untrip", reason)
        plan.set(balance, "tripped", None)
        self._commit(plan)

    @_verb
    def reset(self, now_ms: int, path: Path, reason: str) -> None:
        plan, balance = self._administer(path, now_ms, "reset", reason)
        plan.set(balance, "epoch", balance.epoch + 1)
        plan.set(balance, "sums", change(taken=balance.sums.reserved))
        plan.set(
            balance, "subjects", {s: change(taken=sums.reserved) for s, sums in balance.subjects.items()}
        )
        plan.set(balance, "folded", NOTHING)
        plan.set(balance, "tally", {})
        self._commit(plan)

    @_verb
    def acknowledge(self, now_ms: int, root: str, reason: str) -> None:
        plan = Plan()
        self._log(plan, now_ms, root, "acknowledge", reason)
        self._commit(plan)

    @_verb
    def read(self, now_ms: int, root: str, keys: tuple[str, ...] | None = None) -> Snapshot:
        if keys is None:
            wanted = [balance for key, balance in self._accounts.items() if root_key(key) == root]
        else:
            wanted = [self._accounts[key] for key in keys if key in self._accounts]
        return Snapshot(now_ms, {balance.key: self._view(balance) for balance in wanted})

    @_verb
    def audit(self, now_ms: int, root: str) -> tuple[Finding, ...]:
        spent = {key: balance.folded for key, balance in self._accounts.items() if root_key(key) == root}
        reserved = dict.fromkeys(spent, NOTHING)
        for record in self._records.values():
            for balance, current in record.current():
                if balance.key not in spent:
                    continue
                if record.outcome.state == "reserved":
                    reserved[balance.key] = reserved[balance.key].plus(record.held)
                elif current:
                    spent[balance.key] = spent[balance.key].plus(record.outcome.booked)
        findings = []
        for key, charged in spent.items():
            sums = self._accounts[key].sums
            if sums.spent != charged:
                findings.append(Finding(key, "spent", sums.spent, charged))
            if sums.reserved != reserved[key]:
                findings.append(Finding(key, "reserved", sums.reserved, reserved[key]))
        return tuple(findings)

    async def acall(self, verb: str, *arguments: Any) -> Any:
        """Nothing here waits, so the loop may as well do it itself."""
        return getattr(self, verb)(*arguments)

    # -- within a step ------------------------------------------------------------------

    def _commit(self, plan: Plan) -> None:
        self._plan = plan
        for write, arguments in plan.writes:
            write(*arguments)
        self._plan = None

    def _open(self, path: Path, now_ms: int) -> tuple[Balance, ...]:
        """The accounts of a path, created where new, with what their owners declare."""
        plan = Plan()
        accounts = []
        for account in path:
            balance = self._accounts.get(account.key)
            if balance is None:
                balance = Balance(account.key, now_ms)
                plan.put(self._accounts, account.key, balance)
            accounts.append(balance)
            if account.limits is not balance.declared and account.limits:
                self._declare(plan, balance, account.limits)
        if plan.writes:
            self._commit(plan)
        return tuple(accounts)

    def _declare(self, plan: Plan, balance: Balance, limits: tuple[Limit, ...]) -> None:
        """The first declaration counts; a later one has to say the same, or what is in force."""
        wanted = {limit.key: limit for limit in limits}
        known = {key for key, (declared, _) in balance.limits.items() if declared is not None}
        for key, limit in wanted.items():
            declared, effective = balance.limits.get(key, (None, None))
            if key in known:
                agrees = limit in (declared, effective)
            else:
                agrees = not known and effective in (None, limit)
            if not agrees:
                raise LimitConflict(_conflict(balance, limits))
            if key not in known:
                self._limit(plan, balance, (limit, limit), key)
        if not known <= wanted.keys():
            raise LimitConflict(_conflict(balance, limits))
        plan.set(balance, "declared", limits)

    def _limit(
        self, plan: Plan, balance: Balance, slot: tuple[Limit | None, Limit | None], key: tuple[str, ...]
    ) -> None:
        if slot == (None, None):
            plan.drop(balance.limits, key)
        else:
            plan.put(balance.limits, key, slot)
        plan.set(self, "_limits_changed", self._limits_changed + 1)

    def _rules(self, accounts: Sequence[Balance]) -> list[Rule]:
        """The limits in force along a path, the leaf's first.

        A limit of a budget over the window ``session`` holds for each session right below it.
        """
        changed, rules = accounts[-1].rules
        if changed == self._limits_changed:
            return rules
        rules = []
        for_sessions: list[Limit] = []
        for balance in accounts:
            for limit in balance.in_force():
                if limit.window == "session" and not balance.session:
                    for_sessions.append(limit)
                else:
                    rules.append(rule(balance, limit))
            if balance.session:
                rules += [rule(balance, limit) for limit in for_sessions]
                for_sessions = []
        rules.reverse()
        accounts[-1].rules = (self._limits_changed, rules)
        return rules

    def _grant(self, accounts: tuple[Balance, ...], entry: Entry, minimum: Amounts) -> Amounts | Refused:
        for balance in accounts:
            if balance.tripped is not None:
                return Refused(balance.key, tripped=balance.tripped)
        granted = list(entry.amounts)
        for check in self._rules(accounts):
            balance, limit, unit, plain = check
            if not plain and not limit.covers(entry.subject):
                continue
            spent, reserved = check.used()
            left = limit.amount - spent - reserved
            if left < minimum[unit]:
                return Refused(balance.key, limit, spent, reserved, entry.amounts[unit])
            granted[unit] = min(granted[unit], left)
        return Amounts(*granted)

    def _conclude(self, entry: Entry, state: State, now_ms: int, *, unheld: bool = False) -> Booked:
        """Book what a call cost, or may have cost, in place of what was held or booked for it."""
        record = self._records.get(entry.id)
        before = "released" if record is None else record.outcome.state
        if record is not None and before == "settled":
            if state == "in_doubt" or record.outcome.booked == entry.amounts:
                return Booked(record.held, record.outcome.tally.get("overrun_usd", 0), True, None, now_ms)
            raise HoldClosed(f"the hold {entry.id!r:.80} is settled already, with other amounts")
        if record is not None and before == "released" and state == "in_doubt":
            raise HoldClosed(f"the hold {entry.id!r:.80} is released already")
        plan = Plan()
        if record is None or not record.accounts:  # never heard of, or only a release that came first
            record = Record(entry, self._open(entry.path, now_ms), NOTHING, "released")
            plan.put(self._records, entry.id, record)
        held = NOTHING if before == "released" else record.held
        tally = entry.tally
        overrun_usd = 0
        exceeds = entry.amounts.usd > held.usd or entry.amounts.tokens > held.tokens
        if exceeds and not unheld:
            overrun_usd = max(0, entry.amounts.usd - held.usd)
            tally = {**tally, "overruns": 1, "overrun_usd": overrun_usd}
        self._close(plan, record, Outcome(state, entry.amounts, tally), now_ms)
        self._commit(plan)
        over = self._over(record.accounts, entry) if exceeds else None
        return Booked(held, overrun_usd, False, over, now_ms)

    def _over(self, accounts: tuple[Balance, ...], entry: Entry) -> Refused | None:
        """The first limit on the path that is exceeded now."""
        for check in self._rules(accounts):
            spent, reserved = check.used()
            if spent + reserved > check.limit.amount:
                return Refused(check.balance.key, check.limit, spent, reserved, entry.amounts[check.unit])
        return None

    def _close(self, plan: Plan, record: Record, outcome: Outcome, now_ms: int) -> None:
        """Replace what a record holds, or has booked before, by what it books now."""
        before = record.outcome
        given = record.held if before.state == "reserved" else NOTHING
        spent, tally = outcome.booked, outcome.tally
        if before.booked is not NOTHING:
            spent = spent.minus(before.booked)
        if before.tally:
            tally = {n: tally.get(n, 0) - before.tally.get(n, 0) for n in {**tally, **before.tally}}
        more = change(spent, given=given)
        for balance, current in record.current():
            if current:
                plan.move(balance, record.subject, more, tally)
            else:
                plan.move(balance, record.subject, change(given=given), {})
                self._log(plan, now_ms, balance.key, outcome.state, f"{record.id}: {outcome.booked}")
        plan.set(record, "outcome", outcome)
        plan.call(self._final.append, record.id)

    def _expire(self, now_ms: int) -> None:
        """Book the holds whose lease is over: nobody is left who knows what they cost."""
        while self._leases and self._leases[0][0] <= now_ms:
            lease_ms, id = self._leases[0]
            record = self._records.get(id)
            if record is not None and record.outcome.state == "reserved" and record.lease_ms == lease_ms:
                plan = Plan()
                self._close(plan, record, Outcome("in_doubt", record.held, {"estimated": 1}), now_ms)
                self._commit(plan)
            heapq.heappop(self._leases)

    def _fold(self) -> None:
        """Forget the oldest final records; what they booked stays in their accounts."""
        while len(self._final) > _KEPT:
            record = self._records.get(self._final[0])
            if record is not None:  # else it became final twice: in doubt first, then settled
                plan = Plan()
                for balance, current in record.current():
                    if current:
                        plan.set(balance, "folded", balance.folded.plus(record.outcome.booked))
                plan.drop(self._records, record.id)
                self._commit(plan)
            self._final.popleft()

    def _administer(self, path: Path, now_ms: int, what: str, reason: str) -> tuple[Plan, Balance]:
        balance = self._open(path, now_ms)[-1]
        plan = Plan()
        self._log(plan, now_ms, balance.key, what, reason)
        return plan, balance

    def _log(self, plan: Plan, now_ms: int, key: str, what: str, detail: str) -> None:
        plan.call(self._journal.append, (now_ms, key, what, detail))

    def _view(self, balance: Balance) -> AccountView:
        line = [balance]
        while (above := self._accounts.get(parent_key(line[0].key))) is not None:
            line.insert(0, above)
        own = [check for check in reversed(self._rules(line)) if check.balance is balance]
        return AccountView(
            key=balance.key,
            spent=balance.sums.spent,
            reserved=balance.sums.reserved,
            subjects={subject: (sums.spent, sums.reserved) for subject, sums in balance.subjects.items()},
            tally=dict(balance.tally),
            limits=tuple(LimitView(check.limit, *check.used()) for check in own),
            for_sessions=tuple(
                limit for limit in balance.in_force() if limit.window == "session" and not balance.session
            ),
            tripped=balance.tripped,
            opened_ms=balance.opened_ms,
        )


def _conflict(balance: Balance, limits: tuple[Limit, ...]) -> str:
    here = ", ".join(map(str, balance.in_force())) or "no limits"
    return (
        f"the account {shown_key(balance.key)!r:.80} has {here}, and is declared here with"
        f" {', '.join(map(str, limits))}; give one of the two budgets another name,"
        " declare the same limits, or change them with set_limit"
    )

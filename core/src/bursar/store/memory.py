"""Balances in this process: the default store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..amounts import NOTHING, Amounts
from ..call import Subject
from ..clock import Clock, SystemClock
from ..errors import HoldClosed, StoreUnavailable
from ..limits import Limit
from ..policy import Terms
from ..process import OneProcess, forks
from .accounts import Accounts
from .base import (
    PLAIN,
    UNITS,
    Booked,
    Entry,
    Finding,
    Granted,
    Path,
    Refused,
    Snapshot,
    StalePeriod,
    State,
    Store,
)
from .books import Balance, Line, Outcome, Record, Sums, Touched, move
from .circuit import Fuse
from .plan import Plan
from .records import Records
from .rules import Rule, exceeded, grant, marks, refresh

_INHERITED = (
    "this budget is in the memory of the process that was forked, and what it has left is not there twice:"
    " open a Budget in the child, or use a store that processes share"
)

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
            self._records.sweep(now_ms)
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
        self._accounts = Accounts(self._commit)
        self._records = Records(self._commit)

    @_verb
    def reserve(
        self, now_ms: int, entry: Entry, minimum: Amounts, terms: Terms = PLAIN
    ) -> Granted | Refused | StalePeriod:
        known = self._records.get(entry.id)
        if known is not None:
            if not known.accounts or not known.is_of(entry, minimum):  # or its release came first
                raise HoldClosed(f"the id {entry.id!r:.80} was used before, for another call")
            return Granted(known.held, known.outcome.state, True, now_ms)
        line = self._accounts.open(entry.path, now_ms)
        found = self._rules(line, entry, now_ms)
        if isinstance(found, StalePeriod):
            return found
        plan, breaker, ignored = Plan(), terms.breaker, None
        fuse = _fuse(line) if breaker is not None else None
        verdict = _verdict(plan, line, found, fuse, entry, minimum, terms, now_ms)
        if isinstance(verdict, Refused):
            enforced = terms.enforce or verdict.cause == "tripped"  # nobody ignores a kill switch
            counter = "refusals" if enforced else "would_refuse"
            for balance in line.accounts:
                plan.put(balance.tally, counter, balance.tally.get(counter, 0) + 1)
            if enforced:
                self._commit(plan)
                return verdict
            ignored = verdict
        if isinstance(verdict, Refused) or not terms.enforce:
            verdict = entry.amounts
        for balance in line.accounts:
            move(plan, balance, entry.subject, {}, NOTHING, verdict)
        touched = _touched(line, fuse, entry, terms, now_ms)
        for part, unit, _ in touched:
            part.move(plan, reserved=verdict[unit])
        if fuse is not None and breaker is not None and ignored is None:
            fuse.admit(plan, entry, breaker, now_ms)
        lease_ms = now_ms + terms.lease_ms
        record = Record(entry, line, verdict, "reserved", touched, fuse, lease_ms, minimum)
        self._records.add(plan, record)
        self._commit(plan)
        return Granted(verdict, "reserved", False, now_ms, ignored)

    @_verb
    def probe(
        self, now_ms: int, entry: Entry, minimum: Amounts, terms: Terms = PLAIN
    ) -> Granted | Refused | StalePeriod:
        line = self._accounts.open(entry.path, now_ms)
        found = self._rules(line, entry, now_ms)
        if isinstance(found, StalePeriod):
            return found
        never_made = Plan()
        fuse = _fuse(line) if terms.breaker is not None else None
        verdict = _verdict(never_made, line, found, fuse, entry, minimum, terms, now_ms)
        return verdict if isinstance(verdict, Refused) else Granted(verdict, "reserved", False, now_ms)

    @_verb
    def settle(self, now_ms: int, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return self._conclude(entry, "settled", terms, now_ms)

    @_verb
    def book(self, now_ms: int, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return self._conclude(entry, "settled", terms, now_ms, unheld=True)

    @_verb
    def doubt(self, now_ms: int, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return self._conclude(entry, "in_doubt", terms, now_ms)

    @_verb
    def release(self, now_ms: int, id: str, path: Path, tally: Mapping[str, int]) -> None:
        plan = Plan()
        record = self._records.get(id)
        if record is None:
            record = Record(Entry(id, path, Subject("model"), NOTHING, {}), None, NOTHING, "released")
            self._records.add(plan, record, final=True)
        elif record.outcome.state == "released":
            return
        elif record.outcome.state == "reserved":
            self._records.close(plan, record, Outcome("released", NOTHING, tally, now_ms), now_ms)
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
        self._records.lease(plan, record, now_ms + lease_ms)
        self._commit(plan)

    @_verb
    def set_limit(self, now_ms: int, path: Path, limit: Limit) -> None:
        plan, balance = self._administer(path, now_ms, "set_limit", str(limit))
        self._accounts.set_limit(plan, balance, limit)
        self._commit(plan)

    @_verb
    def drop_limit(self, now_ms: int, path: Path, limit: Limit) -> None:
        plan, balance = self._administer(path, now_ms, "drop_limit", str(limit))
        self._accounts.drop_limit(plan, balance, limit)
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
        if balance.fuse is not None:
            balance.fuse.close(plan)
        self._commit(plan)

    @_verb
    def reset(self, now_ms: int, path: Path, reason: str) -> None:
        plan, balance = self._administer(path, now_ms, "reset", reason)
        plan.set(balance, "epoch", balance.epoch + 1)
        plan.set(balance, "sums", Sums(*NOTHING, *balance.sums.reserved))
        held = {subject: Sums(*NOTHING, *sums.reserved) for subject, sums in balance.subjects.items()}
        plan.set(balance, "subjects", held)
        plan.set(balance, "folded", NOTHING)
        plan.set(balance, "tally", {})
        plan.set(balance, "marks", {})
        for span in balance.spans.values():
            span.clear(plan)
        if balance.fuse is not None:
            balance.fuse.close(plan)
            for rate in balance.fuse.rates.values():
                rate.clear(plan)
        self._commit(plan)

    @_verb
    def acknowledge(self, now_ms: int, root: str, reason: str) -> None:
        plan = Plan()
        self._records.log(plan, now_ms, root, "acknowledge", reason)
        self._commit(plan)

    @_verb
    def read(self, now_ms: int, root: str, keys: tuple[str, ...] | None = None) -> Snapshot:
        if keys is None:
            wanted = list(self._accounts.below(root))
        else:
            wanted = [self._accounts[key] for key in keys if key in self._accounts]
        return Snapshot(now_ms, {balance.key: self._accounts.view(balance, now_ms) for balance in wanted})

    @_verb
    def audit(self, now_ms: int, root: str) -> tuple[Finding, ...]:
        return self._records.audit(tuple(self._accounts.below(root)))

    async def acall(self, verb: str, *arguments: Any) -> Any:
        """Nothing here waits, so the loop may as well do it itself."""
        return getattr(self, verb)(*arguments)

    # -- within a step ------------------------------------------------------------------

    def _commit(self, plan: Plan) -> None:
        self._plan = plan
        plan.carry_out()
        self._plan = None

    def _rules(self, line: Line, entry: Entry, now_ms: int) -> list[Rule] | StalePeriod:
        """What holds on a path, with its windows brought to now."""
        found = self._accounts.rules(line)
        if line.windows:
            plan = Plan()
            stale = refresh(plan, line.windows, entry, now_ms)
            self._commit(plan)
            if stale is not None:
                return stale
        return found

    def _conclude(
        self, entry: Entry, state: State, terms: Terms, now_ms: int, *, unheld: bool = False
    ) -> Booked | StalePeriod:
        """Book what a call cost, or may have cost, in place of what was held or booked for it."""
        record = self._records.get(entry.id)
        before = "released" if record is None else record.outcome.state
        if record is not None and before == "settled":
            if state == "in_doubt" or record.outcome.booked == entry.amounts:
                return Booked(record.held, record.outcome.tally.get("overrun_usd", 0), True, None, now_ms)
            raise HoldClosed(f"the hold {entry.id!r:.80} is settled already, with other amounts")
        if record is not None and before == "released" and state == "in_doubt":
            raise HoldClosed(f"the hold {entry.id!r:.80} is released already")
        line = record.line if record is not None else None
        plan = Plan()
        if record is None or line is None:  # never heard of, or only a release that came first
            line = self._accounts.open(entry.path, now_ms)
            found = self._rules(line, entry, now_ms)
            if isinstance(found, StalePeriod):
                return found
            fuse = _fuse(line) if terms.breaker is not None else None
            touched = _touched(line, fuse, entry, terms, now_ms)
            record = Record(entry, line, NOTHING, "released", touched, fuse)
            self._records.add(plan, record)
        else:
            self._rules(line, entry, now_ms)
        held = NOTHING if before == "released" else record.held
        tally = entry.tally
        overrun_usd = 0
        exceeds = any(amount > set_aside for amount, set_aside in zip(entry.amounts, held, strict=True))
        if exceeds and not unheld:
            overrun_usd = max(0, entry.amounts.usd - held.usd)
            tally = {**tally, "overruns": 1, "overrun_usd": overrun_usd}
        self._records.close(plan, record, Outcome(state, entry.amounts, tally, now_ms), now_ms)
        self._commit(plan)
        plan, over = Plan(), None
        told = marks(plan, line.rules, entry, terms, now_ms)
        if exceeds:
            over = exceeded(plan, line.rules, entry, now_ms)
            if over is None and record.fuse is not None and terms.breaker is not None:
                over = record.fuse.exceeded(plan, entry, terms.breaker, now_ms)
        if plan.writes:
            self._commit(plan)
        return Booked(held, overrun_usd, False, over, now_ms, told)

    def _administer(self, path: Path, now_ms: int, what: str, reason: str) -> tuple[Plan, Balance]:
        balance = self._accounts.open(path, now_ms).accounts[-1]
        plan = Plan()
        self._records.log(plan, now_ms, balance.key, what, reason)
        return plan, balance


def _fuse(line: Line) -> Fuse | None:
    """The breaker of the outermost session of a path; made with its first call."""
    if line.session is None:
        return None
    balance, place = line.session
    if balance.fuse is None:
        balance.fuse = Fuse(balance.key, place)
    return balance.fuse


def _verdict(
    plan: Plan,
    line: Line,
    found: Sequence[Rule],
    fuse: Fuse | None,
    entry: Entry,
    minimum: Amounts,
    terms: Terms,
    now_ms: int,
) -> Amounts | Refused:
    """What is granted, or the first of these that refuses: kill switch, open breaker, limit, breaker."""
    for balance in line.accounts:
        if balance.tripped is not None:
            return Refused(balance.key, tripped=balance.tripped, cause="tripped")
    breaker = terms.breaker
    if fuse is not None and breaker is not None:
        refused = fuse.refusal(breaker, now_ms)
        if refused is not None:
            return refused
    granted = grant(plan, found, entry, minimum, terms, now_ms)
    if fuse is None or breaker is None or isinstance(granted, Refused):
        return granted
    return fuse.judge(plan, entry, granted, minimum, breaker, now_ms)


def _touched(line: Line, fuse: Fuse | None, entry: Entry, terms: Terms, now_ms: int) -> tuple[Touched, ...]:
    """The windows that a call counts in; those of the accounts themselves are not among them."""
    touched = [
        Touched(rule.span.part(), rule.unit, rule.account)
        for rule in line.windows
        if rule.span is not None and rule.covers(entry.subject)
    ]
    limit = terms.breaker.velocity if terms.breaker is not None else None
    if fuse is not None and limit is not None and limit.covers(entry.subject):
        touched.append(Touched(fuse.rate(limit, now_ms), UNITS.index(limit.unit), fuse.place))
    return tuple(touched)

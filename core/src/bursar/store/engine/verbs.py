"""The verbs of a store as decisions on accounts and records; memory and SQLite both run these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from ...errors import HoldClosed
from ...runtime.fast_init import new_tuple
from ...values.amounts import NOTHING, Amounts
from ...values.call import Subject
from ...values.limits import Limit
from ...values.policy import Terms
from ...values.window import DAY_MS
from ..alerts import AlertPage, StoredAlert, alerts_of
from ..entry import PLAIN, Ask, Entry, Path
from ..results import Booked, Contended, Granted, Refused, StalePeriod, State
from ..views import MOST_AT_ONCE, AccountView, Finding, HistoryView, HoldPage, OpenHold, SessionPage, Snapshot
from .accounts import Accounts
from .admission import decide, exceeded, marks, near, refresh
from .alerts import AlertList
from .balances import Balance, add_up, hold
from .constants import SESSIONS_AT_ONCE
from .history import Days
from .paths import CallPath
from .plan import Plan
from .records import RELEASED, RESERVED, Outcome, Record, Records


class Verbs:
    """What each verb of `Store` does at one moment. Whoever asks sees to it that he is alone.

    Attributes:
        accounts: the balances, by key.
        alert_list: the newest alerts of each tree.
        days: what was booked on each.
        records: holds and charges, by id.
        plan: the writes of a step that an interrupt cut short; to be carried out before the next one.
        sessions_at_once: how many sessions one step lists at most.
    """

    def __init__(self) -> None:
        self.sessions_at_once = SESSIONS_AT_ONCE
        self.plan: Plan | None = None
        self.accounts = Accounts(self.commit)
        self.alert_list = AlertList()
        self.days = Days(self.commit)
        self.records = Records(self.commit, self.days)

    def commit(self, plan: Plan) -> None:
        """Carry out the writes of a step."""
        self.plan = plan
        plan.carry_out()
        self.plan = None

    def reserve(
        self,
        now_ms: int,
        entry: Entry,
        minimum: Amounts,
        terms: Terms = PLAIN,
        floor: Amounts | None = None,
        ask: Ask = "last",
    ) -> Granted | Contended | Refused | StalePeriod:
        floor = minimum if floor is None else floor
        id, path, subject, amounts, _, _, _ = entry
        known = self.records.get(id)
        if known is not None:
            if known.call_path is None or not known.is_of(entry, minimum, floor):  # or its release came first
                raise HoldClosed(f"the id {id!r:.80} was used before, for another call")
            return Granted(known.held, known.outcome.state, True, now_ms)
        enforce, policy, tz = terms.enforce, terms.breaker, terms.tz
        call_path = self.accounts.call_path(path, subject, now_ms)
        stale = self._refresh(call_path, entry, now_ms)
        if stale is not None:
            return stale
        plan, ignored = Plan(), None
        breaker = call_path.breaker(entry, terms)
        last_ask = ask if enforce else "last"
        decision = decide(plan, call_path, breaker, entry, floor, minimum, terms, last_ask, now_ms)
        if isinstance(decision, Contended):
            if ask == "first":
                for balance in call_path.open_path.accounts:
                    add_up(plan, balance, {"contended": 1})
                self.days.book(plan, call_path, NOTHING, {"contended": 1}, now_ms, tz)
                self.commit(plan)
            return decision._replace(expires_ms=self.records.next_lease_ms())
        if isinstance(decision, Refused):
            enforced = enforce or decision.cause == "tripped"  # nobody ignores a kill switch
            tally = {"refusals" if enforced else "would_refuse": 1}
            for balance in call_path.open_path.accounts:
                add_up(plan, balance, tally)
            told = {**tally, "alerts": 1} if decision.first else tally
            self.days.book(plan, call_path, NOTHING, told, now_ms, tz)
            if decision.first:
                self._tell(plan, decision, entry, now_ms)
            if enforced:
                self.commit(plan)
                return decision
            ignored = decision
        if isinstance(decision, Refused) or not enforce:
            decision = amounts
        hold(plan, call_path.counts or call_path.open(plan), decision)
        touched = call_path.touched(breaker, terms, now_ms)
        for part, unit, _ in touched:
            part.move(plan, reserved=decision[unit])
        call = None
        if breaker is not None and policy is not None and ignored is None:
            call = breaker.admit(plan, entry, policy, now_ms)
        epoch, until_ms = self.records.epoch, now_ms + terms.lease_ms
        record = Record(
            entry, call_path, RESERVED, epoch, decision, minimum, touched, breaker, until_ms, floor, tz, call
        )
        self.records.add(plan, record)
        self.commit(plan)
        return new_tuple(Granted, (decision, "reserved", False, now_ms, ignored))

    def probe(
        self,
        now_ms: int,
        entry: Entry,
        minimum: Amounts,
        terms: Terms = PLAIN,
        floor: Amounts | None = None,
    ) -> Granted | Refused | StalePeriod:
        new = [account.key for account in entry.path if account.key not in self.accounts]
        call_path = self.accounts.call_path(entry.path, entry.subject, now_ms)
        try:
            stale = self._refresh(call_path, entry, now_ms)
            if stale is not None:
                return stale
            never_made = Plan()
            floor = minimum if floor is None else floor
            breaker = call_path.breaker(entry, terms)
            answer = decide(never_made, call_path, breaker, entry, floor, minimum, terms, "last", now_ms)
            decision = cast("Amounts | Refused", answer)
        finally:
            if new:
                self.accounts.forget(new)
        return decision if isinstance(decision, Refused) else Granted(decision, "reserved", False, now_ms)

    def settle(self, now_ms: int, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return self._conclude(entry, "settled", terms, now_ms)

    def book(self, now_ms: int, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return self._conclude(entry, "settled", terms, now_ms, unheld=True)

    def doubt(self, now_ms: int, entry: Entry, terms: Terms = PLAIN) -> Booked | StalePeriod:
        return self._conclude(entry, "in_doubt", terms, now_ms)

    def release(self, now_ms: int, id: str, path: Path, tally: Mapping[str, int]) -> None:
        plan = Plan()
        record = self.records.get(id)
        if record is None:
            record = Record(
                Entry(id, path, Subject("model"), NOTHING, {}), None, RELEASED, self.records.epoch
            )
            self.records.add(plan, record, final=True)
        elif record.outcome.state == "released":
            return
        elif record.outcome.state == "reserved":
            self.records.close(plan, record, Outcome("released", NOTHING, tally, now_ms), now_ms)
        else:
            state = record.outcome.state
            raise HoldClosed(f"the hold {id!r:.80} is {state} already, and cannot be released")
        self.commit(plan)

    def extend(self, now_ms: int, id: str, path: Path, lease_ms: int) -> None:
        record = self.records.get(id)
        if record is None or record.outcome.state != "reserved":
            raise HoldClosed(f"the hold {id!r:.80} is not open, so that its lease cannot be extended")
        plan = Plan()
        self.records.lease(plan, record, now_ms + lease_ms)
        self.commit(plan)

    def set_limit(self, now_ms: int, path: Path, limit: Limit) -> None:
        plan, balance = self._administer(path, now_ms, "set_limit", str(limit))
        self.accounts.set_limit(plan, balance, limit)
        self.commit(plan)

    def drop_limit(self, now_ms: int, path: Path, limit: Limit) -> None:
        plan, balance = self._administer(path, now_ms, "drop_limit", str(limit))
        self.accounts.drop_limit(plan, balance, limit)
        self.commit(plan)

    def trip(self, now_ms: int, path: Path, reason: str) -> None:
        plan, balance = self._administer(path, now_ms, "trip", reason)
        plan.set(balance, "tripped", reason)
        self.commit(plan)

    def untrip(self, now_ms: int, path: Path, reason: str) -> None:
        plan, balance = self._administer(path, now_ms, "untrip", reason)
        plan.set(balance, "tripped", None)
        if balance.breaker is not None:
            balance.breaker.close(plan)
        self.commit(plan)

    def reset(self, now_ms: int, path: Path, reason: str) -> None:
        plan, balance = self._administer(path, now_ms, "reset", reason)
        epoch = self.records.epoch + 1
        plan.set(self.records, "epoch", epoch)
        plan.set(balance, "epoch", epoch)
        for count in (balance.total, *balance.subjects.values()):
            count.forget(plan)
        plan.set(balance, "folded", NOTHING)
        plan.set(balance, "tally", {})
        plan.set(balance, "marks", {})
        for window in balance.windows.values():
            window.clear(plan)
        if balance.breaker is not None:
            balance.breaker.close(plan)
            for rate in balance.breaker.rates.values():
                rate.clear(plan)
        self.days.part(plan, balance, balance.total.spent)
        self.commit(plan)

    def acknowledge(self, now_ms: int, root: str, reason: str) -> None:
        plan = Plan()
        self.records.log(plan, now_ms, root, "acknowledge", reason)
        self.commit(plan)

    def end(self, now_ms: int, root: str, keys: tuple[str, ...]) -> None:
        plan = Plan()
        for key in keys:
            if key in self.accounts and self.accounts[key].session:
                self.accounts.end(plan, self.accounts[key], now_ms)
        self.commit(plan)

    def read(self, now_ms: int, key: str, keys: tuple[str, ...] | None = None) -> Snapshot:
        if keys is None:
            wanted = self.accounts.budgets(key)
        else:
            wanted = [self.accounts[key] for key in keys if key in self.accounts]
        return Snapshot(now_ms, self._views(wanted, now_ms))

    def sessions(self, now_ms: int, key: str, after: str = "", limit: int = MOST_AT_ONCE) -> SessionPage:
        found, after = self.accounts.sessions(key, after, min(limit, self.sessions_at_once))
        count = self.accounts[key].below if key in self.accounts else 0
        return SessionPage(now_ms, self._views(found, now_ms), count, after)

    def holds(self, now_ms: int, root: str, after: str = "", limit: int = MOST_AT_ONCE) -> HoldPage:
        records, after = self.records.open_holds(root, after, min(limit, MOST_AT_ONCE))
        return HoldPage(now_ms, tuple(map(_open_hold, records)), after)

    def history(
        self, now_ms: int, root: str, keys: tuple[str, ...], days: int, tz: str = "UTC"
    ) -> HistoryView:
        today = now_ms // DAY_MS
        since = self.accounts[root].opened_ms // DAY_MS if root in self.accounts else today
        found = {key: self.days.views(key, today - days, today + 1, tz) for key in keys}
        return HistoryView(now_ms, max(since, self.days.since), found)

    def alerts(self, now_ms: int, root: str, after: str = "", limit: int = MOST_AT_ONCE) -> AlertPage:
        return self.alert_list.page(now_ms, root, after, limit)

    def claim(
        self, now_ms: int, root: str, idle_ms: int, limit: int = MOST_AT_ONCE
    ) -> tuple[StoredAlert, ...]:
        plan = Plan()
        found = self.alert_list.claim(plan, now_ms, root, idle_ms, limit)
        self.commit(plan)
        return found

    def delivered(self, now_ms: int, root: str, ids: tuple[str, ...]) -> None:
        plan = Plan()
        self.alert_list.deliver(plan, root, ids)
        self.commit(plan)

    def roots(self, now_ms: int) -> tuple[str, ...]:
        return self.accounts.roots()

    def audit(self, now_ms: int, root: str) -> tuple[Finding, ...]:
        balances = tuple(self.accounts.of(root))
        return (*self.records.audit(balances), *self.days.audit(balances))

    # -- within a step ------------------------------------------------------------------

    def _refresh(self, call_path: CallPath, entry: Entry, now_ms: int) -> StalePeriod | None:
        """Bring the windows that a call counts in to now."""
        if not call_path.windows:
            return None
        plan = Plan()
        stale = refresh(plan, call_path.windows, entry, now_ms)
        self.commit(plan)
        return stale

    def _conclude(
        self, entry: Entry, state: State, terms: Terms, now_ms: int, *, unheld: bool = False
    ) -> Booked | StalePeriod:
        """Book what a call cost, or may have cost, in place of what was held or booked for it."""
        id, path, subject, amounts, tally, _, _ = entry
        record = self.records.get(id)
        before = "released" if record is None else record.outcome.state
        if record is not None and before == "settled":
            if state == "in_doubt" or record.outcome.booked == amounts:
                return Booked(record.held, record.outcome.tally.get("overrun_usd", 0), True, None, now_ms)
            raise HoldClosed(f"the hold {id!r:.80} is settled already, with other amounts")
        if record is not None and before == "released" and state == "in_doubt":
            raise HoldClosed(f"the hold {id!r:.80} is released already")
        self.days.expire(now_ms // DAY_MS - terms.history_days + 1)
        plan = Plan()
        if record is not None and record.call_path is not None:
            call_path = self.accounts.renewed(record.call_path)
            self._refresh(call_path, entry, now_ms)
        else:  # never heard of, or only a release that came first
            call_path = self.accounts.call_path(path, subject, now_ms)
            stale = self._refresh(call_path, entry, now_ms)
            if stale is not None:
                return stale
            breaker = call_path.breaker(entry, terms)
            touched = call_path.touched(breaker, terms, now_ms)
            record = Record(
                entry,
                call_path,
                RELEASED,
                self.records.epoch,
                touched=touched,
                breaker=breaker,
                tz=terms.tz,
            )
            self.records.add(plan, record)
        held = NOTHING if before == "released" else record.held
        overrun_usd = 0
        exceeds = _exceeds(amounts, held)
        if exceeds and not unheld:
            overrun_usd = max(0, amounts.usd - held.usd)
            tally = {**tally, "overruns": 1, "overrun_usd": overrun_usd}
        outcome = new_tuple(Outcome, (state, amounts, tally, now_ms, record.outcome.first_ms or now_ms))
        self.records.close(plan, record, outcome, now_ms)
        self.commit(plan)
        reached = near(call_path.rules, terms)
        if not exceeds and not reached:  # as mostly
            return new_tuple(Booked, (held, overrun_usd, False, None, now_ms, ()))
        over, plan = None, Plan()
        told = marks(plan, reached, terms, now_ms)
        if exceeds:
            over = exceeded(plan, call_path.rules, entry, now_ms)
            if over is None and record.breaker is not None and terms.breaker is not None:
                over = record.breaker.exceeded(plan, entry, terms.breaker, now_ms)
        booked: Booked = new_tuple(Booked, (held, overrun_usd, False, over, now_ms, told))
        if booked.news:
            alerts = self._tell(plan, booked, entry, now_ms)
            self.days.book(plan, call_path, NOTHING, {"alerts": alerts}, now_ms, record.tz)
        self.commit(plan)
        return booked

    def _tell(self, plan: Plan, answer: Refused | Booked, entry: Entry, now_ms: int) -> int:
        """Keep what an answer has to tell until it is delivered; how much that is."""
        found = alerts_of(answer, entry, now_ms)
        self.alert_list.add(plan, entry.path[0].key, found)
        return len(found)

    def _views(self, balances: Iterable[Balance], now_ms: int) -> dict[str, AccountView]:
        return {balance.key: self.accounts.view(balance, now_ms) for balance in balances}

    def _administer(self, path: Path, now_ms: int, what: str, reason: str) -> tuple[Plan, Balance]:
        balance = self.accounts.open(path, now_ms).accounts[-1]
        plan = Plan()
        self.records.log(plan, now_ms, balance.key, what, reason)
        return plan, balance


def _exceeds(amounts: Amounts, held: Amounts) -> bool:
    usd, tokens, calls = amounts
    held_usd, held_tokens, held_calls = held
    return usd > held_usd or tokens > held_tokens or calls > held_calls


def _open_hold(record: Record) -> OpenHold:
    entry = record.entry
    return OpenHold(entry.id, entry.path[-1].key, entry.subject, record.held, record.lease_ms)

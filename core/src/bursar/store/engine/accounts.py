"""Accounts: opens paths, declares limits, drops sessions that are no longer used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from ...errors import LimitConflict
from ...values.account import parent_key, root_key, shown_key
from ...values.amounts import NOTHING
from ...values.call import Subject
from ...values.limits import Limit
from ..entry import Path
from ..views import AccountView, LimitView, new_view
from .admission import in_force
from .balances import Balance
from .constants import ENDED_KEPT_MS, RETIRED, SESSION_KEPT_MS, USED_MS
from .paths import CallPath, OpenPath
from .plan import ZERO, Plan
from .rule import Rule
from .windows import Periodic, Rolling, window

Slots = tuple["Limit | None", "Limit | None"]

_CALL_PATHS = 256  # are kept for a path; more are made anew


class Accounts:
    """Balances by key, and which limits hold on a path.

    Args:
        commit: carries out a plan.

    Attributes:
        due_ms: when `retire` has something to do at the earliest.
    """

    def __init__(self, commit: Callable[[Plan], None]) -> None:
        self._commit = commit
        self._balances: dict[str, Balance] = {}
        self._open_paths: dict[str, OpenPath] = {}  # as they were last opened, by the key of their leaf
        self._budgets: dict[str, Balance] = {}  # those that are no sessions
        self._below: dict[str, dict[str, None]] = {}  # the sessions right below an account, the oldest first
        self._sessions: dict[str, int] = {}  # when they were last in use; the longest unused is the first
        self._ended: dict[str, int] = {}  # sessions that have ended, and when; the oldest is the first
        self.due_ms = 0
        self._count = 0  # of sessions that were ever made
        self._changed = 1  # counts changes of limits, so that the rules of a path can be kept

    def __getitem__(self, key: str) -> Balance:
        return self._balances[key]

    def __contains__(self, key: str) -> bool:
        return key in self._balances

    def of(self, root: str) -> Iterator[Balance]:
        """All of one tree."""
        return (balance for key, balance in self._balances.items() if root_key(key) == root)

    def roots(self) -> tuple[str, ...]:
        """The keys of the roots of all trees."""
        return tuple(key for key in self._budgets if not parent_key(key))

    def budgets(self, key: str) -> list[Balance]:
        """A budget, those above it, and those below it."""
        return [
            balance
            for other, balance in self._budgets.items()
            if other == key or other.startswith(f"{key}/") or key.startswith(f"{other}/")
        ]

    def sessions(self, key: str, after: str, limit: int) -> tuple[list[Balance], str]:
        """Some sessions right below an account, the newest first, and what the next page comes after."""
        newest: Iterator[str] = reversed(self._below.get(key, {}))
        if after:
            before, balances = int(after), self._balances
            newest = (other for other in newest if balances[other].number < before)
        found = [self._balances[other] for other in islice(newest, limit + 1)]
        return found[:limit], str(found[limit - 1].number) if len(found) > limit else ""

    def take_up(self, balance: Balance) -> None:
        """List an account that was kept elsewhere; the older ones come first."""
        if balance.session:
            self._below.setdefault(parent_key(balance.key), {})[balance.key] = None
        else:
            self._budgets[balance.key] = balance

    def open(self, path: Path, now_ms: int) -> OpenPath:
        """The accounts of a path, created where new, with what their owners declare.

        Raises:
            LimitConflict: one was declared with other limits.
        """
        known = self._open_paths.get(path[-1].key)
        if known is not None and known.path is path:
            self._use(known, now_ms)
            return known
        plan = Plan()
        accounts: list[Balance] = []
        for account in path:
            balance = self._balances.get(account.key)
            if balance is None:
                balance = Balance(account.key, now_ms)
                self._list(plan, balance, accounts[-1] if accounts else None)
                for limit in () if account.limits else account.unless_declared:
                    self._put(plan, balance, (None, limit), limit.key)
            accounts.append(balance)
            if account.limits is not balance.declared and account.limits:
                self._declare(plan, balance, account.limits)
        open_path = OpenPath(path, tuple(accounts))
        plan.put(self._open_paths, path[-1].key, open_path)
        self._commit(plan)
        self._use(open_path, now_ms)
        return open_path

    def forget(self, keys: Iterable[str]) -> None:
        """Drop accounts that a probe has made; nothing counts in them yet."""
        plan = Plan()
        for key in keys:
            self._unlist(plan, self._balances[key])
        self._commit(plan)

    def end(self, plan: Plan, balance: Balance, now_ms: int) -> None:
        """Note that a session has ended."""
        plan.set(balance, "ended_ms", now_ms)
        plan.drop(self._ended, balance.key)
        plan.call(self._ended.__setitem__, balance.key, now_ms)

    def retire(self, now_ms: int) -> None:
        """Drop sessions that nobody uses any more: nothing is held, and no session below is left."""
        self._retire(self._sessions, now_ms - SESSION_KEPT_MS, now_ms)
        self._retire(self._ended, now_ms - ENDED_KEPT_MS, now_ms)
        unused_ms = next(iter(self._sessions.values()), now_ms) + SESSION_KEPT_MS
        self.due_ms = min(unused_ms, next(iter(self._ended.values()), now_ms) + ENDED_KEPT_MS)

    def _retire(self, since: dict[str, int], over_ms: int, now_ms: int) -> None:
        if not since or next(iter(since.values())) > over_ms:
            return
        for key, at_ms in tuple(islice(since.items(), RETIRED)):
            balance = self._balances.get(key)
            if at_ms <= over_ms and balance is not None and not self._drop(balance):
                plan = Plan()
                if balance.ended_ms is None:
                    self._note(plan, balance, now_ms)
                else:
                    self.end(plan, balance, now_ms)
                self._commit(plan)

    def _drop(self, balance: Balance) -> bool:
        """Drop a session that has ended with some of those below it; False where it is still needed."""
        if balance.tripped is not None or balance.total.reserved != NOTHING:
            return False
        if balance.below and balance.ended_ms is None:
            return False
        for key in tuple(islice(self._below.get(balance.key, ()), RETIRED)):
            below = self._balances[key]
            below.ended_ms = balance.ended_ms
            if not self._drop(below):
                return False
        if not balance.below:
            plan = Plan()
            self._unlist(plan, balance)
            self._commit(plan)
        return True

    def _list(self, plan: Plan, balance: Balance, above: Balance | None) -> None:
        """Keep a new account, and list it where it belongs."""
        key = balance.key
        plan.put(self._balances, key, balance)
        if not balance.session:
            plan.put(self._budgets, key, balance)
        elif above is not None:
            self._count += 1
            balance.number = self._count
            plan.call(self._below.setdefault(above.key, {}).setdefault, key)
            plan.set(above, "below", above.below + 1)

    def _unlist(self, plan: Plan, balance: Balance) -> None:
        """Drop an account, and all that lists it."""
        key, above = balance.key, self._balances.get(parent_key(balance.key))
        for listed in (
            self._balances,
            self._budgets,
            self._open_paths,
            self._sessions,
            self._ended,
            self._below,
        ):
            plan.drop(listed, key)
        if balance.session and above is not None:
            plan.drop(self._below.get(above.key, {}), key)
            plan.set(above, "below", above.below - 1)

    def _use(self, open_path: OpenPath, now_ms: int) -> None:
        for balance in open_path.sessions:
            if balance.used_ms is None or now_ms - balance.used_ms > USED_MS or balance.ended_ms is not None:
                plan = Plan()
                self._note(plan, balance, now_ms)
                if balance.ended_ms is not None:
                    plan.set(balance, "ended_ms", None)
                    plan.drop(self._ended, balance.key)
                self._commit(plan)

    def _note(self, plan: Plan, balance: Balance, now_ms: int) -> None:
        plan.set(balance, "used_ms", now_ms)
        plan.drop(self._sessions, balance.key)
        plan.call(self._sessions.__setitem__, balance.key, now_ms)

    def call_path(self, path: Path, subject: Subject, now_ms: int) -> CallPath:
        """What the calls for one subject meet on a path."""
        open_path = self.open(path, now_ms)
        call_path = open_path.call_paths.get(subject)
        if call_path is not None and call_path.changed == self._changed:
            return call_path
        return self.call_path_on(open_path, subject)

    def renewed(self, call_path: CallPath) -> CallPath:
        """The same as of now: limits may have changed since."""
        return (
            call_path
            if call_path.changed == self._changed
            else self.call_path_on(call_path.open_path, call_path.subject)
        )

    def call_path_on(self, open_path: OpenPath, subject: Subject) -> CallPath:
        """The same on a path that is open."""
        rules = in_force(open_path, self._changed)
        if len(open_path.call_paths) >= _CALL_PATHS:
            open_path.call_paths = {}
        open_path.call_paths[subject] = call_path = CallPath(open_path, subject, rules, self._changed)
        return call_path

    def set_limit(self, plan: Plan, balance: Balance, limit: Limit) -> None:
        """Put a limit in force, whatever was declared."""
        declared, _ = balance.limits.get(limit.key, (None, None))
        self._put(plan, balance, (declared, limit), limit.key)

    def drop_limit(self, plan: Plan, balance: Balance, limit: Limit) -> None:
        """Take one out of force, whatever was declared."""
        declared, _ = balance.limits.get(limit.key, (None, None))
        self._put(plan, balance, (declared, None), limit.key)

    def view(self, balance: Balance, now_ms: int) -> AccountView:
        """One account at one moment."""
        open_path = self._open_paths.get(balance.key)
        if open_path is None:  # it was only ever on the way to others
            accounts = [balance]
            while (above := self._balances.get(parent_key(accounts[0].key))) is not None:
                accounts.insert(0, above)
            open_path = OpenPath((), tuple(accounts))
        own = [rule for rule in reversed(in_force(open_path, self._changed)) if rule.balance is balance]
        trip, sums = balance.breaker.trip if balance.breaker is not None else None, balance.total
        return new_view(
            balance.key,
            sums.spent,
            sums.reserved,
            {
                subject: (count.spent, count.reserved)
                for subject, count in balance.subjects.items()
                if count.sums != ZERO
            },
            {name: count for name, count in balance.tally.items() if count},
            tuple([_limit_view(rule, now_ms) for rule in own]),
            ()
            if balance.session
            else tuple(limit for limit in balance.in_force() if limit.window == "session"),
            balance.tripped or (trip.reason if trip is not None and trip.reason else None),
            balance.opened_ms,
            "forced_open" if balance.tripped is not None else trip.state if trip else "closed",
            balance.below,
        )

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
                self._put(plan, balance, (limit, limit), key)
        if not known <= wanted.keys():
            raise LimitConflict(_conflict(balance, limits))
        plan.set(balance, "declared", limits)

    def _put(self, plan: Plan, balance: Balance, slots: Slots, key: tuple[str, ...]) -> None:
        """Keep a limit as it was declared and as it is in force; a new window counts from zero."""
        _, limit = slots
        if limit is None:
            plan.drop(balance.windows, key)
        elif key not in balance.windows and (counted := window(limit)) is not None:
            plan.put(balance.windows, key, counted)
        if slots == (None, None):
            plan.drop(balance.limits, key)
        else:
            plan.put(balance.limits, key, slots)
        plan.set(self, "_changed", self._changed + 1)


def _limit_view(rule: Rule, now_ms: int) -> LimitView:
    window = rule.window
    if isinstance(window, Periodic) and not window.slot.period.contains(now_ms):
        return LimitView(rule.limit, 0, 0)
    frees_ms = None
    if isinstance(window, Rolling):
        plan = Plan()
        window.refresh(plan, now_ms)
        plan.carry_out()
        frees_ms = window.frees_ms(window.spent) if window.spent > 0 else None
    return LimitView(rule.limit, *rule.used(), frees_ms)


def _conflict(balance: Balance, limits: tuple[Limit, ...]) -> str:
    here = ", ".join(map(str, balance.in_force())) or "no limits"
    return (
        f"the account {shown_key(balance.key)!r:.80} has {here}, and is declared here with"
        f" {', '.join(map(str, limits))}; give one of the two budgets another name,"
        " declare the same limits, or change them with set_limit"
    )

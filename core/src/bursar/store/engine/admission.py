"""Checks a call against the limits in force on its path."""

from __future__ import annotations

from collections.abc import Sequence

from ...values.amounts import Amounts
from ...values.limits import Limit
from ...values.policy import WHOLE_PPM, Terms
from ..base import UNITS, Entry, Mark, Refused, StalePeriod
from .balances import Balance
from .breaker import CircuitBreaker
from .paths import CallPath, OpenPath
from .plan import Plan
from .rule import Rule
from .windows import Periodic, Rolling

_HARD = -1  # the mark of a limit that has refused


def in_force(open_path: OpenPath, changed: int) -> list[Rule]:
    """The limits in force along a path, the leaf's first.

    A limit of a budget over the window ``session`` holds for each session right below it.
    """
    if open_path.changed == changed:
        return open_path.rules
    found: list[Rule] = []
    for_sessions: list[Limit] = []
    for place, balance in enumerate(open_path.accounts):
        for limit in balance.in_force():
            if limit.window == "session" and not balance.session:
                for_sessions.append(limit)
            else:
                found.append(_rule(balance, limit, place))
        if balance.session:
            found += [_rule(balance, limit, place) for limit in for_sessions]
            for_sessions = []
    found.reverse()
    open_path.rules = found
    open_path.changed = changed
    return found


def _rule(balance: Balance, limit: Limit, place: int) -> Rule:
    plain, window = limit.unit != "calls" and not limit.selective, balance.windows.get(limit.key)
    total = balance.total if plain and window is None else None
    own = plain and balance.session and limit.window == "session" and limit.unit == "usd"
    return Rule(balance, limit, UNITS.index(limit.unit), plain, total, window, own, place)


def refresh(plan: Plan, windows: Sequence[Rule], entry: Entry, now_ms: int) -> StalePeriod | None:
    """Bring the windows of a path to now; a calendar period that is over needs the client's next one."""
    zones = []
    for rule in windows:
        window = rule.window
        if isinstance(window, Rolling):
            window.refresh(plan, now_ms)
        elif isinstance(window, Periodic) and now_ms >= window.slot.period.end_ms:
            tz = rule.limit.tz
            known = entry.periods.get(tz)
            period = getattr(known, rule.limit.window) if known is not None else None
            if period is not None and period.contains(now_ms):
                window.begin(plan, period)
            else:
                zones.append(tz)
    return StalePeriod(now_ms, tuple(dict.fromkeys(zones))) if zones else None


def decide(
    plan: Plan,
    call_path: CallPath,
    breaker: CircuitBreaker | None,
    entry: Entry,
    minimum: Amounts,
    terms: Terms,
    now_ms: int,
) -> Amounts | Refused:
    """What is granted, or the first of these that refuses: kill switch, open breaker, limit, breaker."""
    for balance in call_path.open_path.accounts:
        if balance.tripped is not None:
            return Refused(balance.key, tripped=balance.tripped, cause="tripped")
    policy = terms.breaker
    if breaker is not None and policy is not None:
        refused = breaker.refusal(policy, now_ms)
        if refused is not None:
            return refused
    granted = grant(plan, call_path.rules, entry, minimum, terms, now_ms)
    if breaker is None or policy is None or isinstance(granted, Refused):
        return granted
    return breaker.judge(plan, entry, granted, minimum, policy, now_ms)


def grant(
    plan: Plan, rules: Sequence[Rule], entry: Entry, minimum: Amounts, terms: Terms, now_ms: int
) -> Amounts | Refused:
    """The worst case or what is left of it, or the first limit that has not even room for the minimum."""
    granted, refused = entry.amounts, None
    for rule in rules:
        unit, (spent, reserved) = rule.unit, rule.used()
        kept = terms.kept(rule.limit.amount) if rule.own else 0
        left = rule.limit.amount - spent - reserved - kept
        if left < minimum[unit]:
            wait_s = retry_after_s(rule, minimum[unit] - left, minimum[unit], now_ms)
            if refused is None:
                refused = _refused(plan, rule, spent, reserved, entry.amounts[unit], now_ms)
                refused = refused._replace(retry_after_s=wait_s, kept=kept)
            elif refused.retry_after_s is not None:  # the first one is told; all of them have to wait
                longest_s = None if wait_s is None else max(wait_s, refused.retry_after_s)
                refused = refused._replace(retry_after_s=longest_s)
        elif left < granted[unit]:
            granted = granted._replace(**{UNITS[unit]: left})
    return granted if refused is None else refused


def exceeded(plan: Plan, rules: Sequence[Rule], entry: Entry, now_ms: int) -> Refused | None:
    """The first limit of a call that is exceeded now."""
    for rule in rules:
        spent, reserved = rule.used()
        if spent + reserved > rule.limit.amount:
            return _refused(plan, rule, spent, reserved, entry.amounts[rule.unit], now_ms)
    return None


def _refused(plan: Plan, rule: Rule, spent: int, reserved: int, asked: int, now_ms: int) -> Refused:
    first = _tell(plan, rule, _HARD, now_ms)
    return Refused(rule.balance.key, rule.limit, spent, reserved, asked, first=first)


def retry_after_s(rule: Rule, missing: int, least: int, now_ms: int) -> float | None:
    """Seconds until a window has room again; None where time alone does not help."""
    if least > rule.limit.amount:
        return None
    at_ms = None
    if isinstance(rule.window, Periodic):
        at_ms = rule.window.slot.period.end_ms
    elif isinstance(rule.window, Rolling):
        at_ms = rule.window.frees_ms(missing)
    return None if at_ms is None else (at_ms - now_ms) / 1000


def near(rules: Sequence[Rule], terms: Terms) -> Sequence[Rule]:
    """The limits of which a fraction is reached that may have to be told."""
    if not terms.soft_ppm:
        return ()
    lowest = terms.soft_ppm[0]
    found: tuple[Rule, ...] = ()
    for rule in rules:
        if rule.used()[0] * WHOLE_PPM >= rule.limit.amount * lowest:
            found = (*found, rule)
    return found


def marks(plan: Plan, rules: Sequence[Rule], terms: Terms, now_ms: int) -> tuple[Mark, ...]:
    """The fractions of the limits of this call that are reached, and were not told in this period."""
    told: list[Mark] = []
    known: set[tuple[str, tuple[str, ...], int]] = (
        set()
    )  # a session may have a limit of its own and its budget's
    for rule in rules:
        amount, (spent, _) = rule.limit.amount, rule.used()
        for ppm in terms.soft_ppm:
            mark = rule.balance.key, rule.limit.key, ppm
            reached = amount and spent * WHOLE_PPM >= amount * ppm
            if reached and mark not in known and _tell(plan, rule, ppm, now_ms):
                known.add(mark)
                told.append(Mark(rule.balance.key, rule.limit, ppm, spent))
    return tuple(told)


def _tell(plan: Plan, rule: Rule, ppm: int, now_ms: int) -> bool:
    """True the first time in a period of the limit; for a rolling one, once in its length."""
    limit, window = rule.limit, rule.window
    amount, since_ms = rule.balance.marks.get((limit.key, ppm), (-1, 0))
    now = window.slot.period.start_ms if isinstance(window, Periodic) else now_ms if limit.span_ms else 0
    if amount == limit.amount and now - since_ms < (limit.span_ms or 1):
        return False
    plan.put(rule.balance.marks, (limit.key, ppm), (limit.amount, now))
    return True

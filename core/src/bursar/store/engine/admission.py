"""Checks a call against the limits in force on its path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from ...values.amounts import Amounts
from ...values.limits import Limit
from ...values.policy import WHOLE_PPM, Breaker, Terms
from ..entry import UNITS, Ask, Entry
from ..results import Contended, HeldLimit, Mark, Refused, StalePeriod
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


class Question(NamedTuple):
    """What a reserve asks of each limit.

    Attributes:
        want: the worst case of the call.
        floor: less than that is not granted while others hold the rest.
        minimum: less than that is of no use.
        terms: of the budget.
        ask: the first time, again, or the last time.
        now_ms: the time of the step.
    """

    want: Amounts
    floor: Amounts
    minimum: Amounts
    terms: Terms
    ask: Ask
    now_ms: int


def _has_plenty(rules: Sequence[Rule], want: Amounts, terms: Terms) -> bool:
    """True where a call fits its share of what each limit has left, as most do."""
    share_ppm = terms.share_ppm
    for rule in rules:
        spent, reserved = rule.used()
        amount = rule.limit.amount
        kept = terms.kept(amount) if rule.own else 0
        if (amount - spent - kept - reserved) * share_ppm < want[rule.unit] * WHOLE_PPM:
            return False
    return True


def decide(
    plan: Plan,
    call_path: CallPath,
    breaker: CircuitBreaker | None,
    entry: Entry,
    floor: Amounts,
    minimum: Amounts,
    terms: Terms,
    ask: Ask,
    now_ms: int,
) -> Amounts | Contended | Refused:
    """What is granted, or what refuses first: kill switch, open breaker, loop, limits, velocity."""
    for balance in call_path.open_path.accounts:
        if balance.tripped is not None:
            return Refused(balance.key, tripped=balance.tripped, cause="tripped")
    policy, measure = terms.breaker, None
    if breaker is not None and policy is not None:
        refused = breaker.refusal(policy, now_ms) or breaker.repeated(plan, entry, policy, now_ms)
        if refused is not None:
            return refused
        if policy.velocity is not None and policy.velocity.covers(entry.subject):
            measure = breaker
    if measure is None and _has_plenty(call_path.rules, entry.amounts, terms):
        return entry.amounts
    return grant(plan, call_path.rules, Question(entry.amounts, floor, minimum, terms, ask, now_ms), measure)


def grant(
    plan: Plan, rules: Sequence[Rule], question: Question, breaker: CircuitBreaker | None = None
) -> Amounts | Contended | Refused:
    """What all limits grant, the velocity of a breaker among them; else what refuses, else what is held.

    Money that is spent refuses before money that is only held does. The first limit is told, with the
    time after which all of those have room.
    """
    want, _, minimum, terms, _, now_ms = question
    granted, refused, by_holds = want, None, None
    held: list[HeldLimit] = []
    for rule in rules:
        unit, (spent, reserved) = rule.unit, rule.used()
        amount = rule.limit.amount
        kept = terms.kept(amount) if rule.own else 0
        part = _part(question, unit, amount - spent - kept, reserved)
        if part >= 0:
            if part < granted[unit]:
                granted = granted._replace(**{UNITS[unit]: part})
        elif part == _SPENT:
            missing = minimum[unit] - amount + spent + reserved + kept
            wait_s = retry_after_s(rule, missing, minimum[unit], now_ms)
            if refused is None:
                refused = _refused(plan, rule, spent, reserved, want[unit], now_ms)
                refused = refused._replace(retry_after_s=wait_s, kept=kept)
            elif refused.retry_after_s is not None:  # the first one is told; all of them have to wait
                longest_s = None if wait_s is None else max(wait_s, refused.retry_after_s)
                refused = refused._replace(retry_after_s=longest_s)
        elif part == _HELD:
            held.append(HeldLimit(rule.balance.key, rule.limit, spent, reserved, kept))
        elif by_holds is None:
            by_holds = Refused(rule.balance.key, rule.limit, spent, reserved, want[unit], kept=kept)
    if refused is None and breaker is not None:
        policy = cast("Breaker", terms.breaker)
        limit = cast("Limit", policy.velocity)
        rate, unit = breaker.rate(limit, now_ms), UNITS.index(limit.unit)
        part = _part(question, unit, limit.amount - rate.spent, rate.reserved)
        if part >= 0:
            if part < granted[unit]:
                granted = granted._replace(**{UNITS[unit]: part})
        elif part == _SPENT:
            refused = breaker.too_fast(plan, policy, rate, want[unit], now_ms)
        elif part == _HELD:
            held.append(HeldLimit(breaker.account, limit, rate.spent, rate.reserved))
        elif by_holds is None:
            by_holds = Refused(
                breaker.account, limit, rate.spent, rate.reserved, want[unit], cause="velocity"
            )
    if refused is None:
        refused = by_holds
    if refused is not None:
        return refused
    return Contended(tuple(held), now_ms) if held else granted


_SPENT, _HELD, _TOO_LITTLE = -1, -2, -3


def _part(question: Question, unit: int, unspent: int, reserved: int) -> int:
    """What one limit grants; or why not: its money is spent, or only held, or held at the last ask."""
    want, floor, minimum = question.want[unit], question.floor[unit], question.minimum[unit]
    if unspent < minimum:
        return _SPENT
    room, useful = unspent - reserved, max(floor, minimum)
    if reserved and room < useful and room < unspent:
        if question.ask != "last":
            return _HELD
        if room < minimum:
            return _TOO_LITTLE
    return min(want, room, max(question.terms.share(room, reserved), useful))


def exceeded(plan: Plan, rules: Sequence[Rule], entry: Entry, now_ms: int) -> Refused | None:
    """The first limit of a call that is exceeded now."""
    for rule in rules:
        spent, reserved = rule.used()
        if spent + reserved > rule.limit.amount:
            asked = entry.amounts[rule.unit]
            if spent > rule.limit.amount:
                return _refused(plan, rule, spent, reserved, asked, now_ms)
            return Refused(rule.balance.key, rule.limit, spent, reserved, asked)
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

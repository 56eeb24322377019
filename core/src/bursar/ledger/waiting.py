"""Waits for calls in flight: a call that only they keep out asks again when they have ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, cast

from ..pricing.quote import Quote
from ..runtime.log import logger
from ..store.entry import UNITS, Ask, Entry
from ..store.results import Contended, Granted, Refused, StalePeriod
from ..values.amounts import Amounts
from ..values.policy import Terms
from . import verbs
from .hook_call import at_work
from .ledger import Ledger
from .own import OwnHold, own_holds
from .queue import Queue, Waiter
from .steps import Steps

_HELD_HERE = "this thread or task holds too much of it itself: settle or release that first"
_LOOP = "it cannot wait in a running event loop: await areserve(), or use an asynchronous client"


def admit(
    ledger: Ledger, queue: Queue, entry: Entry, asked: Quote, terms: Terms, check: Callable[[], object]
) -> Steps[tuple[Granted | Refused, float, str]]:
    """Reserve; where only calls in flight are in the way, wait for them and ask again.

    Args:
        ledger: of the budget.
        queue: where the calls of its tree wait in this process.
        entry: the call at its worst case.
        asked: how little of that is of use, and how much is worth waiting for.
        terms: of the budget.
        check: raises what ends the wait, such as a closed session.

    Returns:
        The answer; for how many seconds it waited; and what kept it from waiting for what is only held, for
        people, empty where nothing did.
    """
    waits = terms.enforce and ledger.policy.wait_s and not at_work()
    own, seen = own_holds(queue), queue.changes
    account = queue.line_for(entry.path) if waits and not own else None
    answer: Any = None
    if account is None:
        answer = yield "reserve", entry, asked.minimum, terms, asked.floor, "first" if waits else "last"
        if type(answer) is Granted:  # as most are
            return answer, 0.0, ""
    reserve = Reserve(ledger, entry, asked, terms, "first" if waits else "last")
    if account is None:
        answer = yield from reserve.heard(answer)
        if not isinstance(answer, Contended):
            return answer, 0.0, ""
        if reserve.may_wait(answer, own):
            account = answer.limits[0].account
    if account is None:
        answer = yield from reserve.last(_HELD_HERE)
    else:
        with queue.joined(reserve.waiter, account, first=bool(own), seen=seen):
            answer = yield from _wait(ledger, queue, reserve, check)
    return answer, reserve.waited_s, reserve.why_not


def _wait(
    ledger: Ledger, queue: Queue, reserve: Reserve, check: Callable[[], object]
) -> Steps[Granted | Refused]:
    """Ask again when those who are in the way have ended, for as long as that may take."""
    waiter, wait_s = reserve.waiter, ledger.policy.wait_s
    end_s = time.monotonic() + reserve.terms.lease_ms / 1000
    while True:
        until_s, now_s = min(queue.moved_s(waiter) + wait_s, end_s), time.monotonic()
        reserve.waited_s = now_s - waiter.since_s
        if now_s >= until_s:
            return (yield from reserve.last())
        pause_s = until_s - now_s
        if queue.is_head(waiter):
            pause_s = min(pause_s, queue.look_s(), reserve.lease_s())
        if not (yield from verbs.pause(waiter, pause_s)):
            return (yield from reserve.last(_LOOP))
        yield from ledger.leftovers()
        check()
        if not queue.is_head(waiter):
            continue
        before = reserve.contended
        answer = yield from reserve.ask(others_wait=queue.others_wait(waiter))
        reserve.waited_s = time.monotonic() - waiter.since_s
        if not isinstance(answer, Contended):
            logger.debug("call %s waited %.3f s for calls in flight", reserve.entry.id, reserve.waited_s)
            return answer
        if not reserve.may_wait(answer, own_holds(queue)):
            return (yield from reserve.last(_HELD_HERE))
        if before is not None and _progressed(before, answer):
            queue.progressed(waiter)
        queue.move(waiter, answer.limits[0].account)


class Reserve:
    """A call that was not granted at once, and is asked for again, and for the last time.

    Args:
        ledger: of the budget.
        entry: the call at its worst case.
        asked: how little of that is of use, and how much is worth waiting for.
        terms: of the budget.
        ask: how it was asked for.

    Attributes:
        contended: the last answer, where that was one.
        waiter: its place among those who wait.
        waited_s: how long it waited for others, in seconds.
        why_not: what kept it from waiting for what is only held, for people; empty where nothing did.
    """

    def __init__(self, ledger: Ledger, entry: Entry, asked: Quote, terms: Terms, ask: Ask) -> None:
        self.entry = entry
        self.terms = terms
        self.contended: Contended | None = None
        self.waiter = Waiter(entry.path)
        self.waited_s = 0.0
        self.why_not = ""
        self._ledger = ledger
        self._asked = asked
        self._ask = ask

    def heard(
        self, answer: Granted | Contended | Refused | StalePeriod, *, others_wait: bool = False
    ) -> Steps[Granted | Contended | Refused]:
        """What the store says, asked with the calendar that it wants."""
        if isinstance(answer, StalePeriod):
            answer = yield from self._ledger.again(answer, verbs.reserve, *self._asks(others_wait))
        if isinstance(answer, Contended):
            self.contended = answer
        self._ask = "again"
        return cast("Granted | Contended | Refused", answer)

    def ask(self, *, others_wait: bool = False) -> Steps[Granted | Contended | Refused]:
        """Ask again; where others wait, too, for a share of the room."""
        answer = yield from verbs.reserve(*self._asks(others_wait))
        return (yield from self.heard(answer, others_wait=others_wait))

    def _asks(self, others_wait: bool) -> tuple[Entry, Amounts, Terms, Amounts, Ask]:
        terms = self.terms._replace(others_wait=True) if others_wait else self.terms
        return self.entry, self._asked.minimum, terms, self._asked.floor, self._ask

    def last(self, why_not: str = "") -> Steps[Granted | Refused]:
        """Take what is there, or be refused."""
        self._ask, self.why_not = "last", why_not
        return cast("Granted | Refused", (yield from self.ask()))

    def may_wait(self, contended: Contended, own: tuple[OwnHold, ...]) -> bool:
        """True where others hold enough of each limit in the way, so that this call can fit one day."""
        for held in contended.limits:
            mine = sum(hold.reserves(held) for hold in own)
            least = self._asked.minimum[UNITS.index(held.limit.unit)]
            if held.spent + held.kept + mine + least > held.limit.amount:
                return False
        return True

    def lease_s(self) -> float:
        """Seconds until a lease ends that may be in the way, by the store's clock; 0 before the first ask."""
        if self.contended is None:
            return 0
        expires_ms = self.contended.expires_ms
        return math.inf if expires_ms is None else max(0, expires_ms - self.contended.now_ms) / 1000


def _progressed(before: Contended, after: Contended) -> bool:
    """True where something was settled or released since in a limit in the way."""
    then = {(held.account, held.limit.key): held for held in before.limits}
    for now in after.limits:
        was = then.get((now.account, now.limit.key))
        if was is None or was.spent != now.spent or now.reserved < was.reserved:
            return True
    return False

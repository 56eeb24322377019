"""One thread or task that reserves, calls the provider and settles, again and again, through the public API."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Generator
from typing import Any

from bursar import (
    Budget,
    BudgetExceeded,
    Hold,
    HoldClosed,
    LedgerRolledBack,
    Session,
    StoreError,
    StoreUnavailable,
)
from bursar.store import Store

from .board import LOST, Board, Slot
from .provider import Bill, Question, question
from .rounds import LEASE_S, Round

# Yields a method of the public API by its blocking name, or seconds to wait; is sent its answer.
Life = Generator["tuple[Any, str, tuple[Any, ...], dict[str, Any]] | float", Any, None]

MISSES = 5  # refusals in a row, of calls of any size, after which a round is over
LATE_S = LEASE_S + 0.05


def live(life: Life) -> None:
    """In a thread."""
    answer: Any = None
    try:
        wanted = next(life)
        while True:
            try:
                if isinstance(wanted, float):
                    answer = time.sleep(wanted)
                else:
                    thing, verb, given, named = wanted
                    answer = getattr(thing, verb)(*given, **named)
            except Exception as error:
                wanted = life.throw(error)
            else:
                wanted = life.send(answer)
    except StopIteration:
        return


async def alive(life: Life) -> None:
    """In a task."""
    answer: Any = None
    try:
        wanted = next(life)
        while True:
            try:
                if isinstance(wanted, float):
                    answer = await asyncio.sleep(wanted)
                else:
                    thing, verb, given, named = wanted
                    answer = await getattr(thing, f"a{verb}")(*given, **named)
            except Exception as error:
                wanted = life.throw(error)
            else:
                wanted = life.send(answer)
    except StopIteration:
        return


def nanos_of(hold: Hold) -> int:
    """What is held."""
    return int(hold.amount.scaleb(9))


class Caller:
    """What one thread does.

    Args:
        name: of its sessions; nobody else has it.
        slot: where it announces its steps.
        bill: where what it asked for is written down.
        dice: decide what it does.
    """

    def __init__(self, name: str, tenant: int, slot: Slot, bill: Bill, dice: random.Random) -> None:
        self._name, self._tenant = name, tenant
        self._slot, self._bill, self._dice = slot, bill, dice
        self._late: deque[tuple[float, Hold, Question, int]] = deque()

    def spend(self, round: Round, tenants: list[Budget]) -> Life:
        """Call until there is no money left."""
        slot, self._round = self._slot, round
        self._store: Store = tenants[0]._ledger.store
        self._late.clear()
        session = tenants[self._tenant].session(id=self._name)
        slot.join(round.number)
        misses = 0
        while misses < MISSES:
            while self._late and self._late[0][0] < time.monotonic():
                yield from self._answer_late()
            try:
                misses = 0 if (yield from self._call(session)) else misses + 1
            except LedgerRolledBack:
                slot.drop()
                slot.rest(LOST)
                yield 0.05
            if misses == MISSES and self._late and round.patient:
                yield max(0.0, self._late[0][0] - time.monotonic())
                yield from self._answer_late()
                misses = 0
        slot.rest()

    def _call(self, session: Session) -> Generator[Any, Any, bool]:
        """One, or a refusal of it; True where there still is money."""
        slot, dice, asked = self._slot, self._dice, question(self._dice)
        slot.ask(asked.worst)
        began_ns = time.perf_counter_ns()
        try:
            hold: Hold = yield session, "reserve", (), asked.words
        except BudgetExceeded:
            slot.refuse()
            return False
        except StoreUnavailable:
            slot.hear_nothing()
            yield from self._delivered()
            slot.drop()
            return True
        held = nanos_of(hold)
        slot.hold(held, time.perf_counter_ns() - began_ns)
        if dice.random() < 0.05:  # it was never sent
            yield from self._close(hold, 0, "resolve", ConnectionRefusedError())
            return True
        call = asked.served(hold.max_output_tokens, dice)
        slow = dice.random()
        if slow < 0.02:
            yield dice.uniform(0, 0.003)  # on its way to the provider
        self._bill.serve(self._round.number, self._tenant, call)
        slot.serve()
        if slow > 0.98:
            yield dice.uniform(0, 0.003)  # and back
        yield from self._hear(hold, held, call)
        return True

    def _hear(self, hold: Hold, held: int, call: Question) -> Life:
        """What the caller hears of a call that was served: the answer, nothing, or something late."""
        slot, fortune = self._slot, self._dice.random()
        if fortune < 0.005:
            slot.leave_open()
            if len(self._late) < 3:
                self._late.append((time.monotonic() + LATE_S, hold, call, held))
        elif fortune < 0.05:
            yield from self._close(hold, held, "resolve", TimeoutError())
            if fortune < 0.03:
                yield from self._correct(hold, call, held)
        else:
            said = self._said(call)
            yield from self._close(hold, call.worst, "settle", **said)
            if fortune < 0.10:  # told again, as after a lost answer
                yield from self._sent(hold, "settle", **said)

    def _answer_late(self) -> Life:
        _, hold, call, held = self._late.popleft()
        yield from self._correct(hold, call, held)

    def _correct(self, hold: Hold, call: Question, held: int) -> Life:
        """The answer came after all."""
        self._slot.correct(call.worst - held)
        yield from self._sent(hold, "settle", **self._said(call))
        yield from self._delivered()
        self._slot.close(pairs=0)

    def _close(self, hold: Hold, actual: int, verb: str, *given: Any, **named: Any) -> Life:
        slot = self._slot
        slot.conclude(actual)
        began_ns = time.perf_counter_ns()
        yield from self._sent(hold, verb, *given, **named)
        took_ns = time.perf_counter_ns() - began_ns
        if not actual and getattr(self._store, "undelivered", 0):
            slot.wait()
        yield from self._delivered()
        slot.close(took_ns)

    def _sent(self, hold: Hold, verb: str, *given: Any, **named: Any) -> Life:
        """A booking is made again until it is: what was paid is told, sooner or later."""
        while True:
            try:
                yield hold, verb, given, named
            except StoreError:
                yield 0.02
            except HoldClosed:  # what was not sent, after its lease: it is booked, and corrected
                assert isinstance(given[0], ConnectionRefusedError)
                verb, given, named = "settle", (), {"cost": 0}
            else:
                return

    def _delivered(self) -> Life:
        """What waits for a store that is down has arrived; only then is it announced as done."""
        while getattr(self._store, "undelivered", 0):
            yield 0.01

    @staticmethod
    def _said(call: Question) -> dict[str, Any]:
        if not call.sent:
            return {"cost": f"{call.most / 10**9:.9f}"}
        return {"input_tokens": call.sent, "output_tokens": call.most}


def wait_for_round(board: Board, last: int) -> Generator[float, Any, bool]:
    """Until another one is on; False when none comes."""
    while board.current == last:
        if board.over:
            return False
        yield 0.002
    return not board.over

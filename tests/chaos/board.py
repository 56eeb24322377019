"""What every thread is doing, in memory that outlives it: its killer reads there what was hit.

A thread announces a step with one write of eight bytes, after what belongs to the step. What it may
have spent can therefore be said to the nano-dollar, wherever it was killed.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import NamedTuple

IDLE, ASKING, HOLDING, SERVED, CLOSING, CLOSED, LATE, LOST = range(8)
LETTERS = {ASKING: "A", HOLDING: "B", SERVED: "C", CLOSING: "D", CLOSED: "E", LATE: "L", IDLE: "-", LOST: "!"}


class Fate(NamedTuple):
    """A thread at one moment, perhaps its last. Money in nano-dollars.

    Attributes:
        step: what it announced last.
        round: the round that the amounts belong to.
        before: what it had spent before the call that it is at.
        after: what it will have spent when the step is done.
        held: set aside for the call.
        actual: what the call cost, or 0 where it is released.
        want: the worst case that it asked for.
        unheard: the sum of the worst cases of reserves that nobody answered in time, and of releases that
            waited: they are withdrawn, and booked where their lease is over before that.
    """

    step: int
    round: int
    before: int
    after: int
    held: int
    actual: int
    want: int
    pairs: int
    refused: int
    slowest_reserve_ns: int
    slowest_settle_ns: int
    unheard: int

    @property
    def holds(self) -> bool:
        """A hold was open."""
        return self.step in (HOLDING, SERVED, CLOSING)

    def may_have_spent(self, nanos: int) -> bool:
        """What the ledger has of it when every lease is over is one of the amounts that it can be."""
        return any(least <= nanos <= most + self.unheard for least, most in self._amounts())

    def _amounts(self) -> list[tuple[int, int]]:
        """From the least to the most; where these are not the same, the answer to a reserve was not read."""
        if self.step in (IDLE, CLOSED, LOST):
            sums = [self.after]
        elif self.step == CLOSING:
            sums = [self.before + self.held, self.before + self.actual]
        elif self.step == LATE:
            sums = [self.before, self.after]
        elif self.step == ASKING:
            return [(self.before, self.before + self.want)]
        else:
            sums = [self.before + self.held]
        return [(nanos, nanos) for nanos in sums]


_FIELDS = len(Fate._fields)


class Slot:
    """The place of one thread on the board."""

    __slots__ = ("_words",)

    def __init__(self, words: memoryview) -> None:
        self._words = words

    def fate(self) -> Fate:
        """What is announced now."""
        return Fate(*self._words)

    @property
    def step(self) -> int:
        """What is announced now."""
        return self._words[0]

    def clear(self) -> None:
        """For another thread."""
        for field in range(_FIELDS):
            self._words[field] = 0

    def join(self, round: int) -> None:
        """A new round: nothing is spent."""
        words = self._words
        words[0], words[2], words[3], words[11] = IDLE, 0, 0, 0
        words[1] = round

    def ask(self, want: int) -> None:
        """A reserve will be sent."""
        words = self._words
        words[2] = words[3]
        words[6] = want
        words[0] = ASKING

    def hold(self, held: int, took_ns: int) -> None:
        """It was granted."""
        words = self._words
        words[4] = held
        words[0] = HOLDING
        words[9] = max(words[9], took_ns)

    def serve(self) -> None:
        """The provider did its work."""
        self._words[0] = SERVED

    def conclude(self, actual: int) -> None:
        """A settle, a release or a doubt will be sent, with this amount."""
        words = self._words
        words[5], words[3] = actual, words[2] + actual
        words[0] = CLOSING

    def leave_open(self) -> None:
        """Nothing will be sent: the lease books what is held."""
        words = self._words
        words[3] = words[2] + words[4]
        words[0] = CLOSED
        words[7] += 1

    def correct(self, by: int) -> None:
        """A settle of a call that was booked otherwise will be sent."""
        words = self._words
        words[2] = words[3]
        words[3] += by
        words[0] = LATE

    def close(self, took_ns: int = 0, pairs: int = 1) -> None:
        """It was answered."""
        words = self._words
        words[0] = CLOSED
        words[7] += pairs
        words[10] = max(words[10], took_ns)

    def hear_nothing(self) -> None:
        """The reserve was not answered in time; nobody will make the call."""
        self._words[11] += self._words[6]

    def wait(self) -> None:
        """The release waits for the store; where the lease ends before it arrives, the hold stays booked."""
        self._words[11] += self._words[4]

    def drop(self) -> None:
        """It was refused, or can be nothing any more."""
        words = self._words
        words[3] = words[2]
        words[0] = CLOSED

    def refuse(self) -> None:
        """There was no money."""
        self._words[8] += 1
        self.drop()

    def rest(self, step: int = IDLE) -> None:
        """Nothing more in this round; or nothing more at all."""
        self._words[0] = step


class Board:
    """All places, and what the storm wants.

    Args:
        path: of a file that all map.
        places: how many threads there are at a time.
    """

    def __init__(self, path: Path, places: int) -> None:
        size = 8 * (2 + places * _FIELDS)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(file, size)
        self._words = memoryview(mmap.mmap(file, size)).cast("q")
        os.close(file)
        self.slots = [Slot(self._words[2 + n * _FIELDS : 2 + (n + 1) * _FIELDS]) for n in range(places)]

    @property
    def current(self) -> int:
        """The round that is on."""
        return self._words[0]

    @current.setter
    def current(self, number: int) -> None:
        self._words[0] = number

    @property
    def over(self) -> bool:
        """No round comes any more."""
        return bool(self._words[1])

    def end(self) -> None:
        """Everybody may go."""
        self._words[1] = 1

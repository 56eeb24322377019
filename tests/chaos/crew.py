"""Workers and the board that they announce their steps on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..zones import early_zone
from .board import Board, Fate, Slot
from .nursery import Nursery
from .worker import Order


@dataclass
class Worker:
    """One of them.

    Attributes:
        number: of the process that it stands for, over all its replacements.
    """

    pid: int
    order: Order
    number: int


class Crew:
    """Processes that spend.

    Args:
        folder: where they leave their bills.
        url: of the store; empty where each has its own.
        broken: a row of `BROKEN`.
        calls: that the largest round takes, about.
    """

    def __init__(
        self, folder: Path, url: str, seed: int, processes: int, threads: int, calls: int, broken: str = ""
    ) -> None:
        self._folder, self._url, self._seed = folder, url, seed
        self._threads, self._calls, self._broken = threads, calls, broken
        self.tz = early_zone()
        self.board = Board(folder / "board", processes * threads)
        self._nursery = Nursery(folder / "log")
        self._serial = 0
        self.workers = [self._start(number) for number in range(processes)]

    def _start(self, number: int) -> Worker:
        self._serial += 1
        order = Order(
            folder=str(self._folder),
            url=self._url,
            broken=self._broken,
            seed=self._seed,
            serial=self._serial,
            place=number * self._threads,
            threads=self._threads,
            places=len(self.board.slots),
            tasks=number % 4 == 3,
            calls=self._calls,
            tz=self.tz,
        )
        for slot in self.board.slots[order.place : order.place + order.threads]:
            slot.clear()
        return Worker(self._nursery.start(order), order, number)

    def slots(self, worker: Worker) -> list[Slot]:
        """Where its threads announce their steps."""
        return self.board.slots[worker.order.place : worker.order.place + self._threads]

    def fates(self, worker: Worker) -> dict[str, Fate]:
        """What each of its threads announced last, by the names of their sessions."""
        return {f"{worker.order.serial}-{n}": slot.fate() for n, slot in enumerate(self.slots(worker))}

    def kill(self, worker: Worker) -> dict[str, Fate]:
        """SIGKILL, and another one in its place; what its threads were at."""
        self._nursery.signal(worker.pid, "SIGKILL")
        status = self._nursery.bury(worker.pid)
        assert status == -9, f"a worker ended by itself: {status}\n{self.log}"
        fates = self.fates(worker)
        self.workers[self.workers.index(worker)] = self._start(worker.number)
        return fates

    def pause(self) -> None:
        """Nobody moves."""
        for worker in self.workers:
            self._nursery.stop(worker.pid)

    def go_on(self) -> None:
        """Everybody goes on where he was."""
        for worker in self.workers:
            self._nursery.signal(worker.pid, "SIGCONT")

    def ask_where(self) -> None:
        """Let all write to the log what their threads and tasks are at."""
        for worker in self.workers:
            self._nursery.signal(worker.pid, "SIGUSR2")
            self._nursery.signal(worker.pid, "SIGUSR1")

    def end(self) -> None:
        """All go home, and well."""
        self.board.end()
        for worker in self.workers:
            assert self._nursery.bury(worker.pid) == 0, self.log

    @property
    def log(self) -> str:
        """The end of what they wrote to their standard error."""
        return (self._folder / "log").read_text()[-20_000:]

    def close(self) -> None:
        """End whoever is left."""
        self._nursery.close()

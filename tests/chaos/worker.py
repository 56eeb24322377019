"""A process that spends, until it is killed; and the process that it is forked from.

The nursery has imported everything and has no thread, so that a worker is there in milliseconds. It reads
orders, one a line, and answers each with a line: ``start {...}`` with a process id, ``bury PID`` (which is
dead, or about to be) with its status. Until it is buried, nobody else gets the number of a dead worker.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple, TextIO

from bursar.store import Store

from . import judge
from .board import Board, Fate
from .caller import Caller, Life, alive, live, wait_for_round
from .provider import Bill
from .rounds import LEASE_S, TENANTS, Round, round_of
from .stores import open_by

PRIVATE = 10_000  # rounds that a process without a shared store has numbers for


class Order(NamedTuple):
    """What a worker is to be.

    Attributes:
        serial: its number; no other worker has it.
        place: its first slot on the board.
        threads: how many, or how many tasks.
        tasks: True for tasks in one loop.
        url: of the store; empty where it has its own.
        calls: that the largest round takes, about.
    """

    folder: str
    url: str
    broken: str
    seed: int
    serial: int
    place: int
    threads: int
    places: int
    tasks: bool
    calls: int
    tz: str


class Work:
    """Threads that spend, round after round, as ordered."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.board = Board(Path(order.folder, "board"), order.places)
        self.slots = self.board.slots[order.place : order.place + order.threads]
        self.bill = Bill(Path(order.folder, f"bill-{order.serial}" if not order.url else "bill"))
        self.names = [f"{order.serial}-{n}" for n in range(order.threads)]

    def callers(self) -> list[Caller]:
        """One for each thread."""
        return [
            Caller(name, n % TENANTS, slot, self.bill, random.Random(f"{self.order.seed} {name}"))
            for n, (name, slot) in enumerate(zip(self.names, self.slots, strict=True))
        ]

    def run(self, lives: list[Life]) -> None:
        """To the end of all of them."""
        if self.order.tasks:

            async def together() -> None:
                asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _show_tasks)
                await asyncio.gather(*map(alive, lives))

            asyncio.run(together())
            return
        threads = [threading.Thread(target=live, args=(life,), daemon=True) for life in lives]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def share(self) -> None:
        """Spend from the store that all share, in the rounds that the storm calls."""
        store, order = open_by(self.order.url, self.order.broken), self.order

        def rounds(caller: Caller) -> Generator[object, object, None]:
            last = 0
            while (yield from wait_for_round(self.board, last)):  # type: ignore[misc]
                last = self.board.current
                round = round_of(order.seed, last, order.calls, order.tz)
                yield from caller.spend(round, round.tenants(store))

        self.run([rounds(caller) for caller in self.callers()])  # type: ignore[misc]

    def keep_alone(self) -> None:
        """Spend from balances that end with this process, in rounds of its own; and judge them."""
        callers, due = self.callers(), deque[tuple[float, Store, Round, dict[str, Fate]]]()
        findings = os.open(Path(self.order.folder, "findings"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        ended = os.open(Path(self.order.folder, "ledgers"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

        def tell(found: list[judge.Violation]) -> None:
            for violation in found:
                os.write(findings, (json.dumps(violation) + "\n").encode())

        def judge_due(now_s: float) -> None:
            while due and due[0][0] <= now_s:
                _, store, round, fates = due.popleft()
                spent, found = judge.after_lease(store, round, self.bill, fates)
                tell(found)
                os.write(ended, f"{round.number} {spent}\n".encode())

        def watch(store: Store, round: Round, over: threading.Event) -> None:
            while not over.wait(0.003):
                tell(judge.sample(store, round))

        for number in range(1, PRIVATE):
            if self.board.over:
                break
            store = open_by("", self.order.broken)
            round = round_of(
                self.order.seed, self.order.serial * PRIVATE + number, self.order.calls, self.order.tz
            )
            over = threading.Event()
            watcher = threading.Thread(target=watch, args=(store, round, over), daemon=True)
            watcher.start()
            tenants = round.tenants(store)
            self.run([caller.spend(round, tenants) for caller in callers])
            over.set()
            watcher.join()
            tell(judge.at_end(store, round, self.bill))
            fates = {name: slot.fate() for name, slot in zip(self.names, self.slots, strict=True)}
            due.append((time.monotonic() + LEASE_S + 0.1, store, round, fates))
            judge_due(time.monotonic())
        time.sleep(LEASE_S + 0.1)
        judge_due(time.monotonic() + 1)

    def do(self) -> None:
        """All of it."""
        if self.order.url:
            self.share()
        else:
            self.keep_alone()


def _show_tasks() -> None:
    """Where each task waits, down to what it waits for."""
    for task in asyncio.all_tasks():
        waiting: object = task.get_coro()
        while waiting is not None:
            sys.stderr.write(f"{waiting}\n")
            waiting = getattr(waiting, "cr_await", getattr(waiting, "gi_yieldfrom", None))
    sys.stderr.flush()


def nurse(orders: TextIO, answers: TextIO) -> None:
    """Start and bury workers until the orders end; then all that are left are ended."""
    born: set[int] = set()
    for line in orders:
        verb, _, rest = line.partition(" ")
        if verb == "start":
            pid = os.fork()
            if pid == 0:
                os.close(orders.fileno())
                signal.signal(signal.SIGUSR1, signal.SIG_IGN)
                faulthandler.register(signal.SIGUSR2)  # by which the storm asks where it got stuck
                code = 1
                try:
                    Work(Order(*json.loads(rest))).do()
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            born.add(pid)
            answers.write(f"{pid}\n")
        else:
            _, status = os.waitpid(int(rest), 0)
            born.discard(int(rest))
            answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()
    for pid in born:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    nurse(sys.stdin, sys.stdout)

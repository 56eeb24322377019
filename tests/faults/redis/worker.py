"""A process that spends, until it is killed: it reserves, bills itself in a file, and settles."""

from __future__ import annotations

import os
import random
import sys
import threading
import time

from bursar import Budget, BudgetExceeded

LIMIT, WORST = "$0.10/total", 50_000  # the worst case of a call in nano-dollars


def spend(budget: Budget, bill: int, seed: int) -> None:
    """Calls until there is no money left. The bill is one append: it exists before anything is settled."""
    dice = random.Random(seed)
    session = budget.session("$1", id=f"{os.getpid()}-{seed}")
    while True:
        try:
            hold = session.reserve(cost=f"0.{WORST:09d}")
        except BudgetExceeded:
            return
        cost = dice.randint(1, WORST)
        os.write(bill, b"%d %d\n" % (os.getpid(), cost))
        time.sleep(dice.uniform(0, 0.01))  # the provider answers
        hold.settle(cost=f"0.{cost:09d}")
        os.write(bill, b"%d settled\n" % os.getpid())


if __name__ == "__main__":
    url, path, seed, *worst = sys.argv[1:]
    WORST = int(worst[0]) if worst else WORST
    shared = Budget(LIMIT, store=url, lease="2s", max_repeated_calls=None)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    threads = [threading.Thread(target=spend, args=(shared, file, int(seed) * 10 + n)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

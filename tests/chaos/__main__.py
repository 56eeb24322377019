"""Storms: processes that spend are killed at any moment, and nobody may have spent too much.

`nox -s chaos -- --store redis --pairs 1000000 --kills 1000 --seed N`; the tests run short ones.

- `provider` is the judge: a bill that a call is written on when it is served, with prices of its own.
- `caller` is a thread or a task that reserves, calls and settles through the public API. Some calls are
  released, in doubt, told twice, told late, or left to their lease; none costs more than its hold.
- `board` is memory that outlives a thread: what it was at, and so what it may have spent, to the
  nano-dollar, wherever it was killed.
- `worker` is a process of callers, `nursery` and `crew` are where it comes from.
- `rounds` are budgets small enough to be spent to the edge in seconds, `stores` where they are kept.
- `storm` kills, by its dice: at an announced step (A before a reserve is answered, B with a hold, C when the
  call is served, D before a settle is answered, E after it) or at any instant. The seed says who is
  killed at what and who asks for what; the system says who runs when.
- `judge` has the checks: the bill against the limits, every balance against the sum of its calls.
- `broken` has stores that break a promise, which a storm has to find.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from .stores import STORES
from .storm import Storm

LEAST_HITS = 100


def main() -> int:
    """Storm over each store, and print what came of it."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--store", action="append", choices=STORES, help="one of them; again for more (default: all)"
    )
    parser.add_argument(
        "--pairs", type=int, default=1_000_000, help="of reserve and settle (default: 1,000,000)"
    )
    parser.add_argument("--kills", type=int, default=1_000, help="of processes (default: 1,000)")
    parser.add_argument(
        "--crashes", type=int, default=20, help="of the server, where there is one (default: 20)"
    )
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=4, help="of each process; tasks in every fourth")
    parser.add_argument("--seed", type=int, help="of all dice (default: a new one)")
    parser.add_argument("--minutes", type=float, default=60, help="that a store may take (default: 60)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each store")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else secrets.randbelow(10**6)
    sound = True
    for name in options.store or STORES:
        storm = Storm(
            name,
            seed,
            options.pairs,
            options.kills,
            options.crashes,
            options.processes,
            options.threads,
            most_s=60 * options.minutes,
            say=Progress(),
        )
        outcome = storm.run()
        sys.stdout.write(f"{outcome.document() if options.json else outcome}\n")
        sys.stdout.flush()
        if outcome.kills_in_a_hold < min(LEAST_HITS, options.kills / 4):
            sys.stderr.write(f"too few kills hit an open hold: {outcome.kills_in_a_hold}\n")
            sound = False
        sound = sound and not outcome.violations
    return not sound


class Progress:
    """A line every ten seconds."""

    def __init__(self) -> None:
        self._said_s = time.monotonic()

    def __call__(self, line: str) -> None:
        """Print it, if it is time."""
        if time.monotonic() - self._said_s > 10:
            self._said_s = time.monotonic()
            sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())

"""What a paid call costs in time and memory. Speed is measured and shown here, and asserted nowhere."""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
from contextlib import ExitStack

import alerting
import endurance
import passing
import reserving
import tracking
import waiting
from rich.console import Console
from rich.progress import Progress
from tables import Found, document, show
from timing import Case, timings

PARTS = ("reserving", "passing", "tracking", "alerting", "waiting", "endurance", "growth")


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all), or profile"
    )
    parser.add_argument(
        "--calls", type=int, default=25_000, help="of each case that is timed (default: 25,000)"
    )
    parser.add_argument(
        "--long", type=int, default=1_000_000, help="calls of the long run (default: 1,000,000)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args(arguments)
    parts = options.parts or PARTS
    if unknown := set(parts) - {*PARTS, "profile"}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if "profile" in parts:
        profile(options.calls)
        return 0
    found = measured(parts, options.calls, options.long)
    if options.json:
        sys.stdout.write(document(found) + "\n")
    else:
        show(found, Console())
    return 0


def measured(parts: list[str], calls: int, long: int) -> Found:
    """What was asked for, with a bar for each part on the standard error."""
    found: Found = {}
    with ExitStack() as stack, Progress(console=Console(stderr=True), transient=True) as progress:

        def timed(part: str, cases: list[Case], calls: int = calls) -> None:
            bar = progress.add_task(part, total=len(cases) * calls * 26 // 25)
            found[part] = timings(cases, calls, lambda done: progress.advance(bar, done))

        if "reserving" in parts:
            timed("reserving", list(reserving.cases()))
            timed("files", list(reserving.files(stack)), max(1, calls // 25))
        if "passing" in parts:
            timed("passing", list(passing.cases()))
        if "tracking" in parts:
            timed("tracking", list(tracking.cases(stack)))
        if "alerting" in parts:
            timed("alerting", list(alerting.cases(stack)), alerting.CALLS)
        if "waiting" in parts:
            bar = progress.add_task("waiting", total=waiting.RUNS)
            found["gaps"], found["wakes"] = waiting.run(lambda done: progress.advance(bar, done))
        if "endurance" in parts:
            bar = progress.add_task("endurance", total=long)
            found["endurance"] = list(endurance.run(long, lambda done: progress.advance(bar, done)))
        if "growth" in parts:
            bar = progress.add_task("growth", total=endurance.WARM + long // 10)
            found["growth"] = endurance.growth(long // 10, lambda done: progress.advance(bar, done))
    return found


def profile(calls: int) -> None:
    """Where the time of a call goes, by function; the profiler makes small functions look dear."""
    case = next(reserving.cases())
    watch = cProfile.Profile()
    for _ in range(12_000):
        case.call(None)
    with watch:
        for _ in range(calls):
            case.call(None)
    pstats.Stats(watch).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    sys.exit(main())

"""What a paid call costs in time and memory, beside three peers and beside the floors of each store.

Speed is measured and shown here, and asserted nowhere.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import platform
import pstats
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

import alerting
import crowds
import fleet
import imports
import late
import page
import passing
import peers
import reserving
import sdks
import stores
import waiting
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rows import Row
from timing import ROUNDS

Part = Callable[[Callable[[int], object]], Iterator[Row]]
LIBRARIES = ("bursar", "agentbudget", "shekel", "floe-guard", "openai", "pluggy", "redis")


def parts(last: int) -> dict[str, tuple[int, Part]]:
    """What can be asked for: how many steps it has, and what measures it."""
    return {
        "memory": (ROUNDS, peers.reserving),
        "booking": (ROUNDS, peers.booking),
        "sdk": (2 * ROUNDS, sdks.run),
        "import": (ROUNDS, imports.run),
        "sqlite": (2 * ROUNDS, stores.sqlite),
        "redis": (3 * ROUNDS, stores.redis_),
        "late": (last, lambda done: late.run(last, done)),
        "kept": (4, peers.kept),
        "crowds": (7 * ROUNDS, crowds.run),
        "waiting": (ROUNDS, waiting.run),
        "paths": (ROUNDS, reserving.run),
        "passing": (ROUNDS, passing.run),
        "alerting": (ROUNDS, alerting.run),
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print."""
    known = parts(1_000_000)
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(known)} fleet (default: all), or profile"
    )
    parser.add_argument(
        "--long", type=int, default=1_000_000, help="calls of the long run (default: 1,000,000)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument(
        "--write", action="store_true", help="write docs/benchmarks.md, docs/scale.md and their figures anew"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - {*known, "fleet", "profile"}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if options.write and options.parts:
        parser.error("--write takes all parts: the page has them all")
    if options.long < 1_000:
        parser.error("--long takes 1,000 calls or more")
    if "profile" in options.parts:
        profile()
        return 0
    found = measured(options.parts or [*known, "fleet"], options.long)
    if options.write:
        page.write(found)
    if options.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        show(found, Console())
    return 0


def measured(wanted: list[str], last: int) -> dict[str, Any]:
    """One document: the machine, and the rows of each part; a bar for each part on the standard error."""
    known, found, carried = parts(last), {}, {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for name in wanted:
            if name == "fleet":
                bar = progress.add_task(name, total=len(fleet.PROCESSES))
                carried = fleet.run(lambda done, bar=bar: progress.advance(bar, done))
                continue
            steps, part = known[name]
            bar = progress.add_task(name, total=steps)
            rows = part(lambda done, bar=bar: progress.advance(bar, done))
            found[name] = [asdict(each) for each in rows]
    return {"measured_on": machine(), "parts": found, "fleet": carried}


def machine() -> dict[str, Any]:
    """What it was measured on, and when."""
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()}, {platform.machine()}",
        "cores": os.cpu_count(),
        "rounds": ROUNDS,
        "versions": {library: version(library) for library in LIBRARIES},
    }


def show(found: dict[str, Any], console: Console) -> None:
    """One table of all rows."""
    machine = found["measured_on"]
    console.print(f"{machine['python']}, {machine['system']}, {machine['cores']} cores, {machine['date']}")
    console.print(", ".join(f"{name} {its}" for name, its in machine["versions"].items()))
    table = Table("work", "bursar", "beside it", "to reach", "found")
    for rows in found["parts"].values():
        for row in rows:
            table.add_row(*page.cells(row))
    if found["parts"]:
        console.print(table)
    if found["fleet"]:
        loads = Table(*page.LOADS)
        for load in found["fleet"]["loads"]:
            loads.add_row(*page.load(load))
        console.print(loads)
        console.print(f"a session keeps {found['fleet']['bytes_a_session']:,.0f} bytes in the server")


def profile() -> None:
    """Where the time of a call goes, by function; the profiler makes small functions look dear."""
    case = next(reserving.cases())
    watch = cProfile.Profile()
    for _ in range(12_000):
        case.call(None)
    with watch:
        for _ in range(25_000):
            case.call(None)
    pstats.Stats(watch).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    sys.exit(main())

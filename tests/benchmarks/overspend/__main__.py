"""How much more than its budget of $1 the same runaway work costs under each library: `-- --json` for scripts.

Nothing leaves this machine: the provider is `bursar.testing.ScriptedProvider`, which bills by itself. Each
work runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib.metadata import version

from libraries import LIBRARIES, LIMIT_USD
from rich.console import Console
from rich.progress import track
from rich.table import Table
from works import WORKS, Figures

Found = dict[str, dict[str, Figures]]


def main() -> int:
    """Run all, and print the table; 1 where bursar has let more through than its limit."""
    parser = argparse.ArgumentParser(prog="overspend", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument("--one", nargs=2, metavar=("WORK", "LIBRARY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        work, library = options.one
        sys.stdout.write(json.dumps(WORKS[work](library)) + "\n")
        return 0
    found: Found = {work: {} for work in WORKS}
    cells = [(work, library) for work in WORKS for library in LIBRARIES]
    for work, library in track(cells, "works", console=Console(stderr=True), transient=True):
        command = (sys.executable, __file__, "--one", work, library)
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            sys.exit(f"{work}, {library}: {ran.stderr}")
        found[work][library] = tuple(json.loads(ran.stdout.splitlines()[-1]))
    if options.json:
        sys.stdout.write(document(found) + "\n")
    else:
        show(found)
    return int(any(row["bursar"][1] > LIMIT_USD for row in found.values()))


def document(found: Found) -> str:
    """One JSON document: USD, and the version of each library."""
    names = ("calls", "billed_usd", "reported_usd")
    works = {
        work: {library: dict(zip(names, row[library], strict=True)) for library in LIBRARIES}
        for work, row in found.items()
    }
    versions = {library: version(library) for library in LIBRARIES}
    return json.dumps({"limit_usd": LIMIT_USD, "versions": versions, "works": works}, indent=2)


def show(found: Found) -> None:
    """A row for each work, a column for each library."""
    table = Table(
        title=f"Limit ${LIMIT_USD}: calls served, the provider's bill, and what the library reports"
    )
    table.add_column("work")
    for library in LIBRARIES:
        table.add_column(f"{library} {version(library)}", justify="right")
    for work, row in found.items():
        table.add_row(work, *(cell(*row[library]) for library in LIBRARIES))
    Console().print(table)


def cell(calls: int, billed: float, reported: float) -> str:
    """One figure: what is above the limit is red."""
    colour = "red" if billed > LIMIT_USD else "green"
    return f"{calls}: [{colour}]${billed:.2f}[/{colour}], says ${reported:.2f}"


if __name__ == "__main__":
    sys.exit(main())

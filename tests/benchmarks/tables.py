"""What was measured, as tables for people or as JSON for scripts."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from endurance import Checkpoint, Growth
from rich import box
from rich.console import Console
from rich.table import Table
from timing import Timing

Found = dict[str, Any]
LIBRARIES = ("bursar", "agentbudget", "shekel")


def document(found: Found) -> str:
    """Everything, and what it was measured on."""
    machine = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "system": platform.system(),
        **{library: version(library) for library in LIBRARIES},
    }
    return json.dumps({"measured_on": machine, **found}, indent=2, default=asdict)


def show(found: Found, console: Console) -> None:
    """One table for each question."""
    if "reserving" in found:
        console.print(timing_table("Reserve + settle, memory store", found["reserving"]))
    if "files" in found:
        console.print(timing_table("Reserve + settle, by where the balances are", found["files"], ratio=True))
    if "passing" in found:
        plain, covered = found["passing"]
        console.print(timing_table("A call of an SDK that nobody pays for", found["passing"]))
        console.print(f"  the cover adds {covered.median_us - plain.median_us:.1f} us; allowed are 2\n")
    if "tracking" in found:
        beside = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
        console.print(timing_table(f"After the call: {beside}", found["tracking"], ratio=True))
    if "alerting" in found:
        alone, *hooked = found["alerting"]
        console.print(timing_table("A call that causes an alert", found["alerting"]))
        most_us = max(0, *(each.median_us - alone.median_us for each in hooked))
        console.print(f"  a webhook adds {most_us:.1f} us; allowed are 1,000\n")
    if "gaps" in found:
        console.print(timing_table("An event loop: the largest gap of a beat each ms", found["gaps"]))
        console.print(timing_table("A call that waits: from a settle to its grant", found["wakes"]))
    if "endurance" in found:
        console.print(endurance_table(found["endurance"]))
    if "growth" in found:
        console.print(growth_line(found["growth"]))


def timing_table(title: str, rows: Sequence[Timing], *, ratio: bool = False) -> Table:
    """Microseconds a call; with the ratio to the first row."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("")
    for heading in ("best us", "median us", "p95 us", *(("ratio",) if ratio else ())):
        table.add_column(heading, justify="right")
    for row in rows:
        times = (row.best_us, row.median_us, row.p95_us)
        shown = [f"{time:,.1f}" for time in times]
        if ratio:
            shown.append(f"{row.median_us / rows[0].median_us:.2f}")
        table.add_row(row.name, *shown)
    return table


def endurance_table(rows: Sequence[Checkpoint]) -> Table:
    """Medians of the thousand calls before each number, and the ratio to the first."""
    table = Table(title="One session, call after call", box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("call", "median us", "p95 us", "ratio", "live objects", "RSS MB"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            f"{row.call:,}",
            f"{row.median_us:.1f}",
            f"{row.p95_us:.1f}",
            f"{row.median_us / rows[0].median_us:.2f}",
            f"{row.objects:,}",
            "-" if row.rss_mb is None else f"{row.rss_mb:.1f}",
        )
    return table


def growth_line(growth: Growth) -> str:
    """Memory, in a sentence."""
    return (
        f"tracemalloc: {growth.warm_mb:.1f} MB after the warm-up, {growth.end_mb:.1f} MB after"
        f" {growth.calls:,} more calls: {growth.bytes_a_call:.1f} bytes a call"
    )

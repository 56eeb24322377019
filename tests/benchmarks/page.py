"""docs/benchmarks.md, its chart, and docs/scale.md, made from the figures of a run: nobody writes a number there by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[2]
FIGURES = Path(__file__).with_name("figures.json")
TEMPLATE = Path(__file__).with_name("page.md")
PAGE = ROOT / "docs" / "benchmarks.md"
SCALE_TEMPLATE = Path(__file__).with_name("scale.md")
SCALE = ROOT / "docs" / "scale.md"
CHART = ROOT / "docs" / "benchmarks.svg"

MAIN = ("memory", "booking", "sdk", "import", "sqlite", "redis", "late", "kept")
CHARTED = ("memory", "booking", "sdk", "import")
LOADS = ("processes", "pairs a second", "reserve, median", "99 of 100", "server's core", "server, a pair")
COLOURS = {"bursar": "#2563eb"}
WIDTH, LEFT, BAR = 860, 190, 18


def write(found: dict[str, Any]) -> None:
    """Keep the figures of a run, and make the pages and the chart of them."""
    FIGURES.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    PAGE.write_text(page(found), "utf-8")
    CHART.write_text(chart(found), "utf-8")
    SCALE.write_text(scale(found), "utf-8")


def page(found: dict[str, Any]) -> str:
    """The template, with what the run has found in its place."""
    machine, parts = found["measured_on"], found["parts"]
    lines = [row for name in MAIN for row in parts[name]]
    goals = [goal for row in lines for goal in row["goals"]]
    places = {
        "main": table(lines, goals=True),
        "crowds": table([*parts["crowds"], *parts["waiting"]]),
        "rest": table([*parts["paths"], *parts["passing"], *parts["alerting"]], goals=True),
        "missed": missed(lines),
        "reached": f"{sum(goal['reached'] for goal in goals)} of {len(goals)}",
        "versions": ", ".join(f"{name} {its}" for name, its in machine["versions"].items()),
        **{name: str(machine[name]) for name in ("date", "python", "system", "cores", "rounds")},
    }
    return filled(TEMPLATE, places)


def scale(found: dict[str, Any]) -> str:
    """What one Redis carries as it was measured, and what follows from it by arithmetic."""
    loads, machine = found["fleet"]["loads"], found["measured_on"]
    server_us = round(median(each["server_us"] for each in loads))
    full = 1_000_000 // server_us
    kept = round(found["fleet"]["bytes_a_session"], -2)
    places = {
        "fleet": markdown(LOADS, [load(each) for each in loads]),
        "us": f"{server_us:,}",
        "full": f"{full:,}",
        "half": f"{full // 2:,}",
        "servers": f"{ceil(100_000 / (full // 2)):,}",
        "bytes": f"{kept:,.0f}",
        "memory": f"{kept / 1000:.1f}",
        **{name: str(machine[name]) for name in ("date", "python", "system", "cores")},
    }
    return filled(SCALE_TEMPLATE, places)


def load(each: dict[str, Any]) -> tuple[str, ...]:
    """A line of what so many processes got done."""
    return (
        f"{each['processes']}",
        f"{each['pairs_s']:,.0f}",
        f"{each['median_ms']:.2f} ms",
        f"{each['p99_ms']:.1f} ms",
        f"{each['server']:.0%}",
        f"{each['server_us']:.0f} us",
    )


def filled(template: Path, places: dict[str, str]) -> str:
    """A template, with the figures in their places."""
    text = template.read_text("utf-8")
    for name, value in places.items():
        text = text.replace(f"<<{name}>>", value)
    return text


def markdown(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *lines))


def table(rows: list[dict[str, Any]], *, goals: bool = False) -> str:
    """A table of Markdown; its last columns only where something is to be reached."""
    columns = 5 if goals else 3
    head = ("work", "bursar", "beside it", "to reach", "found")[:columns]
    return markdown(head, [cells(row)[:columns] for row in rows])


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Work, ours, the others, what is to be reached, and whether it is."""
    ours, *others = row["figures"]
    beside = [f"{other['name']} {shown(other, row['unit'])}" for other in others]
    reach = "; ".join(goal["what"] for goal in row["goals"])
    found = "; ".join(f"{goal['found']:g}: {'yes' if goal['reached'] else 'no'}" for goal in row["goals"])
    note = [row["note"]] if row["note"] else []
    return row["work"], shown(ours, row["unit"]), "; ".join([*beside, *note]), reach, found


def shown(figure: dict[str, Any], unit: str) -> str:
    """The median, and where the middle half of the rounds lies."""
    median, low, high = (number(figure[name]) for name in ("median", "low", "high"))
    spread = "" if low == high else f" ({low} to {high})"
    return f"{median} {unit}{spread}"


def number(value: float) -> str:
    """Three digits, about."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def missed(rows: list[dict[str, Any]]) -> str:
    """What is not reached, a line each."""
    lines = [
        f"- {row['work']}: {goal['what']}, found {goal['found']:g}"
        for row in rows
        for goal in row["goals"]
        if not goal["reached"]
    ]
    return "\n".join(lines) or "Nothing."


def chart(found: dict[str, Any]) -> str:
    """Bars: those of one piece of work share a scale, different pieces do not."""
    shapes, y = [], 10
    for row in (row for name in CHARTED for row in found["parts"][name]):
        shapes.append(
            f'<text x="10" y="{y + 14}" font-weight="bold">{escape(row["work"].replace("`", ""))}</text>'
        )
        y += 22
        longest = max(figure["median"] for figure in row["figures"]) or 1
        shapes += bars(row, longest, y)
        y += BAR * len(row["figures"]) + 14
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
        ' font-family="system-ui, sans-serif" font-size="13">'
    )
    ground = f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>'
    title = "<title>Time of each piece of work, by library; shorter is faster</title>"
    return "\n".join([head, title, ground, *shapes, "</svg>", ""])


def bars(row: dict[str, Any], longest: float, y: int) -> Iterator[str]:
    """One for each figure, with its name and its number."""
    for number_, figure in enumerate(row["figures"]):
        top = y + BAR * number_
        width = max(1, round((WIDTH - LEFT - 110) * max(0, figure["median"]) / longest))
        colour = COLOURS.get(figure["name"], "#9ca3af")
        yield f'<text x="{LEFT - 8}" y="{top + 13}" text-anchor="end">{escape(figure["name"])}</text>'
        yield f'<rect x="{LEFT}" y="{top + 2}" width="{width}" height="{BAR - 4}" fill="{colour}"/>'
        yield f'<text x="{LEFT + width + 6}" y="{top + 13}">{number(figure["median"])} {row["unit"]}</text>'

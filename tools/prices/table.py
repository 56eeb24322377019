"""The table as it is written, and what a new one changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .names import undated
from .rows import CLASSES, SERVICE_TIERS, Row


def slim(row: Row) -> Row:
    """Without what the reader of the table can infer."""
    order = [*CLASSES, "fee", "q", "x", "m", "t", *SERVICE_TIERS, "from"]
    slimmed = {key: row[key] for key in order if key in row}

    def steps_of(parent: Row, row: Row) -> list[list[Any]]:
        base = {**{k: parent[k] for k in CLASSES if k in parent}, **row}
        found = []
        for above, classes in row["t"]:
            found.append(
                [above, {k: classes[k] for k in CLASSES if k in classes and classes[k] != base.get(k)}]
            )
        return [entry for index, entry in enumerate(found) if entry[1] or index]

    if "t" in slimmed:
        slimmed["t"] = steps_of({}, slimmed)
    for service in SERVICE_TIERS:
        if service in slimmed:
            mine = {k: v for k, v in slimmed[service].items() if k == "t" or v != row.get(k)}
            if "t" in mine:
                mine["t"] = steps_of(row, mine)
            slimmed[service] = mine
    if "fast" in slimmed and slimmed["fast"] == slimmed.get("priority"):
        slimmed["fast"] = "priority"
    return slimmed


def prune(models: dict[str, Row]) -> dict[str, Row]:
    """Without dated names that cost what the undated one costs: the resolver finds that by itself."""
    kept = {}
    for name, row in models.items():
        base = undated(name)
        if base == name or models.get(base) != row:
            kept[name] = row
    return kept


def dumped(head: dict[str, str], table: dict[str, dict[str, Row]]) -> str:
    """One price to a line, under the names that share it, so that a diff can be read."""
    lines = ["{", f'"head":{json.dumps(head)},', '"models":{']
    for provider in sorted(table):
        shared: dict[str, list[str]] = {}
        for name, row in sorted(prune(table[provider]).items()):
            shared.setdefault(json.dumps(slim(row), separators=(",", ":")), []).append(name)
        rows = sorted((names, row) for row, names in shared.items())
        body = ",\n".join(f"[{json.dumps(names, separators=(',', ':'))},{row}]" for names, row in rows)
        lines += [f'"{provider}":[', body, "]" + ("," if provider != max(table) else "")]
    return "\n".join([*lines, "}}", ""])


def difference(old: str, new: str) -> Iterator[str]:
    def flat(text: str) -> dict[str, str]:
        models = json.loads(text)["models"]
        return {
            f"{provider}/{name}": json.dumps(row)
            for provider, rows in models.items()
            for names, row in rows
            for name in names
        }

    before, after = flat(old), flat(new)
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{name}\n  - {before.get(name, 'absent')}\n  + {after.get(name, 'absent')}"

"""A row of the table: what a model costs, by class of tokens; and the upper envelope of several."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal
from typing import Any

# Our classes, in pico-dollars per token: i input, o output, c cached, w / h cache write for minutes / for
# longer, a / b audio in / out, d cached audio. In nano-dollars: `fee` of each call, `q` of a hosted tool.
CLASSES = "iocwhabd"
SERVICE_TIERS = ("batch", "flex", "priority", "fast")

# Classes, "fee", "q", "x" context window, "m" max output, "t" size tiers, service tiers; "from": where both
# sources disagree, which of them, of what day and by what rule.
Row = dict[str, Any]


def ceil(value: Decimal) -> int:
    """Up to the next whole unit, without the dust in the 17th digit of a source that computes in doubles."""
    return int(Decimal(format(value, ".15g")).to_integral_value(ROUND_CEILING))


def usd(pico: int) -> str:
    return f"${Decimal(pico).scaleb(-6).normalize():f}"


def priced(classes: dict[str, int], embedding: bool) -> bool:
    """True for a model that tokens pay for. Makes the output of an embedding free, and nothing else."""
    if embedding and classes.get("i"):
        classes["o"] = 0
        return True
    return bool(classes.get("i")) and bool(classes.get("o"))


def assemble(row: Row, prices: dict[tuple[str, int], dict[str, int]]) -> None:
    """Hang size tiers and service tiers under a row."""
    tiers = [
        [above, classes] for (service, above), classes in sorted(prices.items()) if not service and above
    ]
    if tiers:
        row["t"] = tiers
    for service in SERVICE_TIERS:
        base = prices.get((service, 0))
        if base and any(base.values()):
            row[service] = dict(base)
            steps = [
                [above, classes]
                for (name, above), classes in sorted(prices.items())
                if name == service and above
            ]
            if steps:
                row[service]["t"] = steps


def step(row: Row, above: int) -> dict[str, int]:
    """The classes that apply above a threshold, each from the last step that lists it."""
    classes = {letter: row[letter] for letter in CLASSES if row.get(letter) is not None}
    for start, listed in row.get("t", ()):
        if start <= above:
            classes.update({letter: listed[letter] for letter in CLASSES if listed.get(letter) is not None})
    return classes


def like_cached(row: Row, others: Iterable[Row]) -> Row:
    """Says that cached input costs plain input, where others have a price for it and this row has none."""
    if "c" in row or not any("c" in other for other in others):
        return row
    full = {**row, "c": row["i"]}
    if "t" in row:
        full["t"] = [[above, {"c": classes.get("i", row["i"]), **classes}] for above, classes in row["t"]]
    for service in SERVICE_TIERS:
        if service in row:
            full[service] = like_cached({"i": row["i"], **row[service]}, others)
    return full


def uncached(row: Row) -> Row:
    """The same row with cached input at the price of plain input."""
    bare = {key: value for key, value in row.items() if key != "c"}
    if "t" in row:
        bare["t"] = [
            [above, {letter: pico for letter, pico in classes.items() if letter != "c"}]
            for above, classes in row["t"]
        ]
    for service in SERVICE_TIERS:
        if service in row:
            bare[service] = uncached(row[service]) if "i" in row[service] else row[service]
    return like_cached(bare, [{"c": 0}]) if "i" in row else bare


def only_classes(row: Row, other: Row, without: Row | None = None) -> Row:
    """The classes that another row has too, at any size of the request: no fees, service tiers or sizes.

    Args:
        row: to take them from.
        other: says which.
        without: a row whose classes are left out.
    """
    wanted = {letter for letter in CLASSES if letter in row and letter in other} - {*(without or ())}
    shared = {letter: row[letter] for letter in CLASSES if letter in wanted}
    if "t" in row and shared:
        shared["t"] = [
            [above, {letter: pico for letter, pico in classes.items() if letter in shared}]
            for above, classes in row["t"]
        ]
    return shared


def only_prices(row: Row) -> Row:
    """A row without its sizes, which change without a price."""
    return {letter: value for letter, value in row.items() if letter not in ("x", "m")}


def dearer(rows: Iterable[Row]) -> Row:
    """The upper envelope of rows for one model."""
    rows = list(rows)
    merged: Row = {}
    thresholds = sorted({start for row in rows for start, _ in row.get("t", ())})
    for row in rows:
        for letter, value in row.items():
            if value is not None and (letter in CLASSES or letter in ("x", "m", "fee")):
                merged[letter] = max(value, merged.get(letter, value))
            elif letter == "q":
                fees = merged.setdefault("q", {})
                for tool, nanos in value.items():
                    fees[tool] = max(nanos, fees.get(tool, 0))
    if thresholds:
        merged["t"] = [[above, envelope(step(row, above) for row in rows)] for above in thresholds]
    for service in SERVICE_TIERS:
        listed = [row[service] for row in rows if service in row]
        if listed:
            merged[service] = service_row(dearer(listed), merged, dear=service in ("priority", "fast"))
    return merged


def service_row(listed: Row, standard: Row, dear: bool) -> Row:
    """A service tier with a step at every threshold of the standard prices, never by omission cheaper.

    What a cheaper tier does not list costs what it costs by standard. What a dearer
    tier does not list has no price (None), unless it is billed like plain input anyway.
    """
    thresholds = sorted({start for start, _ in [*listed.get("t", ()), *standard.get("t", ())]})
    published = dict(listed.get("t", ()))
    steps: list[tuple[int, dict[str, Any]]] = []
    for above in [0, *thresholds]:
        usual = step(standard, above)
        here: dict[str, Any] = step({**listed, "t": []}, 0)
        if above and above not in published:
            here = envelope([{k: v for k, v in here.items() if v is not None}, usual])
        here.update(published.get(above, {}))
        for letter, pico in usual.items():
            if not dear:
                here.setdefault(letter, pico)
            elif letter in "aw" and pico == usual["i"]:
                here[letter] = max(here["i"], here.get(letter) or 0)
            elif here.get(letter) is not None:
                here[letter] = max(here[letter], pico)
            else:
                here.setdefault(letter, None)
        steps.append((above, here))
    return {**steps[0][1], **({"t": [list(entry) for entry in steps[1:]]} if thresholds else {})}


def envelope(steps: Iterable[dict[str, int]]) -> dict[str, int]:
    highest: dict[str, int] = {}
    for classes in steps:
        for letter, pico in classes.items():
            highest[letter] = max(pico, highest.get(letter, 0))
    return highest

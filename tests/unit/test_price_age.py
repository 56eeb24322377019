"""Of two sources that disagree, which one a row of the table is taken from."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import bursar.pricing.bundled

sys.path.append(str(Path(__file__).parents[2] / "tools"))  # what makes the table

from prices.age import Age, age_of
from prices.join import newer

# What both said of deepseek-chat, in pico-dollars a token, frozen on 2026-11-29.
LITELLM: dict[str, Any] = {"i": 280_000, "o": 420_000, "c": 28_000, "x": 131_072}
GENAI: dict[str, Any] = {"i": 270_000, "o": 1_100_000, "c": 70_000, "x": 64_000, "a": 300_000}


def age(by: str, after: str | None = None) -> Age:
    return Age(date.fromisoformat(by), date.fromisoformat(after) if after else None)


@pytest.mark.parametrize(
    ("litellm", "genai", "chosen"),
    [
        (age("2026-02-02", "2025-12-04"), age("2025-10-05"), LITELLM),
        (age("2026-02-02", "2025-12-04"), age("2025-10-06"), None),
        (age("2025-10-05"), age("2026-02-02", "2025-12-04"), GENAI),
        (age("2025-10-06"), age("2026-02-02", "2025-12-04"), None),
        (age("2025-08-06"), age("2026-11-29"), None),
    ],
    ids=["litellm", "59 days", "genai-prices", "59 days, too", "age unknown"],
)
def test_a_row_that_is_60_days_older_loses(litellm: Age, genai: Age, chosen: dict[str, Any] | None) -> None:
    """Else the dearer price of each class counts; what one source alone has, and the larger size, always does."""
    row = newer([LITELLM], GENAI, litellm, genai)
    expected = chosen or {"i": 280_000, "o": 1_100_000, "c": 70_000}
    assert {letter: row[letter] for letter in "ioc"} == {letter: expected[letter] for letter in "ioc"}
    assert (row["a"], row["x"]) == (300_000, 131_072)
    assert row["from"].startswith({None: "the dearer of", 420_000: "litellm of", 1_100_000: "genai-prices of"}[
        chosen and chosen["o"]
    ])  # fmt: skip
    assert str(litellm.by) in row["from"] and str(genai.by) in row["from"]


def test_a_newer_price_of_cached_input_does_not_fill_a_gap() -> None:
    """What genai-prices has no price for costs what plain input does, however old that is."""
    gap = {letter: price for letter, price in GENAI.items() if letter != "c"}
    newest = newer([LITELLM], gap, age("2026-02-02", "2025-12-04"), age("2025-10-05"))
    assert newest["c"] == newest["i"] == LITELLM["i"]
    assert newer([LITELLM], gap, age("2025-10-05"), age("2025-10-05"))["c"] == GENAI["i"]


def test_the_age_is_that_of_the_oldest_release_that_says_the_same() -> None:
    """As all after it do; what came back is as old as its return."""
    days = [date(2026, month, 1) for month in (11, 9, 7, 5)]
    for said, expected in (
        ([1, 1, 2, 1], age("2026-09-01", "2026-07-01")),
        ([1, None, None, None], age("2026-11-01", "2026-09-01")),
        ([1, 1, 1, 1], age("2026-05-01")),
    ):
        assert age_of(zip(days, said, strict=True)) == expected


def test_rows_on_which_both_disagree_say_who_was_chosen() -> None:
    """The source, the day and the rule; a row of one mind says nothing."""
    table = json.loads(Path(bursar.pricing.bundled.__file__).with_name("prices.json").read_text("utf-8"))
    chosen = {
        (provider, name): row.get("from")
        for provider, rows in table["models"].items()
        for names, row in rows
        for name in names
    }
    said = chosen["deepseek", "deepseek-chat"]
    assert said == "litellm of 2026-02-02, more than 60 days newer than genai-prices of 2025-08-06"
    assert chosen["azure", "gpt-audio"] == "the dearer of both sources"
    assert chosen["openai", "gpt-4o"] is None

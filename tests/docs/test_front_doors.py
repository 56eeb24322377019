"""Each front door of the core has the names that its page lists, and no others."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
DOORS = {
    "bursar": "reference.md",
    "bursar.integration": "adapters.md",
    "bursar.sdk": "sdk.md",
    "bursar.store": "stores.md",
    "bursar.testing": "testing.md",
}


@pytest.mark.parametrize("door", DOORS)
def test_a_page_lists_the_names_of_a_front_door(door: str) -> None:
    """One row of the table `Names of ...` for each name of `__all__`, once, and each can be imported."""
    text = (DOCS / DOORS[door]).read_text("utf-8")
    section = text.partition(f"## Names of `{door}`\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    module = import_module(door)
    assert sorted(listed) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in listed)


def test_the_adapter_of_the_page_is_the_one_that_is_tested() -> None:
    """The block of the page is `tests/toy/adapter.py`, which the scenarios for adapters are played on."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (DOCS / "adapters.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert blocks[0] == (DOCS.parent / "tests" / "toy" / "adapter.py").read_text("utf-8")

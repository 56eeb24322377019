"""The page of the benchmarks has the figures of a run, and nobody's own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page() -> ModuleType:
    """What writes it, which needs nothing that is measured."""
    spec = importlib.util.spec_from_file_location("page", ROOT / "tests/benchmarks/page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_and_the_chart_are_what_the_kept_figures_make(page: ModuleType) -> None:
    """A number that is changed by hand, in a page or in the chart, is found out."""
    found = json.loads(page.FIGURES.read_text("utf-8"))
    assert page.PAGE.read_text("utf-8") == page.page(found)
    assert page.SCALE.read_text("utf-8") == page.scale(found)
    assert page.CHART.read_text("utf-8") == page.chart(found)


def test_a_goal_that_is_missed_is_listed(page: ModuleType) -> None:
    """The page says what is not reached, and does not say so of what is."""
    kept = {"what": "at most 2 x a", "most": 2, "found": 1.5, "reached": True}
    lost = {"what": "at most 3 x b", "most": 3, "found": 3.5, "reached": False}
    assert page.missed([{"work": "one", "goals": [kept, lost]}]) == "- one: at most 3 x b, found 3.5"
    assert page.missed([{"work": "one", "goals": [kept]}]) == "Nothing."

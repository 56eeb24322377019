"""Counts what was compared, and shows it at the end."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from .rules import RULES


class Tally:
    """Comparisons by provider and rule."""

    def __init__(self) -> None:
        self.providers: dict[str, Counter[str]] = {}
        self.extremes: dict[str, tuple[Fraction, str]] = {}

    def add(self, provider: str, found: Counter[str]) -> None:
        """What was found for a provider."""
        self.providers[provider] = found

    def dearest(self, rule: str, ratio: Fraction, model: str) -> None:
        """Remember the largest difference of each rule."""
        if ratio > self.extremes.get(rule, (1, ""))[0]:
            self.extremes[rule] = ratio, model


_KEY = pytest.StashKey[Tally]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_KEY] = Tally()


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    return request.config.stash[_KEY]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tally = config.stash[_KEY]
    total = sum(tally.providers.values(), Counter[str]())
    models = total.pop("models", 0)
    terminalreporter.section("bursar and genai-prices")
    terminalreporter.line(f"{models:,} models, {sum(total.values()):,} usages")
    for rule, meaning in RULES.items():
        ratio, model = tally.extremes.get(rule, (Fraction(1), ""))
        most = f" (at most {float(ratio):.2f} times: {model})" if ratio > Fraction("1.005") else ""
        terminalreporter.line(f"{total[rule]:>8,} {rule}: {meaning}{most}")

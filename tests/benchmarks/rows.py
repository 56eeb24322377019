"""A row of the table: a piece of work, how long each takes for it, and what is to be reached."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from timing import Rounds

OURS = "bursar"


@dataclass(frozen=True)
class Figure:
    """A median of rounds, and where the middle half of them lies."""

    name: str
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Goal:
    """What is to be reached.

    Attributes:
        what: as people say it, like "at most 2 x two bare transactions".
        most: the number that is allowed.
        found: the one that was measured, rounded as it is shown.
    """

    what: str
    most: float
    found: float
    reached: bool


@dataclass
class Row:
    """One line of the table."""

    work: str
    unit: str
    figures: list[Figure]
    goals: list[Goal] = field(default_factory=list)
    note: str = ""


def figure(name: str, rounds: Rounds) -> Figure:
    """What is left of the rounds."""
    low, median, high = statistics.quantiles(rounds, n=4)
    return Figure(name, median, low, high)


def goal(what: str, most: float, found: float) -> Goal:
    """Reached or not, by the figure that is shown."""
    return Goal(what, most, round(found, 2), round(found, 2) <= most)


def ratio(what: str, most: float, ours: Rounds, other: Rounds) -> Goal:
    """How many times as long as another takes, by the median of the pairs."""
    found = statistics.median(mine / its for mine, its in zip(ours, other, strict=True))
    return goal(f"at most {most:g} x {what}", most, found)


def minus(rounds: Rounds, floor: Rounds) -> Rounds:
    """What is added to a floor, pair by pair."""
    return [long - short for long, short in zip(rounds, floor, strict=True)]


def row(work: str, found: dict[str, Rounds], *goals: Goal, unit: str = "us", note: str = "") -> Row:
    """Its figures as they were measured."""
    return Row(work, unit, [figure(name, rounds) for name, rounds in found.items()], list(goals), note)

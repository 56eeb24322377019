"""How old what a source says of a price is, by what its earlier releases said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, NamedTuple

OUTDATED = timedelta(days=60)


class Age(NamedTuple):
    """When a source began to say what it says.

    Attributes:
        by: the day of the oldest release that says so, as all after it do.
        after: the day of the release before that; None: there is none to be seen.
    """

    by: date
    after: date | None


def age_of(said: Iterable[tuple[date, Any]]) -> Age:
    """The age of what a source says now.

    Args:
        said: by the day of the release, newest first; None for a release that does not list the model.
    """
    releases = iter(said)
    by, now = next(releases)
    for day, before in releases:
        if before != now:
            return Age(by, day)
        by = day
    return Age(by, None)


def outdated(one: Age, other: Age) -> bool:
    """True when the one is more than 60 days older than the other, for certain."""
    return other.after is not None and one.by + OUTDATED <= other.after

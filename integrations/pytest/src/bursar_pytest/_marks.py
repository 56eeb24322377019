"""Reads `@pytest.mark.budget`: what a test may spend, and whether it may be refused."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest


class Terms(NamedTuple):
    """What the marker of a test says.

    Attributes:
        limits: of the test alone.
        refused: True where a refused call does not fail it.
    """

    limits: tuple[Any, ...] = ()
    refused: bool = False


def has_budget(item: pytest.Item) -> bool:
    """True for a test that has the marker, or asks for its session."""
    return item.get_closest_marker("budget") is not None or "bursar_session" in getattr(
        item, "fixturenames", ()
    )


def terms_of(item: pytest.Item) -> Terms:
    """What the marker of a test that is closest to it says.

    Raises:
        ValueError: it has an argument that it does not take.
    """
    mark = item.get_closest_marker("budget")
    if mark is None:
        return Terms()
    refused = mark.kwargs.get("refused", False)
    if mark.kwargs.keys() - {"refused"} or not isinstance(refused, bool):
        raise ValueError("it takes limits, like '$0.05', and refused=True")
    return Terms(mark.args, refused)

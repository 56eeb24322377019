"""Reads `@pytest.mark.budget`: what a test may spend, and whether it may be refused."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest


class Terms(NamedTuple):
    """What a test says of its budget.

    Attributes:
        marked: True where it has limits of its own, or asks for its session.
        limits: its own.
        refused: True where a refused call does not fail it.
    """

    marked: bool = False
    limits: tuple[Any, ...] = ()
    refused: bool = False


def terms_of(item: pytest.Item) -> Terms:
    """What the marker of a test that is closest to it says.

    Raises:
        ValueError: it has an argument that it does not take.
    """
    mark = item.get_closest_marker("budget")
    if mark is None:
        return Terms(marked="bursar_session" in getattr(item, "fixturenames", ()))
    refused = mark.kwargs.get("refused", False)
    if mark.kwargs.keys() - {"refused"} or not isinstance(refused, bool):
        raise ValueError("it takes limits, like '$0.05', and refused=True")
    return Terms(marked=True, limits=mark.args, refused=refused)

"""The class in which a covered SDK raises a refusal where a framework runs, and no adapter of it pays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..errors import BursarError

Conversion: TypeAlias = Callable[[BursarError], BursarError]

_conversions: dict[Conversion, None] = {}  # in the order of their coming


def convert_refusals(convert: Conversion) -> None:
    """Let a function choose the class of what a covered SDK raises, until `stop_converting`.

    Args:
        convert: returns the same error in a class that its framework lets through; the error itself
            where the framework does not run.
    """
    _conversions[convert] = None


def stop_converting(convert: Conversion) -> None:
    """Undo `convert_refusals`, if it was called."""
    _conversions.pop(convert, None)


def converted(error: BursarError) -> BursarError:
    """The error in the class that a framework which runs here lets through."""
    for convert in list(_conversions):
        error = convert(error)
    return error

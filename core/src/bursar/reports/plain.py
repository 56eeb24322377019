"""Makes what users carry along fit for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_DEEPEST = 20  # what is nested deeper, or in itself, is cut
_WIDEST_INT = 4_096  # bits; Python writes no int of more than 4,300 digits
_LONGEST = 200


def plain(value: Any, depth: int = _DEEPEST) -> Any:
    """The value, of dicts, lists, texts, numbers, booleans and None only, so that `json.dumps` takes it.

    A number that JSON has not is None; keys are text; an object is what ``str`` makes of it, where its
    class says what, else the name of its class.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and value.bit_length() <= _WIDEST_INT:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        if not depth:
            return "..."
        if isinstance(value, Mapping):
            return {_text(key): plain(item, depth - 1) for key, item in value.items()}
        return [plain(item, depth - 1) for item in value]
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    with suppress(Exception):  # the user's own, and no report fails for it
        if type(value).__str__ is not object.__str__ or isinstance(value, bool | int | float | None):
            return str(value)[:_LONGEST]
    return f"<{type(value).__name__}>"

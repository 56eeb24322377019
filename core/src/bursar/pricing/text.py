"""How much text a part of an answer has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NO_TEXT = frozenset({"id", "object", "role", "type", "status", "index", "finish_reason", "finishReason"})
_ARGUMENTS = frozenset({"input", "arguments", "args", "parameters"})  # of a tool: every member counts
_DEEPEST = 100


def text_bytes(value: object) -> int:
    """Bytes of all text in a part of an answer, however deep; names of kinds and ids are no text."""
    return _bytes(value, False, 0)


def _bytes(value: Any, arguments: bool, depth: int) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if depth > _DEEPEST:
        return 0
    if type(value) is not dict:  # that is seen at once, where an abstract class takes its time
        if isinstance(value, list | tuple):
            return sum([_bytes(one, arguments, depth + 1) for one in value])
        value = value if isinstance(value, Mapping) else getattr(value, "__dict__", None)
        if not isinstance(value, Mapping):
            return 0
    found = 0
    for name, one in value.items():
        if one is not None and (arguments or name not in _NO_TEXT):
            text = type(one) is str and one.isascii()
            found += len(one) if text else _bytes(one, arguments or name in _ARGUMENTS, depth + 1)
    return found

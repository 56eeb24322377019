"""How much text a part of an answer has."""

from __future__ import annotations

from collections.abc import Mapping

_NO_TEXT = frozenset({"id", "object", "role", "type", "status", "index", "finish_reason", "finishReason"})
_ARGUMENTS = frozenset({"input", "arguments", "args", "parameters"})  # of a tool: every member counts
_DEEPEST = 100


def text_bytes(value: object) -> int:
    """Bytes of all text in a part of an answer, however deep; names of kinds and ids are no text."""
    return _bytes(value, False, 0)


def _bytes(value: object, arguments: bool, depth: int) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if value is None or depth > _DEEPEST:
        return 0
    if isinstance(value, list | tuple):
        return sum([_bytes(one, arguments, depth + 1) for one in value])
    parts = value if isinstance(value, dict | Mapping) else getattr(value, "__dict__", None)
    if not isinstance(parts, dict | Mapping):
        return 0
    found = 0
    for name, one in parts.items():
        if type(one) is str and one.isascii():
            found += len(one) if arguments or name not in _NO_TEXT else 0
        elif arguments or name not in _NO_TEXT:
            found += _bytes(one, arguments or name in _ARGUMENTS, depth + 1)
    return found

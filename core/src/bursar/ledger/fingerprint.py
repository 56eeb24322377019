"""A fingerprint of a call: a hash of model and input that tells a repeated call; keeps no input."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from typing import Any


def fingerprint(kind: str, name: str | None, content: Iterable[Any] | str | None) -> str | None:
    """The same for the same input to the same model or tool, in every process; None where it is not known.

    Args:
        kind: ``"model"`` or ``"tool"``.
        name: of the model or the tool.
        content: the messages, or the input of the tool.
    """
    if content is None or name is None:
        return None
    try:
        text = _ENCODER.encode([kind, name, content])
    except Exception:  # an object of a tool may do anything when it is looked at
        return None
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _plain(value: object) -> object:
    """A model of Pydantic as its fields, bytes as a digest, other collections as lists.

    Nothing is used up by looking at it: what can be walked only once has no text.
    """
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(exclude_none=True)
    if isinstance(value, bytes | bytearray):
        return blake2b(value, digest_size=16).hexdigest()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return sorted(value, key=repr)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError  # an object without a stable text


_ENCODER = json.JSONEncoder(sort_keys=True, default=_plain, separators=(",", ":"))

"""Unique ids that a client makes before it tells the store."""

from __future__ import annotations

import itertools
import os
import re

from .fork import first_in_child

_prefix = os.urandom(8).hex()
_counter = itertools.count(1)
_MADE = re.compile(r"(?:sess_)?[0-9a-f]{16}-[0-9]+", re.ASCII)


def new_id() -> str:
    """An id that no other call, thread, process or host uses; made without a system call."""
    return f"{_prefix}-{next(_counter)}"


def is_made(name: str) -> bool:
    """True for a name that `new_id` made, which says nothing to people."""
    return _MADE.fullmatch(name) is not None


def _renew() -> None:
    """A forked child would count on from its parent's numbers."""
    global _prefix, _counter
    _prefix, _counter = os.urandom(8).hex(), itertools.count(1)


first_in_child(_renew)

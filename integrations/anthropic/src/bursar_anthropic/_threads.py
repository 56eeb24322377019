"""Conversations that the provider keeps: how long they were when their last message came."""

from __future__ import annotations

import threading
from collections import OrderedDict

from bursar import Usage

_KEPT = 4_096


class Threads:
    """What a message and all before it amount to, by its id; the oldest of too many is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: OrderedDict[str, int] = OrderedDict()

    def put(self, id: str, usage: Usage) -> None:
        """Remember a message whose usage is known."""
        with self._lock:
            self._tokens[id] = usage.tokens
            if len(self._tokens) > _KEPT:
                self._tokens.popitem(last=False)

    def get(self, id: object) -> int | None:
        """Tokens that are read again by who continues from a message; None: nobody here knows."""
        return self._tokens.get(id) if isinstance(id, str) else None


threads = Threads()

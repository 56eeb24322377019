"""The answers that were charged lately, so that none is charged twice."""

from __future__ import annotations

import threading
from collections import OrderedDict

from .answer import Answer
from .charge import Charge

_KEPT = 1_024


class Paid:
    """Charges by the answer that they are for.

    An answer is known by its id, the moment of its making and its usage together: local servers
    draw ids from a small range.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._charges: OrderedDict[object, Charge] = OrderedDict()

    def add(self, answer: Answer, charge: Charge) -> None:
        """Remember the charge of an answer, if it can be told from others."""
        key = _key(answer)
        if key is not None:
            with self._lock:
                self._charges[key] = charge
                if len(self._charges) > _KEPT:
                    self._charges.popitem(last=False)

    def get(self, answer: Answer) -> Charge | None:
        """What an answer was charged, or None."""
        key = _key(answer)
        return None if key is None else self._charges.get(key)


def _key(answer: Answer) -> object:
    if answer.id is None or answer.usage is None or answer.usage.flaw:
        return None
    return answer.id, answer.usage

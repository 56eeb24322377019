"""Answers that were charged already, so that none is charged twice.

The same object is known as long as it lives; an equal answer, by its id, the moment of its making and
its usage, among the newest of a ledger.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from weakref import ref

from ..pricing.response import Answer
from ..values.charge import Charge

_KEPT = 1_024

_charged: dict[int, ref[object]] = {}


def remember(response: object) -> None:
    """This very object is paid for; for as long as it lives. A plain dict cannot be remembered."""
    key = id(response)
    try:
        _charged[key] = ref(response, lambda _: _charged.pop(key, None))
    except TypeError:
        return  # no weak references to it, and a strong one would keep the answer alive


def forget(response: object) -> None:
    """It could not be booked after all."""
    _charged.pop(id(response), None)


def was_charged(response: object) -> bool:
    """True for an object that is paid for."""
    known = _charged.get(id(response))
    return known is not None and known() is response


class ChargedAnswers:
    """The newest charges of a ledger by the answer that they are for.

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

"""Answers that were charged already, so that nobody pays for one twice."""

from __future__ import annotations

from weakref import ref

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

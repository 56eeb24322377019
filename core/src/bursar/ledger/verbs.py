"""The verbs of a store as typed steps: ``booked = yield from verbs.settle(entry, terms)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from ..store.base import HasHistory, Store
from ..store.facts import HasFacts
from .queue import Waiter
from .steps import Steps

P = ParamSpec("P")
T = TypeVar("T")


def _step(verb: Callable[Concatenate[Any, P], T]) -> Callable[P, Steps[T]]:
    """The verb as a step that evaluates to its answer, or raises its error; arguments by position."""
    name = verb.__name__

    def step(*arguments: Any) -> Steps[Any]:
        return (yield name, *arguments)

    return cast("Callable[P, Steps[T]]", step)


def pause(waiter: Waiter, pause_s: float) -> Steps[bool]:
    """Sleep until the waiter is woken, or so many seconds; False where nothing may stand still here."""
    slept: bool = yield "pause", waiter, pause_s
    return slept


reserve = _step(Store.reserve)
probe = _step(Store.probe)
settle = _step(Store.settle)
book = _step(Store.book)
doubt = _step(Store.doubt)
release = _step(Store.release)
extend = _step(Store.extend)
set_limit = _step(Store.set_limit)
drop_limit = _step(Store.drop_limit)
trip = _step(Store.trip)
untrip = _step(Store.untrip)
reset = _step(Store.reset)
acknowledge = _step(Store.acknowledge)
end = _step(Store.end)
read = _step(Store.read)
sessions = _step(Store.sessions)
audit = _step(Store.audit)
facts = _step(HasFacts.facts)
history = _step(HasHistory.history)

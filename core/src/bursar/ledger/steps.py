"""Operations as generators that yield verbs of the store: one body, run blocking or awaited.

``yield ("reserve", entry, ...)`` evaluates to the verb's result, or raises its error
there. `run` asks the store directly, `arun` awaits it. ``yield ("pause", waiter, seconds)``
sleeps. Whoever carries steps out may be told of the verbs that may have made room.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from ..store.base import Store
from .sleeping import apause, pause

T = TypeVar("T")
P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
Steps: TypeAlias = Generator[tuple[Any, ...], Any, T]


Tell: TypeAlias = Callable[..., object]
MAKE_ROOM = frozenset(  # one a line: each is a rule of its own
    {
        "settle",
        "book",
        "doubt",
        "release",
        "set_limit",
        "drop_limit",
        "trip",
        "untrip",
        "reset",
    }
)


def _nobody(*_: object) -> None:
    """Nobody is told."""


def run(steps: Steps[T], store: Store, tell: Tell = _nobody) -> T:
    """Carry out the steps, blocking."""
    try:
        wanted = next(steps)
        while True:
            verb = wanted[0]
            try:
                if verb == "pause":
                    answer = pause(*wanted[1:])
                else:
                    answer = getattr(store, verb)(*wanted[1:])
                    if verb in MAKE_ROOM:
                        tell(*wanted)
            except BaseException as error:
                wanted = steps.throw(error)
            else:
                wanted = steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result


async def arun(steps: Steps[T], store: Store, tell: Tell = _nobody) -> T:
    """Carry out the steps without blocking the event loop."""
    try:
        verb, *arguments = next(steps)
        while True:
            try:
                if verb == "pause":
                    answer = await apause(*arguments)
                else:
                    answer = await store.acall(verb, *arguments)
                    if verb in MAKE_ROOM:
                        tell(verb, *arguments)
            except BaseException as error:
                verb, *arguments = steps.throw(error)
            else:
                verb, *arguments = steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result


class _Runner(Protocol):
    def run(self, steps: Steps[T]) -> T: ...
    async def arun(self, steps: Steps[T]) -> T: ...


class _Stepping(Protocol):
    """A thing whose methods are steps, and that knows who carries them out."""

    @property
    def _ledger(self) -> _Runner: ...


S = TypeVar("S", bound=_Stepping)


def blocking(steps: Callable[Concatenate[S, P], Steps[T]]) -> Callable[Concatenate[S, P], T]:
    """The method that carries out these steps and returns their result."""

    def method(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._ledger.run(steps(self, *args, **kwargs))

    return _named(method, steps, "")


def awaitable(
    steps: Callable[Concatenate[S, P], Steps[T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """The same as a coroutine, which never blocks the event loop."""

    async def method(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._ledger.arun(steps(self, *args, **kwargs))

    return _named(method, steps, "a")


def _named(method: F, steps: Callable[..., Any], prefix: str) -> F:
    """The docstring and signature of the steps, under the public name."""
    update_wrapper(method, steps)
    owner, dot, name = steps.__qualname__.rpartition(".")
    method.__name__ = prefix + name.removeprefix("_")
    method.__qualname__ = owner + dot + method.__name__
    return method

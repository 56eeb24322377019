"""One body for sync and async: what generators ask for is carried out, answered and raised there."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from bursar.ledger import verbs as store_verbs
from bursar.ledger.steps import Steps, arun, awaitable, blocking, run


class ScriptedStore:
    """Answers verbs from a script; raises what is an exception."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.asked: list[tuple[Any, ...]] = []

    def _next(self, *verb: Any) -> Any:
        self.asked.append(verb)
        answer = self.script.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def settle(self, *arguments: Any) -> Any:
        return self._next("settle", *arguments)

    def read(self, *arguments: Any) -> Any:
        return self._next("read", *arguments)

    async def acall(self, verb: str, *arguments: Any) -> Any:
        await asyncio.sleep(0)
        return self._next(verb, *arguments)


def carry_out(how: str, steps: Steps[Any], store: Any) -> Any:
    return run(steps, store) if how == "run" else asyncio.run(arun(steps, store))


both = pytest.mark.parametrize("how", ["run", "arun"])


@both
def test_answers_reach_the_steps(how: str) -> None:
    """Each verb is asked in order with its arguments, its answer is the value of the yield, the return is the result."""

    def steps() -> Steps[Any]:
        first = yield "settle", 1, 2
        second = yield ("read",)
        return first, second

    store = ScriptedStore("one", "two")
    assert carry_out(how, steps(), store) == ("one", "two")
    assert store.asked == [("settle", 1, 2), ("read",)]


@both
def test_steps_without_a_verb(how: str) -> None:
    """Steps that ask for nothing just return."""

    def steps() -> Steps[int]:
        return 5
        yield  # makes it a generator

    store = ScriptedStore()
    assert carry_out(how, steps(), store) == 5
    assert store.asked == []


@both
@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyboardInterrupt(), asyncio.CancelledError(), KeyError("k")]
)
def test_error_of_the_store_is_raised_in_the_steps(how: str, error: BaseException) -> None:
    """An error of a verb appears where it was asked; caught there, the steps go on."""

    def steps() -> Steps[Any]:
        try:
            yield ("settle",)
        except BaseException as caught:
            assert caught is error
            rest = yield ("read",)
            return "caught", rest

    assert carry_out(how, steps(), ScriptedStore(error, "rest")) == ("caught", "rest")


@both
def test_error_caught_at_the_last_step(how: str) -> None:
    """Steps that end by catching an error still give their result."""

    def steps() -> Steps[str]:
        try:
            yield ("settle",)
        except ValueError:
            return "caught"
        return "not raised"

    assert carry_out(how, steps(), ScriptedStore(ValueError())) == "caught"


@both
def test_uncaught_error_reaches_the_caller(how: str) -> None:
    """An error that the steps do not catch is the caller's, after their ``finally``."""
    undone: list[str] = []

    def steps() -> Steps[None]:
        try:
            yield ("settle",)
        finally:
            undone.append("undone")

    error = LookupError("store")
    with pytest.raises(LookupError) as caught:
        carry_out(how, steps(), ScriptedStore(error))
    assert caught.value is error
    assert undone == ["undone"]


@both
def test_error_of_the_steps_reaches_the_caller(how: str) -> None:
    """An error that the steps raise themselves is the caller's, before, between and after verbs."""

    def steps(verbs: int) -> Steps[None]:
        for _ in range(verbs):
            yield ("read",)
        raise ValueError(f"after {verbs}")

    for verbs in range(3):
        with pytest.raises(ValueError, match=f"after {verbs}"):
            carry_out(how, steps(verbs), ScriptedStore(1, 2))


class Runner:
    def __init__(self, store: Any) -> None:
        self.store = store

    def run(self, steps: Steps[Any]) -> Any:
        return run(steps, self.store)

    async def arun(self, steps: Steps[Any]) -> Any:
        return await arun(steps, self.store)


class _Thing:
    def __init__(self, store: ScriptedStore) -> None:
        self._ledger = Runner(store)

    def _settle(self, cost: int, *, more: int = 0) -> Steps[int]:
        """Book what it cost."""
        booked: int = yield "settle", cost
        return booked + more

    settle, asettle = blocking(_settle), awaitable(_settle)


def test_twins_do_the_same() -> None:
    """The blocking method and its awaitable twin carry out the same steps with the same arguments."""
    store = ScriptedStore(10, 20)
    thing = _Thing(store)
    assert thing.settle(5, more=1) == 11
    assert asyncio.run(thing.asettle(6, more=2)) == 22
    assert store.asked == [("settle", 5), ("settle", 6)]


def test_steps_begin_when_awaited() -> None:
    """Calling the awaitable twin asks for nothing until it is awaited."""
    store = ScriptedStore(10)
    pending = _Thing(store).asettle(5)
    assert store.asked == []
    assert asyncio.run(pending) == 10


def test_twins_have_names_docstring_and_signature() -> None:
    """Both twins are known by their public names, with the docstring and arguments of the steps."""
    names = {(method.__name__, method.__qualname__) for method in (_Thing.settle, _Thing.asettle)}
    assert names == {("settle", "_Thing.settle"), ("asettle", "_Thing.asettle")}
    for method in (_Thing.settle, _Thing.asettle):
        assert method.__doc__ == "Book what it cost."
        assert list(inspect.signature(method).parameters) == ["self", "cost", "more"]
    assert inspect.iscoroutinefunction(_Thing.asettle)
    assert not inspect.iscoroutinefunction(_Thing.settle)


def test_the_arguments_of_a_verb_are_given_by_position() -> None:
    """By name they would reach the awaiting driver of no store; the mistake is told before the store is asked."""
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        run(store_verbs.read(root="default"), ScriptedStore())

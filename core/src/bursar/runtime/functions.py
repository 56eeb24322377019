"""Runs functions inside a context manager: plain and async ones, generators and async generators."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def within(
    function: F,
    whole: Callable[[], AbstractContextManager[T]],
    step: Callable[[T], AbstractContextManager[object]],
) -> F:
    """The same function, each call of it inside a context manager.

    Args:
        function: plain or async, a generator or an async generator.
        whole: what a call is inside from its start to its end.
        step: what runs of it is inside, made of what `whole` gave: not the consumer of a generator.
    """
    if inspect.isasyncgenfunction(function):
        runner = _stream_async
    elif inspect.isgeneratorfunction(function):
        runner = _stream
    elif inspect.iscoroutinefunction(function):
        runner = _run_async
    else:
        runner = _run
    return cast("F", runner(function, whole, step))


def _run(function: Any, whole: Any, step: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with whole() as inside, step(inside):
            return function(*args, **kwargs)

    return run


def _run_async(function: Any, whole: Any, step: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        with whole() as inside, step(inside):
            return await function(*args, **kwargs)

    return run


def _stream(function: Any, whole: Any, step: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with whole() as inside:
            with step(inside):
                body = function(*args, **kwargs)
            resume, value = body.send, None
            while True:
                with step(inside):  # not the consumer's while the generator waits
                    try:
                        item = resume(value)
                    except StopIteration as end:
                        return end.value
                try:
                    resume, value = body.send, (yield item)
                except GeneratorExit:
                    with step(inside):
                        body.close()
                    raise
                except BaseException as error:
                    resume, value = body.throw, error

    return run


def _stream_async(function: Any, whole: Any, step: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with whole() as inside:
            with step(inside):
                body = function(*args, **kwargs)
            resume, value = body.asend, None
            while True:
                with step(inside):
                    try:
                        item = await resume(value)
                    except StopAsyncIteration:
                        return
                try:
                    resume, value = body.asend, (yield item)
                except GeneratorExit:
                    with step(inside):
                        await body.aclose()
                    raise
                except BaseException as error:
                    resume, value = body.athrow, error

    return run

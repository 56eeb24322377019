"""Covers the methods of an SDK's client that a request passes: blocking, and for asyncio.

`request` is passed once, ``_build_request`` before each attempt, the retry method after each
that failed and is repeated, and ``_process_response`` with the answer. Where an SDK has
middleware, that sends by a method of its own; see `attempts`.
"""

from __future__ import annotations

import sys
from typing import Any

from .attempts import awaitable_attempts, blocking_attempts
from .nesting import Begin, Method, Original, now_sending, under_way


def blocking_methods(begin: Begin, original: Original, retry: str) -> dict[str, Method]:
    """The methods by name.

    Args:
        begin: a client's request on its way, or None where there is nothing to be paid for.
        original: the method that is covered, by name.
        retry: the name of the method that comes before a repeated attempt.
    """

    def request(client: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        send, sending = original("request"), begin(client, options)
        if sending is None:
            return send(client, cast_to, options, *args, **kwargs)
        sending.begin()
        outer = now_sending.get()
        now_sending.set(sending)
        try:
            while True:
                try:
                    return sending.over(send(client, cast_to, sending.options, *args, **kwargs))
                except Exception as error:
                    if not sending.again(error):
                        sending.meter.fail(error)
                        sending.meter.hold.explain(error)
                        raise
        except BaseException:
            sending.meter.abandon()  # of no effect after an outcome
            raise
        finally:
            now_sending.set(outer)

    def repeat(client: Any, *args: Any, **kwargs: Any) -> Any:
        sending = under_way(client)
        if sending is not None and sending.lost(sys.exc_info()[1], kwargs.get("response")):
            sending.meter.fail()
            sending.hold_anew(kwargs["options"] if "options" in kwargs else args[0])
        return original(retry)(client, *args, **kwargs)

    def process(client: Any, *args: Any, **kwargs: Any) -> Any:
        sending = under_way(client)
        if sending is not None and sending.read(kwargs["response"], stream=kwargs["stream"]):
            sending.meter.book()
        return original("_process_response")(client, *args, **kwargs)

    built = {"_process_response": process, "_build_request": _built(begin, original)}
    return {"request": request, retry: repeat, **built, **blocking_attempts(begin, original)}


def awaitable_methods(begin: Begin, original: Original, retry: str) -> dict[str, Method]:
    """The same for an asynchronous client; nothing of it blocks the event loop."""

    async def request(client: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        send, sending = original("request"), begin(client, options)
        if sending is None:
            return await send(client, cast_to, options, *args, **kwargs)
        await sending.abegin()
        outer = now_sending.get()
        now_sending.set(sending)
        try:
            while True:
                try:
                    return sending.over(await send(client, cast_to, sending.options, *args, **kwargs))
                except Exception as error:
                    if not sending.again(error):
                        await sending.meter.afail(error)
                        sending.meter.hold.explain(error)
                        raise
        except BaseException:
            sending.meter.abandon()  # of no effect after an outcome
            raise
        finally:
            now_sending.set(outer)

    async def repeat(client: Any, *args: Any, **kwargs: Any) -> Any:
        sending = under_way(client)
        if sending is not None and sending.lost(sys.exc_info()[1], kwargs.get("response")):
            await sending.meter.afail()
            await sending.ahold_anew(kwargs["options"] if "options" in kwargs else args[0])
        return await original(retry)(client, *args, **kwargs)

    async def process(client: Any, *args: Any, **kwargs: Any) -> Any:
        sending = under_way(client)
        if sending is not None and sending.read(kwargs["response"], stream=kwargs["stream"]):
            await sending.meter.abook()
        return await original("_process_response")(client, *args, **kwargs)

    built = {"_process_response": process, "_build_request": _built(begin, original)}
    return {"request": request, retry: repeat, **built, **awaitable_attempts(begin, original)}


def _built(begin: Begin, original: Original) -> Method:
    """The SDK makes an HTTP request of the options, and sends it next."""

    def build(client: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        sending = under_way(client)
        unseen = begin(client, options) if sending is None else None
        if unseen is not None:
            unseen.refuse_unseen()
        built = original("_build_request")(client, options, *args, **kwargs)
        if sending is not None:
            sending.meter.sent = True
        return built

    return build

"""The methods of an SDK's client that a request passes, covered: blocking, and for asyncio.

`request` is passed once, ``_build_request`` before each attempt, the retry method after each
that failed and is repeated, and ``_process_response`` with the answer. Where an SDK has
middleware, ``_attempt_request`` is what middleware calls in the end, as often as it likes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

from .sending import Sending

Method: TypeAlias = Callable[..., Any]
Original: TypeAlias = Callable[[str], Method]
ATTEMPT = "_attempt_request"
Begin: TypeAlias = Callable[[Any, Any], "Sending | None"]

_under_way: ContextVar[Sending | None] = ContextVar("bursar_sending", default=None)


def under_way(client: object) -> Sending | None:
    """The request that this client is sending from this context."""
    sending = _under_way.get()
    return sending if sending is not None and sending.client is client else None


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
        outer = _under_way.get()
        _under_way.set(sending)
        try:
            while True:
                try:
                    return sending.over(send(client, cast_to, sending.options, *args, **kwargs))
                except Exception as error:
                    if not sending.again(error):
                        sending.meter.fail(error)
                        raise
        except BaseException:
            sending.meter.abandon()  # of no effect after an outcome
            raise
        finally:
            _under_way.set(outer)

    def repeat(client: Any, *args: Any, **kwargs: Any) -> Any:
        sending = under_way(client)
        if sending is not None and sending.lost(sys.exc_info()[1], kwargs.get("response")):
            sending.meter.fail()
            sending.hold_anew(kwargs["options"] if "options" in kwargs else args[0])
        return original(retry)(client, *args, **kwargs)

    def attempt(client: Any, options: Any, **kwargs: Any) -> Any:
        send, sending = original(ATTEMPT), under_way(client)
        if not client._middleware:
            return send(client, options, **kwargs)
        if sending is None:
            return late(send, client, options, **kwargs)
        sending.prepare(options)
        try:
            response, prepared = send(client, options, **kwargs)
        except Exception as error:
            if sending.lost(error, None):
                sending.meter.fail()
            raise
        if response.status_code >= 400 and sending.lost(None, response):
            sending.meter.fail()
        return response, prepared

    def late(send: Method, client: Any, options: Any, **kwargs: Any) -> Any:
        """Middleware sends again while a stream is read: the request is over, so this is another one."""
        sending = begin(client, options)
        if sending is None:
            return send(client, options, **kwargs)
        sending.begin()
        sending.lend(options)
        outer = _under_way.get()
        _under_way.set(sending)
        try:
            response, prepared = send(client, options, **kwargs)
            if sending.read(response, stream=kwargs["stream"]):
                sending.meter.book()
            elif response.status_code >= 400:
                sending.lost(None, response)
                sending.meter.fail()
        except Exception as error:
            sending.meter.fail(error)
            raise
        except BaseException:
            sending.meter.abandon()
            raise
        finally:
            _under_way.set(outer)
        return response, prepared

    def process(client: Any, *args: Any, **kwargs: Any) -> Any:
        sending = under_way(client)
        if sending is not None and sending.read(kwargs["response"], stream=kwargs["stream"]):
            sending.meter.book()
        return original("_process_response")(client, *args, **kwargs)

    built = {"_process_response": process, "_build_request": _built(begin, original)}
    return {"request": request, ATTEMPT: attempt, retry: repeat, **built}


def awaitable_methods(begin: Begin, original: Original, retry: str) -> dict[str, Method]:
    """The same for an asynchronous client; nothing of it blocks the event loop."""

    async def request(client: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        send, sending = original("request"), begin(client, options)
        if sending is None:
            return await send(client, cast_to, options, *args, **kwargs)
        await sending.abegin()
        outer = _under_way.get()
        _under_way.set(sending)
        try:
            while True:
                try:
                    return sending.over(await send(client, cast_to, sending.options, *args, **kwargs))
                except Exception as error:
                    if not sending.again(error):
                        await sending.meter.afail(error)
                        raise
        except BaseException:
            sending.meter.abandon()  # of no effect after an outcome
            raise
        finally:
            _under_way.set(outer)

    async def repeat(client: Any, *args: Any, **kwargs: Any) -> Any:
        sending = under_way(client)
        if sending is not None and sending.lost(sys.exc_info()[1], kwargs.get("response")):
            await sending.meter.afail()
            await sending.ahold_anew(kwargs["options"] if "options" in kwargs else args[0])
        return await original(retry)(client, *args, **kwargs)

    async def attempt(client: Any, options: Any, **kwargs: Any) -> Any:
        send, sending = original(ATTEMPT), under_way(client)
        if not client._middleware:
            return await send(client, options, **kwargs)
        if sending is None:
            return await late(send, client, options, **kwargs)
        await sending.aprepare(options)
        try:
            response, prepared = await send(client, options, **kwargs)
        except Exception as error:
            if sending.lost(error, None):
                await sending.meter.afail()
            raise
        if response.status_code >= 400 and sending.lost(None, response):
            await sending.meter.afail()
        return response, prepared

    async def late(send: Method, client: Any, options: Any, **kwargs: Any) -> Any:
        """Middleware sends again while a stream is read: the request is over, so this is another one."""
        sending = begin(client, options)
        if sending is None:
            return await send(client, options, **kwargs)
        await sending.abegin()
        sending.lend(options)
        outer = _under_way.get()
        _under_way.set(sending)
        try:
            response, prepared = await send(client, options, **kwargs)
            if sending.read(response, stream=kwargs["stream"]):
                await sending.meter.abook()
            elif response.status_code >= 400:
                sending.lost(None, response)
                await sending.meter.afail()
        except Exception as error:
            await sending.meter.afail(error)
            raise
        except BaseException:
            sending.meter.abandon()
            raise
        finally:
            _under_way.set(outer)
        return response, prepared

    async def process(client: Any, *args: Any, **kwargs: Any) -> Any:
        sending = under_way(client)
        if sending is not None and sending.read(kwargs["response"], stream=kwargs["stream"]):
            await sending.meter.abook()
        return await original("_process_response")(client, *args, **kwargs)

    built = {"_process_response": process, "_build_request": _built(begin, original)}
    return {"request": request, ATTEMPT: attempt, retry: repeat, **built}


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

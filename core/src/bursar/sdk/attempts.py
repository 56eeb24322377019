"""Covers the attempts that an SDK's middleware makes of a request.

``_attempt_request`` is what middleware calls in the end; also after the request is over, when it
sends anew while its caller reads a stream. Without middleware the attempts are those of the SDK.
"""

from __future__ import annotations

from typing import Any

from .nesting import Begin, Method, Original, now_sending, under_way

ATTEMPT = "_attempt_request"


def blocking_attempts(begin: Begin, original: Original) -> dict[str, Method]:
    """The method by its name; the arguments are those of `blocking_methods`."""

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
        outer = now_sending.get()
        now_sending.set(sending)
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
            now_sending.set(outer)
        return response, prepared

    return {ATTEMPT: attempt}


def awaitable_attempts(begin: Begin, original: Original) -> dict[str, Method]:
    """The same for an asynchronous client."""

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
        outer = now_sending.get()
        now_sending.set(sending)
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
            now_sending.set(outer)
        return response, prepared

    return {ATTEMPT: attempt}

"""An SDK in miniature, of the shape that those of OpenAI and Anthropic have, over plain HTTP.

`request` is passed once, and around each attempt are the methods that a `Patching` covers. It reads
chat completions and Responses, and takes other paths for words of ``allow=``.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from bursar.integration import read_answer
from bursar.sdk import Allowed, Demand, Patching, Reading, body_of, data_of, with_members


class Failed(Exception):
    """An error answer, or none."""

    def __init__(self, status_code: int | None) -> None:
        super().__init__(f"status {status_code}")
        self.status_code = status_code


class Response:
    """What httpx has of a response, as far as a tee needs it."""

    def __init__(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, stream: bool
    ) -> None:
        self._answer = answer
        self._connection = connection
        self.status_code = self._answer.status
        self.headers = {name.lower(): value for name, value in self._answer.getheaders()}
        self.is_stream_consumed = not stream
        self.content = b"" if stream else self._answer.read()
        if not stream:
            self.close()

    def __del__(self) -> None:
        Response.close(self)

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        while piece := self._answer.read1(chunk_size or 65_536):
            yield piece
        self.close()

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        while piece := self._answer.read1(chunk_size or 65_536):
            yield piece
        await self.aclose()

    def close(self) -> None:
        self._answer.close()
        self._connection.close()

    async def aclose(self) -> None:
        Response.close(self)


class Base:
    """What both kinds of clients do alike."""

    def __init__(self, base_url: str = "", max_retries: int = 0) -> None:
        self.base_url = base_url
        self.max_retries = max_retries

    def copy(self) -> Any:
        return self.__class__(self.base_url, self.max_retries)

    def _build_request(self, options: Any) -> tuple[str, bytes]:
        return options.url, json.dumps({**(options.json_data or {}), **(options.extra_json or {})}).encode()

    def _attempt(self, options: Any, stream: bool, last: bool) -> Response:
        """An answer; raises what ends the call, or `Failed` with a response to retry."""
        path, body = self._build_request(options)
        url = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=10)
        try:
            connection.request(options.method, url.path + path, body, {"Authorization": "Bearer none"})
            response = Response(connection, connection.getresponse(), stream)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Failed(None) from error
        if response.status_code >= 400 and (last or response.status_code < 429):
            raise Failed(response.status_code)
        return response


class Client(Base):
    def post(self, path: str, *, cast_to: Any, body: Any) -> Any:
        return self.request(cast_to, Options(path, **body))

    def request(self, cast_to: Any, options: Any, *, stream: bool = False) -> Any:
        for retry in range(self.max_retries + 1):
            last = retry == self.max_retries
            try:
                response = self._attempt(options, stream, last)
            except Failed as error:
                if last or error.status_code is not None:
                    raise
                self._sleep_for_retry(options=options, response=None)
                continue
            if response.status_code < 400:
                return self._process_response(response=response, stream=stream)
            self._sleep_for_retry(options=options, response=response)
        raise AssertionError

    def _sleep_for_retry(self, *, options: Any, response: Response | None) -> None:
        """Others wait here."""

    def _process_response(self, *, response: Response, stream: bool) -> Any:
        return response if stream else response.content


class AsyncClient(Base):
    async def post(self, path: str, *, cast_to: Any, body: Any) -> Any:
        return await self.request(cast_to, Options(path, **body))

    async def request(self, cast_to: Any, options: Any, *, stream: bool = False) -> Any:
        for retry in range(self.max_retries + 1):
            last = retry == self.max_retries
            try:
                response = self._attempt(options, stream, last)
            except Failed as error:
                if last or error.status_code is not None:
                    raise
                await self._sleep_for_retry(options=options, response=None)
                continue
            if response.status_code < 400:
                return await self._process_response(response=response, stream=stream)
            await self._sleep_for_retry(options=options, response=response)
        raise AssertionError

    async def _sleep_for_retry(self, *, options: Any, response: Response | None) -> None:
        """Others wait here."""

    async def _process_response(self, *, response: Response, stream: bool) -> Any:
        return response if stream else response.content


class Options(SimpleNamespace):
    """A request as an SDK keeps it."""

    def __init__(self, url: str = "/chat/completions", method: str = "POST", **body: Any) -> None:
        super().__init__(url=url, method=method, json_data=body, extra_json=None)


class ChatReading(Reading):
    def whole(self, document: Any) -> None:
        self.answer = read_answer(document)
        if document.get("status") in ("queued", "in_progress"):
            self.pending, self.ended = document["id"], False
        self.broken = document.get("status") == "cancelled"

    def event(self, raw: bytes) -> bytes:
        data = data_of(raw)
        if data == b"[DONE]":
            self.ended = True
        elif b'"usage": {' in data:
            self.answer, self.final = read_answer(json.loads(data)), True
            return b""
        return raw


class ChatDemand(Demand):
    asks_usage = False

    def fit(self, options: Any, allowed: Allowed) -> Any:
        asked = {"stream_options": {"include_usage": True}} if self.asks_usage else {}
        cap = {"max_tokens": allowed.cap} if allowed.needed and allowed.cap is not None else {}
        return with_members(options, {**asked, **cap})

    def reading(self) -> Reading:
        return ChatReading(hidden=True)

    def again(self, error: Exception) -> Demand | None:
        return ChatDemand(self.ask) if self.asks_usage and getattr(error, "status_code", 0) == 400 else None


def read(client: Any, options: Any) -> Demand:
    """What a request asks for."""
    word, body = options.url.removeprefix("/"), body_of(options) or {}
    if word.startswith(("models", "responses/")):
        return ChatDemand(polled=word.removesuffix("/cancel").split("/")[-1])
    ask = {name: body[name] for name in ("model", "messages", "formatted") if name in body}
    if "max_tokens" in body:
        ask["max_output_tokens"] = body["max_tokens"]
    if word not in ("chat/completions", "responses") and not word.startswith("model/"):
        return ChatDemand(ask, endpoint=word)
    reasons = {name: body.get(name) for name in ("why_not", "surcharge", "unlowered")}
    demand = ChatDemand(ask, **reasons)
    demand.asks_usage = bool(body.get("stream"))
    return demand


patching = Patching(Client, AsyncClient, read, ("/chat/completions", {"model": "gpt-4o", "max_tokens": 50}))

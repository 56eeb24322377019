"""Clients of the framework in miniature: a plain one, and one that is made of the SDK in miniature."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from typing import Any

from bursar.testing import ScriptedProvider

from ..unit.sdk import Client, Options


class Failed(Exception):
    """An error answer, with its status as SDKs have it."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"status {status_code}")
        self.status_code = status_code


class PlainClient:
    """Sends by itself: no covered SDK sees its requests."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider

    def ask(self, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(b"".join(self._send(body)))
        return answer

    async def aask(self, body: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(self.ask, body)

    def stream(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
        for line in b"".join(self._send(streamed)).split(b"\n\n"):
            if line.startswith(b"data: {"):
                yield json.loads(line.removeprefix(b"data: "))

    def _send(self, body: dict[str, Any]) -> Iterator[bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.provider.port, timeout=10)
        try:
            headers = {"Authorization": "Bearer none"}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            response = connection.getresponse()
            if response.status != 200:
                response.read()
                raise Failed(response.status)
            yield response.read()
        finally:
            connection.close()


class SdkClient(PlainClient):
    """Sends by the SDK in miniature, which may be covered."""

    def _send(self, body: dict[str, Any]) -> Iterator[bytes]:
        response = Client(self.provider.openai_url).request(object, Options(**body), stream=True)
        try:
            yield from response.iter_bytes()
        finally:
            response.close()

"""An agent that makes paid calls over real HTTP, and plugins that watch it."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
from typing import Any

from bursar import Alert, Charge, Hold, Refusal, Session, hookimpl
from bursar.testing import ScriptedProvider

PROMPT = "Why is the sky blue, and why not violet?"
WAYS = ("sync", "async")


def send(provider: ScriptedProvider, model: str, max_tokens: int) -> dict[str, Any]:
    """One chat completion, without an SDK."""
    connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=30)
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": max_tokens}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": "Bearer none"})
        answer = connection.getresponse()
        payload: dict[str, Any] = json.loads(answer.read())
        assert answer.status == 200, payload
        return payload
    finally:
        connection.close()


def endless(*given: Any) -> Any:
    """Recurse until Python gives up, while nothing is collected: a finaliser of others would fail there, too."""

    def deeper() -> Any:
        return [deeper()]

    gc.disable()
    try:
        return deeper()
    finally:
        gc.enable()


def work(
    session: Session, provider: ScriptedProvider, calls: int, *, way: str = "sync", model: str = "gpt-4o"
) -> None:
    """So many calls, one after the other; the first refusal ends it."""

    async def aworks() -> None:
        for _ in range(calls):
            async with session.areserve(model, messages=PROMPT, max_output_tokens=100) as hold:
                await hold.asettle(send(provider, model, hold.max_output_tokens or 0))

    if way == "async":
        asyncio.run(aworks())
        return
    for _ in range(calls):
        with session.reserve(model, messages=PROMPT, max_output_tokens=100) as hold:
            hold.settle(send(provider, model, hold.max_output_tokens or 0))


class Recorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def of(self, hook: str) -> list[Any]:
        """What one hook was told."""
        return [what for name, what in self.heard if name == hook]

    @property
    def names(self) -> list[str]:
        """The hooks that were called, in order."""
        return [name for name, _ in self.heard]

    @hookimpl
    def bursar_reserved(self, hold: Hold) -> None:
        self.heard.append(("reserved", hold))

    @hookimpl
    def bursar_settled(self, charge: Charge) -> None:
        self.heard.append(("settled", charge))

    @hookimpl
    def bursar_released(self, hold: Hold) -> None:
        self.heard.append(("released", hold))

    @hookimpl
    def bursar_refused(self, refusal: Refusal) -> None:
        self.heard.append(("refused", refusal))

    @hookimpl
    def bursar_alert(self, alert: Alert) -> None:
        self.heard.append(("alert", alert))

    @hookimpl
    def bursar_session_opened(self, session: Session) -> None:
        self.heard.append(("session_opened", session))

    @hookimpl
    def bursar_session_closed(self, report: dict[str, Any]) -> None:
        self.heard.append(("session_closed", report))

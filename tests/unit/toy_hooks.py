"""The plugin of the SDK in miniature, and hooks of a framework around it."""

from __future__ import annotations

from typing import Any

from bursar import Budget, Session, hookimpl
from bursar.integration import Admission, Costs, OpenCall, OpenCalls, Payers, Result
from bursar.testing import ScriptedProvider

from .sdk import Client, Options, patching

ASKED: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    "max_output_tokens": 50,
}


class Passes(Exception):
    """A class that the framework lets through."""


class Plugin:
    """Covers the SDK in miniature, by the name of a real one."""

    fails = False

    @hookimpl
    def bursar_patch(self) -> str:
        if self.fails:
            raise OSError("too old")
        patching.patch()
        return "openai"

    @hookimpl
    def bursar_unpatch(self) -> None:
        patching.unpatch()


class Hooks:
    """What an adapter is made of: it admits calls for one session, and remembers its refusals."""

    def __init__(
        self, budget: Any, *, prefix: str = "toy", listens: bool = True, on_budget: Any = None
    ) -> None:
        self.payers = Payers(budget)
        self.calls = OpenCalls()
        self.costs = Costs()
        self.refusals: list[Any] = []
        heard = (lambda refusal, payer: self.refusals.append((refusal, payer))) if listens else None
        self.admission = Admission(
            self.calls, self.costs, raise_as=Passes, prefix=prefix, on_refusal=heard, on_budget=on_budget
        )

    @property
    def session(self) -> Session:
        return self.payers.session

    def admit(self, call: OpenCall, asked: Any = None, **how: Any) -> bool:
        return self.admission.admit(call, self.payers.payer(), asked or ASKED, name="ask", **how)

    async def aadmit(self, call: OpenCall, asked: Any = None, **how: Any) -> bool:
        return await self.admission.aadmit(call, self.payers.payer(), asked or ASKED, name="ask", **how)

    def end(self, key: object, result: Result) -> None:
        if (call := self.calls.take(key)) is not None:
            call.settle(result)


def ask(provider: ScriptedProvider, **more: Any) -> bytes:
    """What the framework's client sends for `ASKED`."""
    body = {"model": "gpt-4o", "messages": ASKED["messages"], "max_tokens": 50, **more}
    answer: bytes = Client(provider.openai_url).request(object, Options(**body))
    return answer


def budget(limit: str = "$1") -> Session:
    return Budget(limit).session()

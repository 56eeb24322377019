"""A framework in miniature: an agent loop with hooks. It tries again what fails, and answers for what still does.

What is hard about real ones is here: an error of a hook looks like a failure of the call, the model is told
what its tools raise, nobody is told of a task that is cancelled, and a stream may be left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

_ids = count(1).__next__
TRIES = 2


class Stop(Exception):
    """What leaves the loop at once."""


@dataclass
class Call:
    """A request to a model, or the run of a tool: its name and arguments."""

    id: int
    run: int
    agent: str
    tool: str | None
    asked: dict[str, Any]


class Handler:
    """The hooks, in the order in which they are called; each does nothing here."""

    def run_started(self, run: int, agent: str) -> None: ...
    def before_model(self, call: Call) -> None: ...
    async def abefore_model(self, call: Call) -> None: ...
    def streaming(self, call: Call) -> None: ...
    def after_model(self, call: Call, answer: dict[str, Any]) -> None: ...
    def model_failed(self, call: Call, error: BaseException) -> None: ...
    def before_tool(self, call: Call) -> None: ...
    def after_tool(self, call: Call) -> None: ...
    def run_ended(self, run: int, error: BaseException | None) -> None: ...


class Agent:
    """Asks a model until it wants no tool any more.

    Args:
        name: of the agent.
        client: has ``ask(body)``, ``aask(body)`` and ``stream(body)``, of chat completions.
        handler: its hooks.
        tools: functions by name.
    """

    def __init__(
        self,
        name: str,
        client: Any,
        handler: Handler | None = None,
        tools: Mapping[str, Callable[..., object]] | None = None,
    ) -> None:
        self.name = name
        self.client = client
        self.handler = handler or Handler()
        self.tools = dict(tools or {})

    def run(self, prompt: str) -> str:
        run = _ids()
        self.handler.run_started(run, self.name)
        turns = self._turns(run, prompt)
        try:
            body = next(turns)
            while True:
                body = turns.send(self._ask(run, body))
        except StopIteration as done:
            self.handler.run_ended(run, None)
            return str(done.value)
        except BaseException as error:
            self.handler.run_ended(run, error)
            raise

    async def arun(self, prompt: str) -> str:
        run = _ids()
        self.handler.run_started(run, self.name)
        turns = self._turns(run, prompt)
        try:
            body = next(turns)
            while True:
                body = turns.send(await self._aask(run, body))
        except StopIteration as done:
            self.handler.run_ended(run, None)
            return str(done.value)
        except Exception as error:  # a task that is cancelled tells nobody
            self.handler.run_ended(run, error)
            raise

    def stream(self, prompt: str) -> Iterator[str]:
        """The pieces of one answer."""
        call = Call(_ids(), 0, self.name, None, _body([{"role": "user", "content": prompt}]))
        self.handler.before_model(call)
        last: dict[str, Any] = {}
        try:
            for piece in self.client.stream(call.asked):
                self.handler.streaming(call)
                if piece.get("usage"):
                    last = piece
                for choice in piece["choices"]:
                    yield choice["delta"].get("content") or ""
        except BaseException as error:
            self.handler.model_failed(call, error)
            raise
        self.handler.after_model(call, last)

    def _turns(self, run: int, prompt: str) -> Generator[dict[str, Any], dict[str, Any], str]:
        messages: list[Any] = [{"role": "user", "content": prompt}]
        while True:
            message = (yield _body(list(messages)))["choices"][0]["message"]
            messages.append(message)
            if not message.get("tool_calls"):
                return str(message["content"])
            for wanted in message["tool_calls"]:
                said = self._use(run, wanted["function"])
                messages.append({"role": "tool", "tool_call_id": wanted["id"], "content": said})

    def _ask(self, run: int, body: dict[str, Any]) -> dict[str, Any]:
        for _ in range(TRIES):
            call, begun = Call(_ids(), run, self.name, None, body), False
            try:
                self.handler.before_model(call)
                begun = True
                answer: dict[str, Any] = self.client.ask(body)
            except Exception as error:
                if begun:
                    self.handler.model_failed(call, error)
                if isinstance(error, Stop):
                    raise
            else:
                self.handler.after_model(call, answer)
                return answer
        return _SORRY

    async def _aask(self, run: int, body: dict[str, Any]) -> dict[str, Any]:
        for _ in range(TRIES):
            call, begun = Call(_ids(), run, self.name, None, body), False
            try:
                await self.handler.abefore_model(call)
                begun = True
                answer: dict[str, Any] = await self.client.aask(body)
            except Exception as error:
                if begun:
                    self.handler.model_failed(call, error)
                if isinstance(error, Stop):
                    raise
            else:
                self.handler.after_model(call, answer)
                return answer
        return _SORRY

    def _use(self, run: int, wanted: Mapping[str, Any]) -> str:
        call = Call(_ids(), run, self.name, wanted["name"], json.loads(wanted["arguments"]))
        try:
            self.handler.before_tool(call)
            said = str(self.tools[wanted["name"]](**call.asked))
        except Stop:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        self.handler.after_tool(call)
        return said


_SORRY: dict[str, Any] = {"choices": [{"message": {"content": "Sorry, that did not work."}}]}


def _body(messages: list[Any]) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": messages, "max_tokens": 50}

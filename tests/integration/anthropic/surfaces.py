"""Every surface of the SDK that is paid for, and how its answer is taken, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import anthropic
from anthropic.resources.messages import Messages
from pydantic import BaseModel

ASKED: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]
MODEL = "claude-sonnet-4-5"
CHAT: dict[str, Any] = {"model": MODEL, "messages": ASKED, "max_tokens": 50}
TEXT: dict[str, Any] = {
    "model": "claude-2.1", "prompt": "\n\nHuman: Why is the sky blue?\n\nAssistant:", "max_tokens_to_sample": 50,
}  # fmt: skip


class Word(BaseModel):
    """What the structured calls ask for; the provider of these tests always says it."""

    word: str


class Surface(NamedTuple):
    """One way to spend.

    Attributes:
        call: what a user would write.
        taken: how the answer is taken: as a ``value``; ``events`` of a stream; ``raw``, a response
            that holds one of them; a ``manager`` of events, or of a response that is ``opened``.
    """

    call: Callable[[Any], Any]
    taken: str = "value"


SURFACES: dict[str, Surface] = {
    "messages": Surface(lambda c: c.messages.create(**CHAT)),
    "messages-stream": Surface(lambda c: c.messages.create(**CHAT, stream=True), "events"),
    "messages-stream-helper": Surface(lambda c: c.messages.stream(**CHAT), "manager"),
    "messages-raw": Surface(lambda c: c.messages.with_raw_response.create(**CHAT), "raw"),
    "messages-raw-stream": Surface(
        lambda c: c.messages.with_raw_response.create(**CHAT, stream=True), "raw-events"
    ),
    "messages-open": Surface(lambda c: c.messages.with_streaming_response.create(**CHAT), "opened"),
    "messages-open-stream": Surface(
        lambda c: c.messages.with_streaming_response.create(**CHAT, stream=True), "opened-lines"
    ),
    "beta": Surface(lambda c: c.beta.messages.create(**CHAT)),
    "beta-stream": Surface(lambda c: c.beta.messages.create(**CHAT, stream=True), "events"),
    "beta-raw": Surface(lambda c: c.beta.messages.with_raw_response.create(**CHAT), "raw"),
    "post": Surface(lambda c: c.post("/v1/messages", body=CHAT, cast_to=object)),
    "with-options": Surface(lambda c: c.with_options(timeout=20).messages.create(**CHAT)),
    "copy": Surface(lambda c: c.copy().beta.messages.create(**CHAT)),
}
if hasattr(Messages, "parse"):  # younger than the floor
    SURFACES |= {
        "messages-parse": Surface(lambda c: c.messages.parse(**CHAT, output_format=Word)),
        "beta-parse": Surface(lambda c: c.beta.messages.parse(**CHAT, output_format=Word)),
        "beta-stream-helper": Surface(lambda c: c.beta.messages.stream(**CHAT), "manager"),
    }


def take(surface: Surface, client: Any) -> Any:
    """Call it with a blocking client, and take the whole answer."""
    answer = surface.call(client)
    if surface.taken == "events":
        return list(answer)
    if surface.taken == "raw":
        return answer.parse()
    if surface.taken == "raw-events":
        return list(answer.parse())
    if surface.taken == "manager":
        with answer as events:
            return list(events)
    if surface.taken == "opened":
        with answer as response:
            return response.parse()
    if surface.taken == "opened-lines":
        with answer as response:
            return list(response.iter_lines())
    return answer


async def atake(surface: Surface, client: Any) -> Any:
    """The same with an asynchronous one."""
    answer = surface.call(client)
    if surface.taken == "manager":
        async with answer as events:
            return [event async for event in events]
    if surface.taken == "opened":
        async with answer as response:
            return await response.parse()
    if surface.taken == "opened-lines":
        async with answer as response:
            return [line async for line in response.iter_lines()]
    answer = await answer
    if surface.taken == "events":
        return [event async for event in answer]
    if surface.taken in ("raw", "raw-events"):
        parsed = answer.parse()
        parsed = await parsed if asyncio.iscoroutine(parsed) else parsed
        return parsed if surface.taken == "raw" else [event async for event in parsed]
    return answer


class Sync:
    """Blocking clients."""

    kind = anthropic.Anthropic
    http = anthropic.DefaultHttpxClient
    bedrock = anthropic.AnthropicBedrock
    vertex = anthropic.AnthropicVertex
    foundry = getattr(anthropic, "AnthropicFoundry", None)
    asynchronous = False

    def take(self, surface: Surface, client: Any) -> Any:
        return take(surface, client)

    def run(self, done: Any) -> Any:
        return done

    def close(self) -> None:
        """Nothing runs."""


class Async:
    """Asynchronous clients, on one loop for a whole test."""

    kind = anthropic.AsyncAnthropic
    http = anthropic.DefaultAsyncHttpxClient
    bedrock = anthropic.AsyncAnthropicBedrock
    vertex = anthropic.AsyncAnthropicVertex
    foundry = getattr(anthropic, "AsyncAnthropicFoundry", None)
    asynchronous = True

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def take(self, surface: Surface, client: Any) -> Any:
        return self.run(atake(surface, client))

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def close(self) -> None:
        self.run(self.loop.shutdown_asyncgens())
        self.loop.close()

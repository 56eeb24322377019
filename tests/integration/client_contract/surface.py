"""One way to spend through a client, and how its answer is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple


class Surface(NamedTuple):
    """One way to spend.

    Attributes:
        call: what a user would write.
        taken: how the answer is taken: as a ``value``; ``events`` of a stream; ``raw``, a response
            that holds one of them; a ``manager`` of events, or of a response that is ``opened``.
    """

    call: Callable[[Any], Any]
    taken: str = "value"


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

"""A reserve that does not block the event loop."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import Any

from .hold import Hold
from .ledger import Ledger
from .steps import Steps


class Reserving:
    """What `Session.areserve` returns: await it for the hold, or enter it with ``async with``."""

    __slots__ = ("_hold", "_ledger", "_steps")

    def __init__(self, ledger: Ledger, steps: Steps[Hold]) -> None:
        self._ledger = ledger
        self._steps = steps

    def __await__(self) -> Generator[Any, None, Hold]:
        return self._ledger.arun(self._steps).__await__()

    async def __aenter__(self) -> Hold:
        self._hold = await self
        return await self._hold.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hold.__aexit__(kind, error, trace)

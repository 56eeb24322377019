"""`Listeners`: who is told of alerts, in the call that causes one or in a thread of their own."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..runtime.log import logger
from ..runtime.worker import Worker
from .alert import Alert, AlertKind

if TYPE_CHECKING:
    import asyncio  # heavy: imported where a listener is a coroutine

ReportCallback: TypeAlias = "Callable[[dict[str, Any]], object]"
AlertCallback: TypeAlias = "Callable[[Alert], object]"
Delivery: TypeAlias = Literal["thread", "inline"]

_GRACE_S = 0.0005  # for a listener that is quick: it has been told when the call returns


class Listeners:
    """Hands alerts to whoever listens. A listener that fails is logged; nothing of it reaches the agent.

    An ``async def`` listener runs in the event loop of the call that causes the alert, else in its own.

    Args:
        by_kind: listeners to one kind, which get the report.
        listeners: listeners to every alert.
        delivery: ``"thread"``: no call waits for a listener; ``"inline"``: the call that causes an alert
            waits for each.
    """

    def __init__(
        self,
        by_kind: Mapping[AlertKind, ReportCallback],
        listeners: tuple[AlertCallback, ...],
        delivery: Delivery,
    ) -> None:
        self._by_kind = by_kind
        self._listeners = list(listeners)
        self._worker: Worker[tuple[Alert, asyncio.AbstractEventLoop | None]] | None = None
        if delivery == "thread":
            self._worker = Worker("bursar-alerts", lambda told: self._tell_all(*told))

    def add(self, listener: AlertCallback) -> None:
        """Tell one more of every alert from now on."""
        self._listeners.append(listener)

    def tell(self, alert: Alert) -> None:
        """Tell everybody, and the log."""
        logger.warning("%s", alert.message)
        loop = _running_loop()
        if self._worker is None:
            self._tell_all(alert, loop)
        elif not self._worker.put((alert, loop)):
            logger.error("an alert was dropped: too many wait for the listeners")
        else:
            self._worker.wait(_GRACE_S)

    def _tell_all(self, alert: Alert, loop: asyncio.AbstractEventLoop | None) -> None:
        listener = self._by_kind.get(alert.kind)
        if listener is not None:
            _tell(listener, alert.report, loop)
        for hears_all in tuple(self._listeners):
            _tell(hears_all, alert, loop)


def _tell(listener: Callable[[Any], object], what: object, loop: asyncio.AbstractEventLoop | None) -> None:
    try:
        told = listener(what)
        if inspect.iscoroutine(told):
            _run(_logged(listener, told), loop)
    except Exception as error:
        _log(listener, error)


def _run(told: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop | None) -> None:
    """Run it in the loop of the call; where there is none, or none any more, in one of its own."""
    import asyncio

    if loop is not None:
        try:
            asyncio.run_coroutine_threadsafe(told, loop)
        except RuntimeError:  # it is closed
            pass
        else:
            return
    asyncio.run(told)


async def _logged(listener: Callable[[Any], object], told: Awaitable[object]) -> None:
    try:
        await told
    except Exception as error:
        _log(listener, error)


def _log(listener: object, error: Exception) -> None:
    name = getattr(listener, "__qualname__", type(listener).__name__)
    logger.error("the alert listener %s failed: %s", name, type(error).__name__)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        running: asyncio.AbstractEventLoop = sys.modules["asyncio"].get_running_loop()
    except (KeyError, RuntimeError):  # nobody has imported it, or no loop runs here
        return None
    return running

"""Calls one function of a plugin, guards against what it raises, and describes plugins (`PluginInfo`)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import BursarError, CallVetoed
from ..runtime.log import logger

T = TypeVar("T")

# None is called from within itself: who pays when told of a charge would be told of that one, too, and so on.
_at_work: ContextVar[frozenset[Implementation]] = ContextVar("bursar_at_work", default=frozenset())
_counting = threading.RLock()
_MEANT: Mapping[str, type[BursarError]] = {  # what a plugin raises for the caller to see
    "bursar_before_reserve": CallVetoed,
    "bursar_open_store": BursarError,
    "bursar_patch": BursarError,
    "bursar_wrap_client": BursarError,
}


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin, as `list_plugins` tells it.

    Attributes:
        name: of its entry point; of its module or class where a budget brought it.
        version: of the distribution that installed it.
        hooks: those that it implements.
        failures: how often it failed, by hook; a hook that never did is left out.
        inactive: why no hook of it is called: it is blocked, or could not be loaded; else None.
    """

    name: str
    version: str | None
    hooks: tuple[str, ...]
    failures: Mapping[str, int] = field(hash=False)
    inactive: str | None


def at_work() -> bool:
    """True within a plugin."""
    return bool(_at_work.get())


class HookFailed(Exception):
    """An implementation raised, or returned nonsense. No word of what it raised, which may hold secrets."""


class Implementation:
    """What one plugin does for one hook.

    Args:
        plugin: the name of the plugin.
        hook: the name of the hook.
        function: what is called, with `arguments` by position.
        arguments: those of the hook that it takes.
        rank: -1 comes before the others, 1 after them.

    Attributes:
        failures: how often it failed.
    """

    def __init__(
        self, plugin: str, hook: str, function: Callable[..., Any], arguments: tuple[str, ...], rank: int
    ) -> None:
        self.plugin = plugin
        self.hook = hook
        self.rank = rank
        self.failures = 0
        self._function = function
        self._arguments = arguments
        self._meant = (KeyboardInterrupt, _MEANT.get(hook, KeyboardInterrupt))
        self._traced = os.environ.get("BURSAR_TRACE_PLUGINS", "0") not in {"", "0"}

    def tell(self, given: Mapping[str, Any]) -> None:
        """Call it; nothing that it raises comes out but a ``KeyboardInterrupt``, which is the user's."""
        try:
            self._call(given)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._failed(error)

    def ask(self, given: Mapping[str, Any], read: Callable[[Any], T]) -> T | None:
        """Its answer, through `read`; None where it has none.

        Raises:
            HookFailed: it raised, or `read` did.
            BursarError: it raised what it may raise for the caller to see.
        """
        try:
            answer = self._call(given)
            return None if answer is None else read(answer)
        except self._meant:
            raise
        except BaseException as error:
            self._failed(error)
            raise HookFailed(
                f"the plugin {self.plugin!r} failed in {self.hook} ({type(error).__name__})"
            ) from error

    def _call(self, given: Mapping[str, Any]) -> Any:
        at_work = _at_work.get()
        if self in at_work:
            return None
        if self._traced:
            logger.info("%s: %s", self.hook, self.plugin)
        token = _at_work.set(at_work | {self})
        try:
            return self._function(*[given[name] for name in self._arguments])
        finally:
            _at_work.reset(token)

    def _failed(self, error: BaseException) -> None:
        with _counting:
            self.failures += 1
            first = self.failures == 1
        if first:
            with suppress(Exception):  # of whoever handles the log
                logger.error(
                    "the plugin %r failed in %s (%s); from now on its failures there are only counted",
                    self.plugin,
                    self.hook,
                    where(error),
                )


def where(error: BaseException) -> str:
    """The kind of an error and the line that raised it, and no word of its text."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}{place}"

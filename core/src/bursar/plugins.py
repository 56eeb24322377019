"""Finds plugins: those of a budget, and those that distributions install for every budget.

An installed plugin is an entry point of the group ``bursar``. They are looked up once in a process,
when the first budget needs a hook. ``BURSAR_BLOCK_PLUGINS=name,name`` leaves some out, ``*`` all of
them; ``BURSAR_TRACE_PLUGINS=1`` logs each call of a hook, by its name and that of the plugin.
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pluggy import HookImpl, PluginManager

from . import hookspecs
from .handle import Handle
from .ledger.hook_call import Implementation, PluginInfo, where
from .runtime.log import logger

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_NAME = "bursar"  # of the project at pluggy, and of the group of entry points


class NotAPlugin(ValueError):
    """It has no hook, or misspells one. The text has nothing of its values, which may be secrets."""


class Plugin(NamedTuple):
    """A plugin, as `Plugins` works with it; see `PluginInfo`."""

    name: str
    version: str | None
    implementations: tuple[Implementation, ...] = ()
    inactive: str | None = None
    thing: object = None

    def info(self) -> PluginInfo:
        """As it stands."""
        failures: dict[str, int] = {}
        for made in self.implementations:
            if made.failures:
                failures[made.hook] = failures.get(made.hook, 0) + made.failures
        hooks = tuple(dict.fromkeys(made.hook for made in self.implementations))
        return PluginInfo(self.name, self.version, hooks, failures, self.inactive)


class Plugins:
    """The plugins of one budget: its own, then the installed ones.

    Args:
        own: modules, or objects, with functions marked by `hookimpl`.

    Raises:
        NotAPlugin: one of them is none.
        ValueError: they are no sequence.
    """

    def __init__(self, own: Iterable[object] = ()) -> None:
        given: object = own
        if not isinstance(given, Iterable):
            raise ValueError(f"plugins= takes a sequence of plugins, not a {type(given).__name__}")
        things: list[object] = []
        for thing in given:
            if not any(thing is other for other in things):
                things.append(thing)
        self._own = tuple(_plugin(thing, _name(thing)) for thing in things)

    def implementations(self, hook: str) -> tuple[Implementation, ...]:
        """Those of a hook, in the order of the plugins, but for ``tryfirst`` and ``trylast``."""
        found = [made for plugin in self._all() for made in plugin.implementations if made.hook == hook]
        return tuple(sorted(found, key=lambda made: made.rank))

    def listed(self) -> tuple[PluginInfo, ...]:
        """The plugins as they stand, in their order."""
        return tuple(plugin.info() for plugin in self._all())

    def _all(self) -> Iterator[Plugin]:
        yield from self._own
        for plugin in _installed():
            if not any(plugin.thing is mine.thing for mine in self._own):
                yield plugin


def list_plugins(budget: Handle | None = None) -> tuple[PluginInfo, ...]:
    """The plugins that are installed, in use or not.

    Args:
        budget: a Budget or a Session, to see those that it brought, before the others.
    """
    source = Plugins() if budget is None else budget._ledger.hooks.source
    return source.listed()


# -- one plugin ---------------------------------------------------------------------------------------


@cache
def _specs() -> Mapping[str, tuple[str, ...]]:
    """The hooks that there are, and their arguments."""
    manager = PluginManager(_NAME)
    manager.add_hookspecs(hookspecs)
    return {name: caller.spec.argnames for name, caller in vars(manager.hook).items()}


def _name(thing: object) -> str:
    return thing.__name__ if inspect.ismodule(thing) else type(thing).__name__


def _plugin(thing: object, name: str, version: str | None = None) -> Plugin:
    """What a plugin implements. Each has a manager of its own, so that equal plugins are no conflict.

    Raises:
        NotAPlugin: nothing that can be used.
    """
    if inspect.isclass(thing) or inspect.isroutine(thing):
        raise NotAPlugin(
            f"{thing.__name__!r} is a function or a class; a plugin is a module or an object with hooks in it"
        )
    manager = PluginManager(_NAME)
    manager.register(thing, name)
    for attribute in dir(thing):
        if (
            attribute.startswith("bursar_")
            and inspect.isroutine(inspect.getattr_static(thing, attribute, None))
            and manager.parse_hookimpl_opts(thing, attribute) is None
        ):
            raise NotAPlugin(f"{attribute}() of the plugin {name!r} has no @bursar.hookimpl above it")
    made = tuple(
        _implementation(found, hook, name)
        for hook, caller in vars(manager.hook).items()
        for found in caller.get_hookimpls()
        if hook in _specs() or not found.optionalhook
    )
    if not made:
        raise NotAPlugin(
            f"the plugin {name!r} has no hook; it needs functions named like {next(iter(_specs()))},"
            " with @bursar.hookimpl above them"
        )
    return Plugin(name, version, made, None, thing)


def _implementation(found: HookImpl, hook: str, plugin: str) -> Implementation:
    arguments = _specs().get(hook)
    if arguments is None:
        from difflib import get_close_matches

        near = "".join(f"; is it {name}()?" for name in get_close_matches(hook, _specs(), 1))
        raise NotAPlugin(f"the plugin {plugin!r} has {hook}(), and there is no such hook{near}")
    unknown = [name for name in found.argnames if name not in arguments]
    if unknown:
        raise NotAPlugin(
            f"{hook}() of the plugin {plugin!r} takes {', '.join(unknown)}; the hook has only"
            f" ({', '.join(arguments)})"
        )
    if found.wrapper or found.hookwrapper or not _is_plain(found.function):
        raise NotAPlugin(
            f"{hook}() of the plugin {plugin!r} is no plain function: a hook is no wrapper, no generator,"
            " and not async"
        )
    rank = found.trylast - found.tryfirst
    return Implementation(plugin, hook, found.function, tuple(found.argnames), rank)


def _is_plain(function: Any) -> bool:
    return not (
        inspect.iscoroutinefunction(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    )


# -- those that are installed ---------------------------------------------------------------------------

_lock = threading.RLock()
_found: tuple[Plugin, ...] | None = None
_loading: ContextVar[bool] = ContextVar("bursar_loading", default=False)


def _installed() -> tuple[Plugin, ...]:
    """The installed plugins.

    No lock is held while they are imported, because an import waits for those of other threads.
    To a plugin that spends while it is imported there are none.
    """
    global _found  # noqa: PLW0603 - once in a process
    if _found is None:
        if _loading.get():
            return ()
        token = _loading.set(True)
        try:
            plugins = tuple(_load())
        finally:
            _loading.reset(token)
        with _lock:
            if _found is None:  # else another thread was faster
                _found = plugins
    return _found


def _load() -> Iterator[Plugin]:
    named = os.environ.get("BURSAR_BLOCK_PLUGINS", "")
    blocked = {name.strip() for name in named.split(",")} - {""}
    taken = set()
    for entry in _entries():
        if "*" in blocked or entry.name in blocked:
            yield Plugin(entry.name, _version(entry), inactive="blocked by BURSAR_BLOCK_PLUGINS")
        elif entry.name in taken:
            yield _unused(entry, "another plugin has this name")
        else:
            yield _imported(entry)
        taken.add(entry.name)
    for name in sorted(blocked - taken - {"*"}):
        logger.warning("BURSAR_BLOCK_PLUGINS names %r, and no such plugin is installed", name)


def _entries() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    try:
        return sorted(entry_points(group=_NAME), key=lambda entry: entry.name)
    except Exception as error:  # some distribution is broken, perhaps none of ours
        logger.error("the installed plugins cannot be looked up (%s)", where(error))
        return []


def _imported(entry: EntryPoint) -> Plugin:
    try:
        return _plugin(entry.load(), entry.name, _version(entry))
    except KeyboardInterrupt:
        raise
    except NotAPlugin as error:
        return _unused(entry, str(error))
    except BaseException as error:
        return _unused(entry, f"it could not be loaded ({where(error)})")


def _unused(entry: EntryPoint, why: str) -> Plugin:
    logger.error("the installed plugin %r is not in use: %s", entry.name, why)
    return Plugin(entry.name, _version(entry), inactive=why)


def _version(entry: EntryPoint) -> str | None:
    version: str | None = None
    with suppress(Exception):  # metadata may be broken, too
        version = entry.dist.version if entry.dist else None
    return version

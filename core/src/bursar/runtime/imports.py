"""Tells when a module was imported, by whomever: before the importer gets it, in the importer's thread.

A finder at the head of ``sys.meta_path`` finds a watched module by all the others, and puts a loader of
ours around theirs until the module is executed. Nothing is imported from here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, cast

_watched: dict[str, Callable[[str], object]] = {}
_done: set[str] = set()  # modules that were executed, and whose import ends when that was told
_looking: ContextVar[bool] = ContextVar("bursar_looking", default=False)


def watch(names: Sequence[str], tell: Callable[[str], object]) -> None:
    """Have `tell` called with the name of each of these modules, each time that one was executed.

    What it raises comes out of the import. It may be called twice for one import.
    """
    _watched.update(dict.fromkeys(names, tell))
    if not sys.meta_path or sys.meta_path[0] is not _finder:
        unhook()
        sys.meta_path.insert(0, _finder)  # others may have come before it since


def unwatch() -> None:
    """Tell nothing any more."""
    _watched.clear()
    unhook()


def unhook() -> None:
    """Take the finder out of ``sys.meta_path``."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not _finder]


def is_watched(name: str) -> bool:
    """True where the import of a module is told of, and no finder has come before ours."""
    return name in _watched and sys.meta_path[0] is _finder


def is_imported(name: str) -> bool:
    """True for a module that was executed. If it is watched, the end of an import under way will be told."""
    module = sys.modules.get(name)
    if not isinstance(module, ModuleType) or name in _done:
        return module is not None
    spec = object.__getattribute__(module, "__dict__").get("__spec__")  # a lazy module is left asleep
    if type(module).__name__ == "_LazyModule":
        if name in _watched and not isinstance(spec.loader, _Loader):
            spec.loader = _Loader(spec.loader, name)
        return False
    if getattr(spec, "_initializing", False):
        if name in _watched and type(spec) is ModuleSpec:
            spec.__class__ = _Unfinished
        return False
    return True


def _executed(name: str) -> None:
    tell = _watched.get(name)
    if tell is not None:
        _done.add(name)
        try:
            tell(name)
        finally:
            _done.discard(name)


class _Finder:
    """Finds watched modules by the other finders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _watched or _looking.get():
            return None
        token = _looking.set(True)  # one of the others may ask all of them, and so this one
        try:
            spec = next(filter(None, (_find(finder, name, path, target) for finder in sys.meta_path)), None)
        finally:
            _looking.reset(token)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = cast("Any", _Loader(spec.loader, name))
        return spec


def _find(finder: Any, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    find = getattr(finder, "find_spec", None)
    spec: ModuleSpec | None = None if find is None or finder is _finder else find(name, path, target)
    return spec


class _Loader:
    """Executes a module by its own loader, to which it leaves its place, and tells."""

    def __init__(self, loader: Any, name: str) -> None:
        self._loader = loader
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        for holder, name in ((module.__spec__, "loader"), (module, "__loader__")):
            if getattr(holder, name, None) is self:
                setattr(holder, name, self._loader)
        self._loader.exec_module(module)
        _executed(self._name)


class _Unfinished(ModuleSpec):
    """The spec of a module whose import had begun before: the import system notes its end here."""

    @property
    def _initializing(self) -> bool:
        return bool(self.__dict__["_initializing"])

    @_initializing.setter
    def _initializing(self, initializing: bool) -> None:
        self.__dict__["_initializing"] = initializing
        if not initializing:
            self.__class__ = ModuleSpec  # type: ignore[assignment]
            if self.name in sys.modules:  # else it has failed
                try:
                    _executed(self.name)
                except BaseException:
                    del sys.modules[self.name]  # as after any import that raises
                    raise


_finder = _Finder()

"""Covers the SDKs in this process: those that are imported now, and others as soon as they are."""

from __future__ import annotations

import sys
import threading
from importlib.util import find_spec

from .errors import BursarError
from .ledger import context
from .ledger.hook_call import HookFailed, Implementation
from .plugins import Plugins
from .runtime import imports
from .runtime.log import logger

INTEGRATIONS = {"anthropic": "bursar-anthropic", "openai": "bursar-openai"}
# Libraries that send paid calls by themselves, and what of it passes through a covered SDK.
NOT_COVERED = {
    "cohere": "",
    "google.genai": "",
    "groq": "",
    "litellm": ", but for its OpenAI route",
    "mistralai": "",
}

_lock = threading.RLock()
_users = 0  # how many want every SDK covered, or an error: `init`, and running functions of `budgeted`
_found: frozenset[str] | None = None  # the SDKs that plugins cover, once all of them were asked
_covered: set[str] = set()
_for_good: set[str] = set()
_asked = False  # the plugins, since the SDKs were restored
_named: set[str] = set()  # what a warning was about


def cover() -> None:
    """Cover the SDKs: those that are imported now, and others when they are; their imports raise, too.

    Raises:
        BursarError: a plugin failed to, or an SDK is installed that none covers.
    """
    global _users, _found  # noqa: PLW0603 - the state of the process
    _watch()
    with _lock:
        _users += 1
    try:
        if _found is None or any(sdk not in _covered and imports.is_imported(sdk) for sdk in _found):
            found = _ask()
            missing = [sdk for sdk in INTEGRATIONS if sdk not in found and _is_installed(sdk)]
            if missing:
                raise _unseen(*missing)
            _found = found
            _covered.update(filter(imports.is_imported, found))
    except BaseException:
        uncover()
        restore()
        raise
    _name_those_not_covered()


def uncover() -> None:
    """One fewer wants every SDK covered; they stay so until `restore`."""
    global _users  # noqa: PLW0603 - the state of the process
    with _lock:
        _users -= 1


def cover_entered() -> None:
    """Cover the SDKs for a session that is entered: those that are imported now, and others when they are.

    One that fails to be covered raises out of the first call that a session would pay for.
    """
    if not imports.is_watched("openai"):
        _watch()
    for sdk in INTEGRATIONS:
        if sdk not in _covered and sdk in sys.modules and imports.is_imported(sdk):
            _cover_or_guard(sdk)
    for library in NOT_COVERED:
        if library not in _named and library in sys.modules:
            _name(library)


def restore() -> None:
    """Uncover the SDKs, unless somebody needs them covered: who is inside of a session, or `cover`."""
    global _asked, _found  # noqa: PLW0603 - the state of the process
    with _lock:
        if _users or context.is_somebody_inside():
            return
        imports.unwatch()
        _found = None
        _covered.clear()
        _named.clear()
        if _asked:
            from .sdk.unseen import leave

            _asked = False
            leave()
            _unpatch()


def covered_sdks(*only: str) -> frozenset[str]:
    """Cover the SDKs that are imported, for as long as the process lives; nobody pays by that.

    For adapters: a covered SDK holds and books the requests that are promised to it. It costs next to
    nothing where an SDK is covered already.

    Args:
        only: the SDKs to look at, by name; all of them by default.

    Returns:
        The names of the SDKs that are covered for good, such as ``"openai"``. One that no package of
        ours covers, and one that is not imported, is not among them.

    Raises:
        BursarError: a package of ours failed to cover its SDK, for instance because that is too old.
    """
    wanted = [sdk for sdk in only or INTEGRATIONS if sdk not in _for_good and imports.is_imported(sdk)]
    if wanted:
        with _lock:
            for patch in _implementations("bursar_patch"):
                if patch.plugin in wanted and patch.plugin not in _for_good:
                    try:
                        patch.ask({}, str)
                    except HookFailed as failed:
                        raise BursarError(f"{patch.plugin} is not covered: {failed}") from failed.__cause__
                    _for_good.add(patch.plugin)
    return frozenset(_for_good)


# -- imports ------------------------------------------------------------------------------------


def _watch() -> None:
    imports.watch(tuple(INTEGRATIONS), _imported)
    imports.watch(tuple(NOT_COVERED), _name_if_watched)


def _imported(sdk: str) -> None:
    """An SDK was imported, and its importer has not got it yet.

    Raises:
        BursarError: it is not covered, and `init` or `budgeted` wants it to be.
    """
    if _users:
        if sdk not in _ask(sdk):
            raise _unseen(sdk)
        _covered.add(sdk)
    elif context.is_somebody_inside():
        _cover_or_guard(sdk)


def _cover_or_guard(sdk: str) -> None:
    """Cover an SDK; one that cannot be raises, or warns once, where it sends what a session would pay for."""
    from .sdk.unseen import guard

    _covered.add(sdk)
    try:
        if sdk not in _ask(sdk):
            guard(sdk, lambda: _warn(sdk, str(_unseen(sdk))))
    except BursarError as error:
        failed = error

        def refuse() -> None:
            raise BursarError(str(failed)) from failed

        guard(sdk, refuse)


def _name_if_watched(library: str) -> None:
    if _users or context.is_somebody_inside():
        _name(library)


def _name_those_not_covered() -> None:
    for library in NOT_COVERED:
        if library in sys.modules:
            _name(library)


def _name(library: str) -> None:
    """Say once that a library is not covered, unless a plugin covers it."""
    if library not in (_found or ()):
        _warn(
            library,
            f"{library} is not covered: no budget sees its calls{NOT_COVERED[library]}, unless a framework"
            " uses it that a package of ours adapts. Hold its calls with session.reserve(), or book them with"
            " session.record()",
        )


def _warn(name: str, text: str) -> None:
    if name not in _named:
        _named.add(name)
        logger.warning(text)


# -- plugins ------------------------------------------------------------------------------------


def _ask(only: str | None = None) -> frozenset[str]:
    """Have the plugins cover their SDKs: all, or all but those of others. No lock is held: they import.

    Returns:
        The SDKs that are installed and covered, or will be once they are imported.

    Raises:
        BursarError: one has failed.
    """
    global _asked
    _asked, found = True, set()
    for patch in _implementations("bursar_patch"):
        if only is None or patch.plugin == only or patch.plugin not in INTEGRATIONS:
            try:
                found.add(patch.ask({}, str))
            except HookFailed as failed:
                raise BursarError(f"the SDKs are not covered: {failed}") from failed.__cause__
    return frozenset(filter(None, found))


def _unpatch() -> None:
    for unpatch in _implementations("bursar_unpatch"):
        if unpatch.plugin not in _for_good:
            unpatch.tell({})


def _is_installed(sdk: str) -> bool:
    try:
        return find_spec(sdk) is not None
    except ValueError:  # it is imported, and says nothing of where from
        return True


def _unseen(*sdks: str) -> BursarError:
    names = " ".join(INTEGRATIONS[sdk] for sdk in sdks)
    return BursarError(f"{' and '.join(sdks)} would spend unseen: pip install {names}")


def _implementations(hook: str) -> tuple[Implementation, ...]:
    return Plugins().implementations(hook)

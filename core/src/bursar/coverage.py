"""Covers the SDKs in this process, while a session pays for them, or for as long as it lives."""

from __future__ import annotations

import sys
import threading
from importlib.util import find_spec

from .clients import INTEGRATIONS
from .errors import BursarError
from .ledger.hook_call import HookFailed, Implementation
from .plugins import Plugins

_lock = threading.RLock()
_users = 0  # how many want every SDK covered
_for_good: set[str] = set()


def cover() -> None:
    """Cover the SDKs, unless they are.

    Raises:
        BursarError: a plugin failed to, or an SDK is installed that none covers.
    """
    global _users  # noqa: PLW0603 - the state of the process
    with _lock:
        if not _users:
            try:
                covered = {patch.ask({}, str) for patch in _implementations("bursar_patch")}
                missing = [sdk for sdk in INTEGRATIONS if sdk not in covered and find_spec(sdk) is not None]
                if missing:
                    names = " ".join(INTEGRATIONS[sdk] for sdk in missing)
                    raise BursarError(f"{' and '.join(missing)} would spend unseen: pip install {names}")
            except HookFailed as failed:
                _unpatch()
                raise BursarError(f"the SDKs are not covered: {failed}") from failed.__cause__
            except BaseException:
                _unpatch()
                raise
        _users += 1


def uncover() -> None:
    """Uncover them, unless somebody else needs them covered."""
    global _users  # noqa: PLW0603 - the state of the process
    with _lock:
        _users -= 1
        if not _users:
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
    wanted = [sdk for sdk in only or INTEGRATIONS if sdk in sys.modules and sdk not in _for_good]
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


def _unpatch() -> None:
    for unpatch in _implementations("bursar_unpatch"):
        if unpatch.plugin not in _for_good:
            unpatch.tell({})


def _implementations(hook: str) -> tuple[Implementation, ...]:
    return Plugins().implementations(hook)

"""Tells from an exception whether a call can be on the bill: ``"released"`` or ``"unknown"``.

Providers do not bill a complete error answer, and cannot bill what never reached
them. Anything else may be on the bill: the request was sent, and nobody knows.
"""

from __future__ import annotations

from typing import Literal

from ..errors import BursarError

Outcome = Literal["released", "unknown"]

_UNBILLED_5XX = (500, 502, 503, 529)
# By name, because no HTTP library is imported here: raised before a request is on the wire.
_NEVER_SENT = frozenset({
    "ClientConnectorError", "ConnectError", "ConnectTimeout", "ConnectionRefusedError", "NewConnectionError",
    "PoolTimeout", "SSLCertVerificationError", "UnsupportedProtocol", "gaierror",
})  # fmt: skip
# LiteLLM gives these a status of its own (500, 408), though no answer came.
_NO_ANSWER = frozenset({"APIConnectionError", "APITimeoutError"})


def outcome_of(error: BaseException) -> Outcome:
    """``"released"`` when the call provably cost nothing, else ``"unknown"``.

    Looks at the status code of a complete HTTP error answer (``.status_code``, or that
    of ``.response``), and along the causes for a connection that never came about.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if _is(cause, _NEVER_SENT):
            return "released"
        status = _status(cause)
        if status is not None:
            unbilled = (400 <= status < 500 and status != 408) or status in _UNBILLED_5XX
            return "released" if unbilled else "unknown"
        cause = cause.__cause__  # not the context: that may be about another call
    return "unknown"


def _status(error: BaseException) -> int | None:
    if isinstance(error, BursarError) or _is(error, _NO_ANSWER):
        return None  # a refusal has a status, but is about another call
    for holder in (error, _get(error, "response")):
        status = _get(holder, "status_code")
        if type(status) is int:
            return status
    return None


def _is(error: BaseException, names: frozenset[str]) -> bool:
    return any(base.__name__ in names for base in type(error).__mro__)


def _get(holder: object, name: str) -> object:
    try:
        return getattr(holder, name, None)
    except Exception:
        return None

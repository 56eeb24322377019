"""Makes errors for people of what a server answers when it cannot do what it was asked."""

from __future__ import annotations

from redis import exceptions

from ...errors import StoreUnavailable

_WORDS = {  # another time it may
    "OOM": "is out of memory",
    "READONLY": "is a replica, which cannot be written to",
    "LOADING": "is still loading its data",
    "MISCONF": "cannot save its data",
    "NOREPLICAS": "has too few replicas",
    "MASTERDOWN": "has lost its master",
    "CLUSTERDOWN": "is in a cluster that is down",
    "TRYAGAIN": "is in a cluster that moves these keys just now",
    "MOVED": "is a member of a Cluster, where these keys are at another one: write redis+cluster://",
    "BUSY": "is busy with a script",
    "NOAUTH": "asks for a password",
    "unauthenticated": "asks for a password",  # where it would not even read a long request
    "WRONGPASS": "does not accept the password",
    "NOPERM": "does not give this user the rights that docs/redis.md lists",
}
_KINDS = (  # of errors whose text lacks the code; the first that fits
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.TryAgainError, "TRYAGAIN"),
    (exceptions.AskError, "MOVED"),
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.NoPermissionError, "NOPERM"),
)


def code_of(error: Exception) -> str:
    """What a server calls its reason: ``"READONLY"``; empty where it gave none that is known."""
    for kind, code in _KINDS:
        if isinstance(error, kind):
            return code
    text = str(error)
    if "can't run this command" in text or "has no permissions to" in text:  # within a script
        return "NOPERM"
    if "Authentication required" in text:
        return "NOAUTH"
    words = text.replace(":", " ").replace("'", " ").replace("-", " ").split()
    return next((code for code in _WORDS if code in words), "")


def untrusted(error: Exception) -> bool:
    """True where the two ends do not agree on an encrypted connection; another try would not help."""
    text = str(error)
    return "SSL" in text or "certificate" in text


def failure(error: Exception, where: str, timeout_s: float) -> StoreUnavailable:
    """The error of ours for an error of redis-py.

    Args:
        error: what was raised.
        where: the server, for people.
        timeout_s: how long it had, in seconds.
    """
    code = code_of(error)
    if code == "NOPERM":
        return StoreUnavailable(f"{where} {_WORDS[code]}")
    if code:
        return StoreUnavailable(f"{where} {_WORDS[code]}; make no call")
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return StoreUnavailable(f"{where} does not accept the user or the password")
    if isinstance(error, exceptions.TimeoutError):
        return StoreUnavailable(f"{where} did not answer within {timeout_s:g} s; make no call")
    if untrusted(error):
        why = str(error).partition("SSL: ")[2].partition("]")[0] or "no encrypted connection"
        return StoreUnavailable(
            f"{where} is not trusted ({why:.60}): check ?ca=, ?cert= and ?key=, and that it speaks TLS"
        )
    if isinstance(error, NoMaster):
        return StoreUnavailable(f"{where}: {error}; make no call")
    if isinstance(error, exceptions.ConnectionError):
        return StoreUnavailable(f"{where} cannot be reached; make no call")
    return StoreUnavailable(f"{where} refuses the request: {error!s:.200}; make no call")


class OutOfTime(exceptions.TimeoutError):
    """There was no time to ask anybody; what was answered before says more."""


class NoMaster(exceptions.ConnectionError):
    """No sentinel that answers knows a master of this name."""

"""Names that come from outside: accounts, sessions, models, tools, providers."""

from __future__ import annotations

import re

from ..redaction import redacted

MAX_NAME = 200

# C0 and C1 controls, DEL, the line separators of Unicode, and surrogates that no UTF-8 can carry.
_SAFE = re.compile(r"[\w.~-]*", re.ASCII)
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


_fit: set[str] = set()  # names that were found to be such: the same few come with each call
_MOST_FIT = 4_096


def check_name(kind: str, value: object) -> str:
    """The name itself, if it is one: 1 to 200 characters that can be stored, logged and shown.

    Args:
        kind: what the message calls it (``"model"``, ``"session id"``).
        value: what the caller gave.

    Raises:
        ValueError: not a str, empty, too long, or with control characters or lone surrogates.
    """
    if type(value) is str and value in _fit:
        return value
    if not isinstance(value, str):
        raise ValueError(f"{kind} is a {type(value).__name__}; a name is a str")
    if not value:
        raise ValueError(f"{kind} is empty; a name has 1 to {MAX_NAME} characters")
    if len(value) > MAX_NAME:
        raise ValueError(
            f"{kind} {redacted(value)[:40]!a}... has {len(value)} characters; a name has at most {MAX_NAME}"
        )
    if _UNFIT.search(value):
        told: str = redacted(value)
        shown = ascii(told) if len(told) <= 40 else ascii(told[:40]) + "..."
        raise ValueError(f"{kind} {shown} contains control characters or lone surrogates")
    if len(_fit) >= _MOST_FIT:
        _fit.clear()
    _fit.add(value)
    return value


def fitted_name(value: str) -> str:
    """A name made of a text that was written for people: on one line, and cut; empty if nothing is left."""
    return " ".join(_UNFIT.sub(" ", value).split())[:MAX_NAME].rstrip()


def quoted(name: str) -> str:
    """A name as a part of a key: all but letters, digits and ``_.-~`` by percent."""
    if _SAFE.fullmatch(name):
        return name
    from urllib.parse import quote  # most names do not need it, and an import of bursar does not

    return quote(name, safe="", errors="surrogatepass")


def unquoted(part: str) -> str:
    """The name behind a part of a key."""
    if "%" not in part:
        return part
    from urllib.parse import unquote

    return unquote(part)

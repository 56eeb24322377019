"""Takes keys, passwords and tokens out of what is shown or sent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_GONE = "[redacted]"
_SECRETS = re.compile(
    r"""
    (?P<before> ://[^\s/:@]* : ) [^\s/@]+ (?=@)                             # a password in a URL
  | (?P<scheme> \b (?:bearer|basic) \s+ ) [\w.~+/=-]{8,}
  | (?P<name> \b (?:api[_-]?key|access[_-]?token|auth[_-]?token|token|secret|password|passwd|pwd)
      ["']? \s* [=:] \s* ["']? ) [^\s"',;&]+
  | \b (?: sk|pk|rk|ghp|gho|xox[abp]|whsec|hf|gsk|AIza|AKIA ) [-_]? [\w-]{16,}   # keys by their form
    """,
    re.IGNORECASE | re.VERBOSE,
)


def redacted(value: Any) -> Any:
    """The same, with what looks like a secret replaced; also in the texts of dicts and lists.

    What JSON cannot hold becomes its text; a number that is not finite becomes None.
    """
    if isinstance(value, str):
        return _SECRETS.sub(_replaced, value)
    if isinstance(value, Mapping):
        return {redacted(str(key)): redacted(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return redacted(str(value))


def _replaced(found: re.Match[str]) -> str:
    kept = found["before"] or found["scheme"] or found["name"] or ""
    return kept + _GONE

"""Takes keys, passwords and tokens out of what is shown, logged, raised or sent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

GONE = "[redacted]"

_NAMES = "api[_-]?key|access[_-]?key|token|secret|password|passwd|pwd|authorization|credentials?"
_SECRETS = rf"""
    (?P<before> :// (?: [^\s/:@]* : )? ) [^\s/?\#]+ (?=@)                  # a password, or a token, in a URL
  | (?P<asked> [?&] (?:key|sig|signature|auth|code) = ) [^\s"'&\#]+       # or in its query
  | (?P<name> (?:{_NAMES}) ["']? (?: = | :[ ]* ) ["']? (?: (?:bearer|basic|token) \s+ )? ) [^\s"',;&)}}\]]+
  | (?P<scheme> \b (?:bearer|basic) \s+ ) [\w.~+/=-]{{8,}}
  | \b (?: (?:sk|pk|rk|gsk|hf|r8|pplx|tvly|gh[opsu]|github_pat|glpat|xox[abprs]|whsec|lsv2) [_-] [\w-]{{16,}}
        | aiza [\w-]{{20,}} | akia [a-z0-9]{{12,}} | eyj [\w-]{{10,}} \. [\w.-]{{10,}} )  # by their form
"""
_FIRST = "(?=[:?&abceghlprstwx])"  # what one of these begins with: five times as fast in a long text


@cache
def _secrets() -> re.Pattern[str]:
    return re.compile(f"{_FIRST}(?:{_SECRETS})", re.IGNORECASE | re.VERBOSE)


@cache
def _secret_name() -> re.Pattern[str]:
    return re.compile(rf"[\w-]*(?:{_NAMES})", re.IGNORECASE)


def redacted(value: Any) -> Any:
    """The same, with what looks like a secret replaced; also in the texts of dicts and lists.

    What JSON cannot hold becomes its text; a number that is not finite becomes None.
    """
    if isinstance(value, str):
        return _secrets().sub(_replaced, value)
    if isinstance(value, Mapping):
        return _redacted_items(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return redacted(str(value))


def _redacted_items(items: Mapping[Any, Any]) -> dict[str, Any]:
    """Two keys that would become one are told apart by a number."""
    found: dict[str, Any] = {}
    for key, each in items.items():
        shown = name = redacted(str(key))
        while shown in found:
            shown = f"{name} {len(found)}"
        secret = isinstance(each, str) and _secret_name().fullmatch(name) is not None
        found[shown] = GONE if secret else redacted(each)
    return found


def _replaced(found: re.Match[str]) -> str:
    kept = next(filter(None, (found[name] for name in ("before", "asked", "name", "scheme"))), "")
    return kept + GONE

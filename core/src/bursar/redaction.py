"""Takes keys, passwords and tokens out of what is shown, logged, raised or sent."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, TypeVar

T = TypeVar("T")

GONE = "[redacted]"

_NAMES = "api[_-]?key|access[_-]?key|token|secret|password|passwd|pwd|authorization|credentials?"
_SECRETS = rf"""
    (?P<before> :// (?: [^\s/:@]* : )? ) [^\s/?\#]+ (?=@)                  # a password, or a token, in a URL
  | (?P<asked> [?&] (?:key|sig|signature|auth|code) = ) [^\s"'&\#]+       # or in its query
  | (?P<name> (?:{_NAMES}) ["']? (?: = | :[ ]* ) ["']? (?! (?: \w+ \s+ )? \[redacted\] )
      (?: (?:bearer|basic|token) \s+ )? ) [^\s"',;&)}}\]]+
  | (?P<scheme> \b (?:bearer|basic) \s+ ) [\w.~+/=-]{{8,}}
  | \b (?: (?:sk|pk|rk|gsk|hf|r8|pplx|tvly|gh[opsu]|github_pat|glpat|xox[abprs]|whsec|lsv2) [_-] [\w-]{{16,}}
        | aiza [\w-]{{20,}} | akia [a-z0-9]{{12,}} | eyj [\w-]{{10,}} \. [\w.-]{{10,}} )  # by their form
"""
_FIRST = "(?=[:?&abceghlprstwx])"  # what one of these begins with: five times as fast in a long text


@cache
def _secrets() -> re.Pattern[str]:
    return re.compile(f"{_FIRST}(?:{_SECRETS})", re.IGNORECASE | re.VERBOSE)


@lru_cache(1024)
def _names_secret(key: str) -> bool:
    return re.fullmatch(rf"[\w-]*(?:{_NAMES})", key, re.IGNORECASE) is not None


def redacted(value: Any) -> Any:
    """The same, with what looks like a secret replaced; also in the texts of dicts and lists.

    What JSON cannot hold becomes its text; a number that is not finite becomes None.
    """
    if isinstance(value, str):
        return value if value in _clean else _text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict | Mapping):
        return _items(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(each) for each in value]
    return redacted(str(value))


def redacted_keys(items: Iterable[tuple[Any, T]]) -> dict[str, T]:
    """A dict of what has no secrets but in its keys; two that would become one are told apart by a number."""
    found: dict[str, T] = {}
    for key, each in items:
        shown = name = redacted(str(key))
        while shown in found:
            shown = f"{name} {len(found)}"
        found[shown] = each
    return found


_clean: set[str] = set()  # short texts that were found to hold no secret, such as the names of fields
_MOST, _SHORT = 4096, 64


def _text(text: str) -> str:
    shown = _secrets().sub(_replaced, text)
    if shown == text and len(text) <= _SHORT:
        if len(_clean) >= _MOST:
            _clean.clear()
        _clean.add(text)
    return shown


def _items(items: Mapping[Any, Any]) -> dict[str, Any]:
    return redacted_keys(
        (key, GONE if isinstance(each, str) and _names_secret(redacted(str(key))) else redacted(each))
        for key, each in items.items()
    )


def _replaced(found: re.Match[str]) -> str:
    kept = next(filter(None, (found[name] for name in ("before", "asked", "name", "scheme"))), "")
    return kept + GONE

"""Checks an installed SDK against the oldest version that its package covers."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version

_FLOOR = re.compile(r"""([\w.-]+) *>= *([\d.]+) *; *extra *== *['"]sdk['"]""")
_RELEASE = re.compile(r"\d+(?:\.\d+)*")

_new_enough: set[str] = set()  # integrations; one whose SDK may still be installed or upgraded is not here


def too_old(integration: str) -> str | None:
    """Why an integration cannot cover the release of its SDK that is installed.

    Args:
        integration: the name of its distribution, whose extra ``sdk`` names the oldest release that
            it covers (``"openai>=1.66.0"``).

    Returns:
        Both versions and what to install; None where the release is new enough, where the SDK is
        absent, and where no metadata tell its version, as in a frozen program.
    """
    if integration in _new_enough:
        return None
    try:
        for requirement in filter(None, map(_FLOOR.fullmatch, requires(integration) or ())):
            sdk, floor = requirement.groups()
            found = version(sdk)
            if _release(found) < _release(floor):
                return (
                    f"{sdk} {found} is too old: {integration} covers {floor} and newer; "
                    f'pip install "{sdk}>={floor}"'
                )
    except PackageNotFoundError:
        return None
    _new_enough.add(integration)
    return None


def _release(text: str) -> list[int]:
    """The numbers of a version without the zeros at their end: those of 2.0 and 2.0.0 are equal."""
    found = _RELEASE.match(text)
    numbers = [int(number) for number in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers

"""The environment is what its name says: the floors of the pyproject, the newest releases, or the end of a line."""

from __future__ import annotations

import json
import os
from importlib.metadata import requires, version
from importlib.util import find_spec

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from bursar.sdk import too_old

pytestmark = pytest.mark.seam

RESOLUTION = os.environ.get("BURSAR_TEST_RESOLUTION")
WANTED: dict[str, str] = json.loads(os.environ.get("BURSAR_TEST_VERSIONS", "{}"))

COVERED = [sdk for sdk in ("anthropic", "openai") if find_spec(f"bursar_{sdk}") is not None]


@pytest.mark.skipif(RESOLUTION is None, reason="run by `nox -s integration`, which chooses the versions")
@pytest.mark.parametrize("name", WANTED or ["bursar"])
def test_the_versions_are_those_that_were_asked_for(name: str) -> None:
    """Lowest is the floor exactly; latest, and the last of an older line, is the newest that is asked for.

    What is held back, and why, stands in the pyproject of the workshop.
    """
    assert Version(version(name)) == Version(WANTED[name])


@pytest.mark.parametrize("sdk", COVERED)
def test_the_sdk_is_one_that_the_extra_asks_for(sdk: str) -> None:
    """Its integration names the floor there and nowhere else: it is that of the lowest environment, and of `init`."""
    asked = [Requirement(line) for line in requires(f"bursar-{sdk}") or ()]
    (floor,) = (one for one in asked if one.name == sdk)
    assert str(floor.marker) == 'extra == "sdk"' and version(sdk) in floor.specifier
    assert too_old(f"bursar-{sdk}") is None
    if RESOLUTION == "lowest" and [sdk] == COVERED:  # its own suite; a framework may ask for a later one
        assert f">={WANTED[sdk]}" in str(floor.specifier).split(",")

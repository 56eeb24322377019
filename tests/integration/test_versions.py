"""The environment is what its name says: the floors of the pyproject, the newest releases, or the end of a line."""

from __future__ import annotations

import json
import os
from importlib.metadata import version

import pytest
from packaging.version import Version

pytestmark = pytest.mark.seam

RESOLUTION = os.environ.get("BURSAR_TEST_RESOLUTION")
WANTED: dict[str, str] = json.loads(os.environ.get("BURSAR_TEST_VERSIONS", "{}"))

# Newest releases that something else in the environment does not allow: name -> (what will do instead, why).
HELD_BACK: dict[str, tuple[str, str]] = {}


@pytest.mark.skipif(RESOLUTION is None, reason="run by `nox -s integration`, which chooses the versions")
@pytest.mark.parametrize("name", WANTED or ["bursar"])
def test_the_versions_are_those_that_were_asked_for(name: str) -> None:
    """Lowest is the floor exactly; latest, and the last of an older line, is the newest, or held back for a reason."""
    found, wanted = Version(version(name)), Version(WANTED[name])
    if RESOLUTION != "lowest" and found != wanted and name in HELD_BACK:
        oldest, why = HELD_BACK[name]
        assert Version(oldest) <= found, why
    else:
        assert found == wanted

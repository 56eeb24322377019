"""A run that has no budget is left alone, a limit that is none ends it at once, and nothing of a run stays."""

from __future__ import annotations

from importlib.metadata import requires, version

import pytest
from packaging.requirements import Requirement

from bursar.testing import ScriptedProvider

from .conftest import ASK, OLDEST, Inner

pytest_plugins = ("pytester",)

IDLE = """
import sys

def test_idle():
    assert "bursar_pytest.hooks" in sys.modules and "bursar" not in sys.modules
"""
WRONG = """
import pytest

@pytest.mark.budget({})
def test_it():
    pass
"""


def test_a_run_without_a_budget_does_not_import_bursar(inner: Inner) -> None:
    """The plugin is there, and says nothing; the versions are those that the environment is for."""
    ran = inner.run(IDLE)
    assert ran.outcomes == {"test_idle": "PASSED"} and ran.status == 0 and inner.left() == []
    assert "bursar: " not in ran.text and "= bursar =" not in ran.text
    (floor,) = (one for one in map(Requirement, requires("bursar-pytest") or ()) if one.name == "pytest")
    found = f"{str(floor.specifier).removeprefix('>=')}.0" if OLDEST else version("pytest")
    assert f", pytest-{found}, " in ran.text


@pytest.mark.parametrize("limit", ["5k", ""], ids=["unit", "empty"])
def test_a_limit_of_the_run_that_is_none_is_a_wrong_use_of_pytest(limit: str, inner: Inner) -> None:
    """Exit status 4, and the words of the error alone."""
    ran = inner.run(IDLE, f"--budget={limit}")
    assert ran.status == pytest.ExitCode.USAGE_ERROR and ran.outcomes == {} and inner.left() == []
    assert f"ERROR: --budget: {limit!r} is not a" in ran.text and "Traceback" not in ran.text


@pytest.mark.parametrize("arguments", ["'5k'", "'$1', of='$2'"])
def test_a_marker_that_cannot_be_read_is_a_wrong_use_of_pytest(arguments: str, inner: Inner) -> None:
    """Exit status 4; it names the test."""
    ran = inner.run(WRONG.format(arguments))
    assert ran.status == pytest.ExitCode.USAGE_ERROR and ran.outcomes == {}
    assert "ERROR: test_it.py::test_it: @pytest.mark.budget: " in ran.text and "Traceback" not in ran.text


def test_a_marker_that_cannot_be_read_by_a_process_of_xdist(inner: Inner) -> None:
    """It cannot end the run, and fails the test with the same words; a right one passes beside it."""
    ran = inner.run(WRONG.format("'5k'") + WRONG.format("'$1'").replace("test_it", "test_right"), "-n1")
    assert ran.outcomes == {"test_it": "ERROR", "test_right": "PASSED"}
    assert "@pytest.mark.budget: '5k'" in ran.text and "Traceback" not in ran.text


KILLED = (
    ASK
    + """
@pytest.mark.parametrize("number", range(3))
def test_it(number):
    ask()
    if number == 1:
        os._exit(9)
"""
)


def test_a_process_that_dies_takes_nothing_along(inner: Inner, provider: ScriptedProvider) -> None:
    """The next one spends from the same ledger, which has what the dead one spent, and is gone at the end."""
    ran = inner.run(KILLED, "-n1", "--budget=$0.01")
    assert list(ran.outcomes.values()).count("PASSED") == 2 and provider.arrivals == 3
    assert f"${provider.bill.normalize():f} spent of $0.01" in ran.spent and inner.left() == []

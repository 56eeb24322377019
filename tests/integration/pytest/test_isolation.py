"""A run that has no budget is left alone, a limit that is none ends it at once, and nothing of a run stays."""

from __future__ import annotations

from importlib.metadata import requires, version

import pytest
from packaging.requirements import Requirement

from .conftest import OLDEST, Inner

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


@pytest.mark.parametrize("option", ["", "--budget=$1"])
def test_a_budget_pays_for_nothing_where_an_sdk_would_spend_unseen(option: str, inner: Inner) -> None:
    """Without its package: the run does not begin, or the marked test fails, by what to install; others pass."""
    inner.has_sdk("anthropic")
    ran = inner.run(WRONG.format("'$1'") + "\ndef test_free():\n    pass\n", *filter(None, [option]))
    assert "anthropic would spend unseen: pip install bursar-anthropic" in ran.text
    assert "Traceback" not in ran.text
    if option:
        assert ran.status == pytest.ExitCode.USAGE_ERROR and ran.outcomes == {}
    else:
        assert ran.outcomes == {"test_free": "PASSED", "test_it": "ERROR"}
        assert "KeyError" not in ran.text and "During handling" not in ran.text


DIES = """
import os
import pytest

@pytest.mark.parametrize("number", range(3))
def test_it(number, bursar_session):
    bursar_session.track(None, "$0.25", "search")
    if number == 1:
        os._exit(9)

@pytest.mark.budget("5k")
def test_wrong():
    pass
"""


def test_a_process_of_xdist_that_dies_takes_nothing_along(inner: Inner) -> None:
    """The next one spends from the same ledger, which has what the dead one spent, and is gone at the end.

    A marker that cannot be read does not end a process: its test fails, with the words of the error.
    """
    ran = inner.run(DIES, "-n1", "--budget=$1")
    passed = {"test_it[0]": "PASSED", "test_it[2]": "PASSED"}
    assert ran.outcomes == {**passed, "test_it[1]": "FAILED", "test_wrong": "ERROR"}
    assert "$0.75 spent of $1" in ran.spent and inner.left() == []
    assert "no budget can pay for this test: '5k'" in ran.text and "Traceback" not in ran.text

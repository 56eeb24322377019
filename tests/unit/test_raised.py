"""What integrations raise into frameworks, and what they keep from them."""

from __future__ import annotations

import copy
import logging
import pickle

import pytest

from bursar import BudgetExceeded, Tripped
from bursar.integration import never_breaks, raised_as


class Passes(Exception):
    """A class that some framework lets through."""

    is_retryable = False


def test_an_error_in_a_class_that_passes() -> None:
    """It is both, knows all that the first one knew, and keeps its traceback."""
    try:
        raise Tripped("enough", reason="enough", limit="$5/session")
    except Tripped as raised:
        error = raised
    twin = raised_as(error, Passes)
    assert isinstance(twin, (Tripped)) and isinstance(twin, Passes)
    assert (str(twin), twin.reason, twin.limit) == ("enough", "enough", "$5/session")
    assert twin.__traceback__ is error.__traceback__
    assert type(twin).__name__ == "Tripped"
    assert raised_as(twin, Passes) is twin


@pytest.mark.parametrize(
    "travel", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_it_travels(travel: object) -> None:
    """Copies and pickles are of the same class, and lose nothing; there is one class for each kind."""
    twin = raised_as(BudgetExceeded("no", tool="search"), Passes)
    again = travel(twin)  # type: ignore[operator]
    assert type(again) is type(twin) is type(raised_as(BudgetExceeded("other"), Passes))
    assert (str(again), vars(again)) == ("no", {"tool": "search"})


@pytest.mark.parametrize("fails", [True, False])
def test_a_hook_that_breaks_nothing(fails: bool, caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong is logged and does not reach the caller; without trouble nothing is logged."""
    heard = []

    @never_breaks
    def on_end(answer: str, *, run: int) -> None:
        """Hear of an answer."""
        heard.append((answer, run))
        if fails:
            raise OSError("broken")

    with caplog.at_level(logging.ERROR, "bursar"):
        on_end("hello", run=1)
    assert heard == [("hello", 1)]
    assert ["on_end failed" in record.getMessage() for record in caplog.records] == [True] * fails
    assert on_end.__name__ == "on_end"


def test_an_interrupt_passes() -> None:
    """Whoever stops the program is not held up."""

    @never_breaks
    def on_end() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_end()

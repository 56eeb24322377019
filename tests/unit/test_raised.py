"""What integrations raise into frameworks, and what they keep from them."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

from bursar import BudgetExceeded, BursarError, Tripped, integration
from bursar.integration import fails_closed, never_breaks, raised_as


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


def _run(hook: Any, *args: Any) -> Any:
    return hook(*args)


def _await(hook: Any, *args: Any) -> Any:
    return asyncio.run(hook(*args))


def _hooks(decorate: Any) -> list[tuple[Any, Any]]:
    """A hook of each kind that raises what it is given, and how it is called."""

    @decorate
    def on_start(error: BaseException | None) -> str:
        if error is not None:
            raise error
        return "done"

    @decorate
    async def aon_start(error: BaseException | None) -> str:
        await asyncio.sleep(0)
        if error is not None:
            raise error
        return "done"

    return [(_run, on_start), (_await, aon_start)]


@pytest.mark.parametrize("number", [0, 1], ids=["sync", "async"])
def test_a_hook_before_a_call_that_fails_prevents_it(number: int) -> None:
    """An error of ours, and a bug as one, in a class that passes and with its cause; an interrupt as it is."""
    call, hook = _hooks(fails_closed(Passes))[number]
    assert call(hook, None) == "done"
    refusal = BudgetExceeded("no")
    refusal.__cause__ = cause = OSError()
    with pytest.raises(BudgetExceeded, match="no") as refused:
        call(hook, refusal)
    assert isinstance(refused.value, Passes) and refused.value.__cause__ is cause
    with pytest.raises(BursarError, match=r"on_start of the budget failed \(ZeroDivisionError\)") as bug:
        call(hook, ZeroDivisionError())
    assert isinstance(bug.value, Passes) and isinstance(bug.value.__cause__, ZeroDivisionError)
    with pytest.raises(KeyboardInterrupt):
        call(hook, KeyboardInterrupt())


@pytest.mark.parametrize("number", [0, 1], ids=["sync", "async"])
def test_a_hook_after_a_call_may_be_async(number: int, caplog: pytest.LogCaptureFixture) -> None:
    """It breaks nothing either, and is still a coroutine function for the framework that looks."""
    call, hook = _hooks(never_breaks)[number]
    assert inspect.iscoroutinefunction(hook) is bool(number)
    assert call(hook, None) == "done"
    assert call(hook, OSError("broken")) is None
    assert "on_start failed" in caplog.text


FRAMEWORKS = (
    "langchain",
    "langgraph",
    "llama",
    "autogen",
    "crewai",
    "crew ai",
    "haystack",
    "semantic_kernel",
    "litellm",
)


def test_what_adapters_share_names_no_framework() -> None:
    """Neither in code nor in words: what is true of one framework only belongs to its adapter."""
    folder = Path(integration.__file__).parent
    found = [
        f"{path.name}: {word}"
        for path in sorted(folder.glob("*.py"))
        for word in FRAMEWORKS
        if word in path.read_text("utf-8").lower()
    ]
    assert len(list(folder.glob("*.py"))) > 8 and not found

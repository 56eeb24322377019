"""What covers a process of a run, in this process; `test_run.py` has the processes themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bursar import BudgetExceeded, BursarError, Session, get_session
from bursar.cli.run import child
from bursar.cli.run.notes import Found
from bursar.cli.run.terms import Terms
from bursar.ledger.context import pays_for_process


class Exited(Exception):
    """Instead of `os._exit`."""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Terms]]:
    """Tells this process terms; what a covered process changes is as before in the end."""
    for module, name in (
        (sys, "excepthook"), (os, "execv"), (os, "execve"), (os, "posix_spawn"), (os, "posix_spawnp"),
        (os, "system"), (sys.modules["_posixsubprocess"], "fork_exec"), (subprocess, "_fork_exec"),
    ):  # fmt: skip
        if hasattr(module, name):
            monkeypatch.setattr(module, name, getattr(module, name))

    def exit_(status: int) -> None:
        raise Exited(status)

    monkeypatch.setattr("os._exit", exit_)
    monkeypatch.setattr(child.coverage, "cover", lambda: None)

    def tell(**changes: Any) -> Terms:
        known = {"limits": ("$1",), "session": "p", "folder": str(tmp_path), "runner": 0, "strict": False}
        terms = Terms(**{**known, "hard_stop": True, **changes})
        monkeypatch.setenv("BURSAR_RUN", json.dumps(asdict(terms)))
        return terms

    yield tell
    pays_for_process(None)


@pytest.fixture
def renews(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What a forked child would do first."""
    found: list[Callable[[], None]] = []
    monkeypatch.setattr(child, "first_in_child", found.append)
    return found


def session() -> Session:
    """Who pays in this process."""
    paying = get_session()
    assert paying is not None
    return paying


def test_the_run_pays_and_a_fork_has_a_session_of_its_own(
    told: Callable[..., Terms], renews: list[Callable[[], None]]
) -> None:
    """Both are views of one account: what one spends the other sees, and a refusal is noted."""
    terms = told()
    child.cover()
    first = session()
    first.track(None, "$0.75")
    (renew,) = renews
    renew()
    assert session() is not first and float(session().spent) == 0.75
    with pytest.raises(BudgetExceeded):
        session().reserve(cost="$0.50")
    assert Found(terms.folder).stop(os.getpid(), 0) is not None


def test_the_program_notes_what_it_ends_by(
    told: Callable[..., Terms], renews: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal that nobody caught; and what was there before still shows it."""
    shown: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: shown.append(error))
    terms = told(runner=os.getppid())
    child.cover()
    error = BudgetExceeded("too much")
    sys.excepthook(BudgetExceeded, error, None)
    assert shown == [(BudgetExceeded, error, None)]
    assert Found(terms.folder).stop(os.getpid(), 1) is not None
    monkeypatch.setattr("os.getpid", lambda: 1)  # a fork of it that ends
    sys.excepthook(BudgetExceeded, error, None)
    assert Found(terms.folder).stop(1, 0) is None


def test_the_tracker_of_multiprocessing_is_left_alone(
    told: Callable[..., Terms], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs nothing of the user's."""
    told()
    monkeypatch.setattr(
        sys, "orig_argv", ["python", "-c", "from multiprocessing.resource_tracker import main"]
    )
    child.cover()
    assert get_session() is None


@pytest.mark.parametrize(
    ("error", "said"), [(BursarError("pip install x"), "pip install x"), (OSError("no"), "OSError: no")]
)
def test_a_process_that_cannot_be_covered(
    told: Callable[..., Terms], monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    """The program is not run; a child is counted, and with --strict it is not run either."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(child.coverage, "cover", fail)
    terms = told(runner=os.getppid())
    with pytest.raises(Exited, match="2"):
        child.cover()
    assert Found(terms.folder).failure == said
    told()
    child.cover()
    told(strict=True)
    with pytest.raises(Exited, match="126"):
        child.cover()
    assert Found(terms.folder).uncovered == [f"a child is not covered: {said}"] * 2


STARTS: dict[str, Callable[[str], object]] = {
    "subprocess": lambda python: subprocess.run([python, "-I", "-c", "pass"], check=True, env={}),
    "system": lambda python: os.system(f"{python} -I -c pass"),
    "posix_spawn": lambda python: os.waitpid(os.posix_spawn(python, [python, "-I", "-c", ""], os.environ), 0),
    "execve": lambda python: os.execve(python, [python, "-I", "-c", ""], {}),
    "execv": lambda python: os.execv(python, [python, "-I", "-c", ""]),
}


@pytest.mark.parametrize("way", STARTS)
def test_every_start_of_a_process_is_seen(
    told: Callable[..., Terms], renews: list[Callable[[], None]], capsys: pytest.CaptureFixture[str], way: str
) -> None:
    """Told, and with --strict refused; what is no program is the original's to refuse."""
    terms = told(strict=True)
    child.cover()
    with pytest.raises(BursarError, match="-I leaves sitecustomize out.*does not start"):
        STARTS[way](sys.executable)
    assert len(Found(terms.folder).uncovered) == 1
    assert capsys.readouterr().err.startswith("bursar: a child is not covered: ")
    with pytest.raises(TypeError):
        os.execv(None, None)  # type: ignore[arg-type]


def test_a_child_that_can_be_covered_starts(
    told: Callable[..., Terms], renews: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the environment of the run, and whatever is no Python."""
    terms = told(strict=True)
    monkeypatch.setenv("PYTHONPATH", "")
    child.cover()
    env = {**terms.environment(os.environ), "BURSAR_RUN": ""}  # which covers nothing
    subprocess.run([sys.executable, "-c", "pass"], check=True, env=env)
    subprocess.run(["true"], check=True, env={})
    assert Found(terms.folder).uncovered == []

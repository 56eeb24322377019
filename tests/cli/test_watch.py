"""Which children of a run can be covered is seen before they start."""

from __future__ import annotations

import asyncio
import os
import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest

from bursar.cli.run.notes import Found, Notes
from bursar.cli.run.terms import SITE, Terms
from bursar.cli.run.watch import Start, watch, why_not
from bursar.errors import BudgetExceeded, BursarError, CallVetoed
from bursar.ledger.refusals import Refusal

COVERED = {"PYTHONPATH": f"/mine:{SITE}", "BURSAR_RUN": "{}"}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("python x.py -I -S", None),
        ("python3.12 -u -W ignore -X dev -m mod -I", None),
        ("python -c pass -I", None),
        ("python - -I", None),
        ("python", None),
        ("git commit -I", None),
        ("sh -c 'grep -E python; python3 x.py -I'", None),
        ("env A=1 python x.py", None),
        ("sh -c 'it has no end", None),
        ("python -I x.py", "-I"),
        ("python -uI x.py", "-I"),
        ("/usr/bin/python3 -W ignore -E x.py", "-E"),
        ("python -Wignore -S", "-S"),
        ("pypy3 -S x.py", "-S"),
        ("bash -c 'cd /; exec python -E x.py'", "-E"),
        ("env -u A nice python -I x.py", "-I"),
        ("timeout 5 python3 -Es x.py", "-E"),
    ],
)
def test_options_of_python_that_leave_us_out(words: str, why: str | None) -> None:
    """Those before the script only; of whatever runs the Python."""
    try:
        parts = shlex.split(words)
    except ValueError:
        parts = ["sh", "-c", "it has 'no end"]
    found = why_not(parts[0], parts, COVERED)
    assert found is None if why is None else found is not None and found.startswith(why)


@pytest.mark.parametrize("env", [{}, {**COVERED, "PYTHONPATH": "/mine"}, {"PYTHONPATH": str(SITE)}])
def test_an_environment_that_was_cleared(env: dict[str, str], tmp_path: Path) -> None:
    """Told of a Python and of a script of Python, not of another program."""
    script = tmp_path / "script"
    script.write_text("#!/usr/bin/env python3\n")
    for program in ("python", str(script)):
        assert why_not(program, [program], env) == "PYTHONPATH was cleared"
        assert why_not(program, [program], COVERED) is None
    assert why_not("git", ["git", "log"], env) is None


@pytest.mark.parametrize("strict", [False, True])
def test_a_child_that_is_not_covered_is_told_and_starts_unless_it_must_be_covered(
    strict: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With ``--strict`` it does not start; one that is covered starts without a word."""
    starts: list[Start] = []
    monkeypatch.setattr("bursar.cli.run.watch._wrap_starts", starts.append)
    watch(Terms(("$1",), "s", str(tmp_path), os.getpid(), strict=strict, hard_stop=True), Notes(tmp_path))
    starts[0]("python", ["python", "x.py"], COVERED)
    assert capsys.readouterr().err == ""
    with pytest.raises(BursarError, match="does not start") if strict else nullcontext():
        starts[0]("python", ["python", "-I", "x.py"], COVERED)
    assert "a child is not covered: python -I x.py (-I leaves" in capsys.readouterr().err


def test_a_process_is_stopped_by_its_latest_answer(tmp_path: Path) -> None:
    """A refusal stops it, an admitted call lets it go on, a veto of a plugin is not the budget's."""
    notes, found = Notes(tmp_path), Found(tmp_path)

    def stopped(program: int = os.getpid(), status: int = 0) -> bool:
        return found.stop(program, status) is not None

    notes.bursar_reserved(None)
    notes.bursar_refused(refused(CallVetoed("no")))
    assert not stopped()
    notes.bursar_refused(refused(BudgetExceeded("too much")))
    assert stopped()
    assert not stopped(program=1), "a child's refusal, and its parent ended well"
    assert stopped(program=1, status=1)
    notes.bursar_reserved(None)
    assert not stopped(status=1)
    notes.ends_by(ValueError("x"))
    assert not stopped()
    error = RuntimeError("x")
    error.__cause__ = BudgetExceeded("too much")
    notes.ends_by(error)
    assert stopped()
    Notes(tmp_path)
    assert not stopped(), "another program took its place"


def test_one_task_that_goes_on_does_not_free_another(tmp_path: Path) -> None:
    """Each task is told apart; where there are too many of them, the process is stopped for good."""
    notes, found = Notes(tmp_path), Found(tmp_path)

    async def task(*, ends_refused: bool) -> None:
        notes.bursar_refused(refused(BudgetExceeded("too much")))
        if not ends_refused:
            notes.bursar_reserved(None)

    async def both() -> None:
        await asyncio.gather(task(ends_refused=True), task(ends_refused=False))

    asyncio.run(task(ends_refused=False))
    assert found.stop(os.getpid(), 0) is None
    asyncio.run(both())
    assert found.stop(os.getpid(), 0) is not None

    async def many() -> None:
        await asyncio.gather(*(task(ends_refused=True) for _ in range(1_100)))

    asyncio.run(many())
    notes.bursar_reserved(None)
    assert found.stop(os.getpid(), 0) is not None


def refused(error: BudgetExceeded) -> Refusal:
    """Of no call in particular."""
    return Refusal(None, error, 0)  # type: ignore[arg-type]

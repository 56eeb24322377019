"""The command `run`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ...budget import Budget
from ...values.limits import parse_limits
from ...values.names import fitted_name
from ..mistake import Mistake
from ..options import JsonOption
from . import summary
from .launch import End, launch
from .notes import Found
from .terms import BUDGET, Terms

STOPPED = 3


class Launcher(TyperCommand):
    """Takes ``-m module`` for the beginning of the program, whose options are not ours."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = iter(enumerate(args))
        flags = {name for option in self.params if getattr(option, "is_flag", False) for name in option.opts}
        for number, word in words:
            if word == "-m":
                args = [*args[:number], "--", *args[number:]]
                break
            if not word.startswith("-") or word == "--":
                break
            if word not in flags and "=" not in word:
                next(words, None)
        return super().parse_args(ctx, args)


def run(
    program: Annotated[
        list[str], typer.Argument(metavar="PROGRAM", help="A script, or -m and a module; and its words.")
    ],
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIMIT", help="'$5', '20 calls/1h'; several hold at once. BURSAR_BUDGET: separated by ;"
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the report is written, as JSON.")
    ] = None,
    warn_only: Annotated[
        bool, typer.Option("--warn-only", help="Refuse nothing; say what would have been refused.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="A child that cannot be covered does not start.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a Python program under a budget.

    Every OpenAI and Anthropic client in it and in its children spends from the budget; the program is
    not changed. Exit status 3 where the budget stopped it, else its own. A summary goes to standard error.

    \b
    bursar run --budget '$5' agent.py --topic whales
    bursar run --budget '$1' --budget '20 calls/1h' --report out.json -m pytest -q
    """
    limits = budget or [
        text.strip() for text in os.environ.get("BURSAR_BUDGET", "").split(";") if text.strip()
    ]
    if not limits:
        raise Mistake("give a budget: --budget '$5', or BURSAR_BUDGET")
    parse_limits(tuple(limits))
    name = _name(program)
    if report is not None and not report.absolute().parent.is_dir():
        raise Mistake(f"--report: there is no folder {str(report.absolute().parent)!r}")
    terms = Terms(
        limits=tuple(limits),
        session=fitted_name(name) or BUDGET,
        folder=tempfile.mkdtemp(prefix="bursar-run-"),
        runner=os.getpid(),
        strict=strict,
        hard_stop=not warn_only,
    )
    began_s = time.monotonic()
    sys.stdout.flush()
    end = launch([sys.executable, *program], terms.environment(os.environ))
    notes = Found(terms.folder)
    failure = notes.failure
    if failure is not None:
        shutil.rmtree(terms.folder, ignore_errors=True)
        raise Mistake(failure)
    found = _report(terms, notes, end, program, time.monotonic() - began_s)
    if end.crashed:
        found["run"]["ledger"] = terms.folder
    else:
        shutil.rmtree(terms.folder, ignore_errors=True)
    if report is not None:
        report.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    sys.stderr.write(f"{json.dumps(found)}\n" if as_json else summary.text(found))
    raise typer.Exit(found["run"]["exit_status"])


def _name(program: list[str]) -> str:
    if program[0] == "-m":
        if len(program) == 1:
            raise Mistake("-m takes the name of a module")
        return program[1]
    if not Path(program[0]).exists():
        raise Mistake(f"there is no script {program[0]!r}")
    return Path(program[0]).name


def _report(terms: Terms, notes: Found, end: End, program: list[str], lasted_s: float) -> dict[str, Any]:
    """That of the session that paid for all processes, and how the run ended."""
    session = Budget(*terms.limits, name=BUDGET, store=terms.store).session(id=terms.session)
    stop = None if end.told else notes.stop(end.process, end.status)
    found = session.report()
    return {
        **found,
        "terminated_by": stop and stop["terminated_by"],
        "duration_seconds": lasted_s,
        "run": {
            "program": program,
            "exit_status": STOPPED if stop else end.status,
            "own_exit_status": end.status,
            "stopped_by": stop and stop["message"],
            "not_covered": notes.uncovered,
        },
    }

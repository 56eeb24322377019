"""Covers a process of a run: the one session of the run pays for its clients, and for those of its forks."""

from __future__ import annotations

import os
import sys
from types import TracebackType

from ... import coverage
from ...budget import Budget
from ...errors import BursarError
from ...ledger.context import pays_for_process
from ...runtime.fork import first_in_child
from .notes import Notes
from .terms import BUDGET, Terms, told
from .watch import watch


def cover() -> None:
    """Let the run pay for this process; called before its first line."""
    if any("multiprocessing.resource_tracker" in word for word in sys.orig_argv):
        return  # which runs nothing of the user's
    terms = told()
    notes = Notes(terms.folder)
    program = os.getppid() == terms.runner
    try:
        coverage.cover()
        pay(terms, notes)
    except Exception as error:  # the interpreter would go on without us
        why = str(error) if isinstance(error, BursarError) else f"{type(error).__name__}: {error}"
        if program:
            notes.failed(why)
            os._exit(2)
        notes.uncovered(f"a child is not covered: {why}")
        if terms.strict:
            sys.stderr.flush()
            os._exit(126)
        return
    first_in_child(lambda: pay(terms, Notes(terms.folder)))
    watch(terms, notes)
    if program:
        _note_what_it_ends_by(notes)


def pay(terms: Terms, notes: Notes) -> None:
    """The session of the run pays in this process; a forked child has one of its own, and its own notes."""
    budget = Budget(
        *terms.limits,
        name=BUDGET,
        store=terms.store,
        hard_stop=terms.hard_stop,
        soft_limit=None,
        plugins=[notes],
    )
    pays_for_process(budget.session(id=terms.session))


def _note_what_it_ends_by(notes: Notes) -> None:
    shown, program = sys.excepthook, os.getpid()

    def ends(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if os.getpid() == program:
            notes.ends_by(error)
        shown(kind, error, trace)

    sys.excepthook = ends

"""`Run`: one session for all tests of a run, and one below it for each test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bursar import Budget, BudgetExceeded, Charge, Hold, Refusal, Session, hookimpl
from bursar.integration import pays_otherwise

from ._marks import Terms


class Run:
    """What the tests of this process spend from; a plugin of its own budget.

    Args:
        limits: of all tests together.
        store: the URL of the ledger that all processes of the run share; None: balances are kept here.

    Attributes:
        session: of all tests together.

    Raises:
        ValueError: a limit is none.
    """

    def __init__(self, limits: Sequence[str], store: str | None) -> None:
        budget = Budget(
            *limits,
            name="pytest",
            store=store,
            soft_limit=None,  # nobody listens
            max_repeated_calls=None,  # tests repeat their calls on purpose
            plugins=[self],
        )
        self.session = budget.session(id="run", swallow=True)
        self._refusals: list[BudgetExceeded] = []
        self._moved = False

    @hookimpl
    def bursar_refused(self, refusal: Refusal) -> None:
        """A call was not made."""
        self._refusals.append(refusal.error)

    @hookimpl
    def bursar_reserved(self, hold: Hold) -> None:
        """A call is about to be made."""
        self._moved = True

    @hookimpl
    def bursar_settled(self, charge: Charge) -> None:
        """A call was charged."""
        self._moved = True

    def check(self, limits: Sequence[Any]) -> None:
        """See that a test can have these limits.

        Raises:
            ValueError: one is none.
        """
        self.session.child_session(*limits)

    def test(self, terms: Terms) -> Test:
        """The next test of this process, which has limits of its own.

        Raises:
            ValueError: one is none.
        """
        self._refusals, self._moved = [], False
        return Test(self, self.session.child_session(*terms.limits), terms)


class Test:
    """What one test spends from.

    Args:
        run: that it is a part of.
        session: of the test alone.
        terms: what it says of its budget.
    """

    __test__ = False  # of ours, not of pytest

    def __init__(self, run: Run, session: Session, terms: Terms) -> None:
        self.session = session
        self._run = run
        self._terms = terms
        self._last: BudgetExceeded | None = None

    @contextmanager
    def paying(self) -> Iterator[None]:
        """Inside it the test pays for what nobody else pays for, in all threads."""
        with pays_otherwise(self.session):
            yield
            if (last := self.session.last_refusal) is not None:
                self.session.handled(last)  # the report of the test has it
        self.session.close()

    def take_refusals(self) -> list[str]:
        """Why it is to fail: what was refused since the last time, or has passed a limit after the fact."""
        taken, self._run._refusals = self._run._refusals, []
        last, before = self.session.last_refusal, self._last
        if last is not None and last is not before and last not in taken:
            taken.append(last)
        self._last = last
        return [] if self._terms.refused else [str(refusal) for refusal in taken]

    def shorten(self, error: BaseException) -> None:
        """Leave our own code out of the traceback of a refusal, whose words say all."""
        last = trace = error.__traceback__ if isinstance(error, BudgetExceeded) else None
        while trace is not None:
            if trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] != "bursar":
                last = trace
            trace = trace.tb_next
        if last is not None:
            last.tb_next = None

    def report(self) -> dict[str, Any] | None:
        """That of its session; None, without a look at the ledger, where nothing was held or charged."""
        return self.session.report() if self._run._moved else None

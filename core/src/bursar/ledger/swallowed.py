"""Tells each refusal once: to the caller of a framework, or at the end of its session."""

from __future__ import annotations

from contextvars import ContextVar

from ..errors import BudgetExceeded, CallVetoed, LoopDetected, Tripped, VelocityExceeded

_NOTE = (
    "A framework swallowed this refusal: its run ended normally and made no call afterwards, so the refusal"
    " is raised where the `with session:` ends. To turn this off: session.handled(refusal) where it is dealt"
    " with, or budget.session(swallow=True)."
)


class Run:
    """The outermost run of a framework, from its start until `close`; refusals raised inside are the run's.

    A run that ends by an exception has told its caller. One that ends normally, and was not admitted
    another call after a refusal, swallowed it: then the refusal is raised where its session ends.

    Attributes:
        open: False once it is over.
        outer: the run that this context was in when it began, or None.
    """

    def __init__(self) -> None:
        self.open = True
        self.outer = current_run()
        self._refusals: dict[SwallowedRefusals, BudgetExceeded] = {}
        _run.set(self)

    def enter(self) -> None:
        """Be the run of this context, too, where it is in none, as in a thread that was started bare."""
        if self.open and current_run() is None:
            _run.set(self)

    def refused(self, whose: SwallowedRefusals, refusal: BudgetExceeded) -> None:
        """A refusal is about to be raised inside."""
        self._refusals[whose] = refusal

    def admitted(self, whose: SwallowedRefusals) -> None:
        """A call was admitted inside."""
        self._refusals.pop(whose, None)

    def close(self, error: BaseException | None = None) -> None:
        """The run is over; does nothing the second time.

        Args:
            error: what it ended by, if it did not end normally.
        """
        if not self.open:
            return
        self.open = False
        if _run.get() is self:
            _run.set(self.outer)
        outer = self.outer if self.outer is None or self.outer.open else None
        for whose, refusal in self._refusals.items():
            if outer is not None:  # whatever it ended by: that one may swallow it
                outer.refused(whose, refusal)
            elif error is not None:
                whose.told(refusal)
            else:
                whose.surface(refusal)
        self._refusals = {}


_run: ContextVar[Run | None] = ContextVar("bursar_run", default=None)


def current_run() -> Run | None:
    """The innermost run of a framework that this context is in, or None."""
    run = _run.get()
    while run is not None and not run.open:
        run = run.outer
    return run


class SwallowedRefusals:
    """Why the latest call of a session was refused, and the refusal that a framework swallowed.

    Args:
        swallow: True where nobody wants to hear of a refusal that a framework swallowed.
        whole: that of the session that this one is a part of: each call is one of that session, too.
    """

    def __init__(self, *, swallow: bool, whole: SwallowedRefusals | None = None) -> None:
        self.swallow = swallow
        self.last: BudgetExceeded | None = None
        self._whole = whole
        self._latest: BudgetExceeded | None = None
        self._told = False  # the caller knows of the latest one by more than its raising
        self._swallowed: BudgetExceeded | None = None

    @property
    def whole(self) -> SwallowedRefusals:
        """That of the session that this one is a part of, or itself."""
        return self if self._whole is None else self._whole

    def note(self, refusal: BudgetExceeded | None) -> None:
        """A call was refused, or admitted: None."""
        self._latest, self._told = refusal, False
        if refusal is not None:
            self.last = refusal
        elif _run.get() is not None and (run := current_run()) is not None:
            run.admitted(self.whole)
        if self._whole is not None:
            self._whole.note(refusal)

    def surface(self, refusal: BudgetExceeded) -> None:
        """A framework swallowed a refusal."""
        if not self.swallow:
            self._swallowed = refusal

    def told(self, refusal: BudgetExceeded) -> None:
        """The caller has got a refusal, or has dealt with it."""
        if _alike(self._latest, refusal):
            self._told = True
        if _alike(self._swallowed, refusal):
            self._swallowed = None

    def handled(self, error: BaseException) -> None:
        """Somebody has dealt with a refusal, or with an error that it caused."""
        seen: set[int] = set()
        cause: BaseException | None = error
        while cause is not None and id(cause) not in seen:  # frameworks raise errors of theirs from ours
            if isinstance(cause, BudgetExceeded):
                self.told(cause)
                if (run := current_run()) is not None and _alike(run._refusals.get(self), cause):
                    run.admitted(self)
            seen.add(id(cause))
            cause = cause.__cause__ or cause.__context__

    def forget(self) -> None:
        """The agent ends well: nothing of what was refused before is told any more."""
        self._told, self._swallowed = True, None
        if (run := current_run()) is not None:
            run.admitted(self.whole)

    def take_swallowed(self) -> BudgetExceeded | None:
        """The refusal that nobody has heard of, once, with a note that says why it comes now."""
        refusal, self._swallowed = self._swallowed, None
        if refusal is not None:
            _add_note(refusal, _NOTE)
            self._told = True
        return refusal

    def take_untold(self) -> BudgetExceeded | None:
        """The refusal of the latest call, once, if its caller got it outside of any run."""
        refusal = None if self._told else self._latest
        self._told = True
        return refusal

    @property
    def terminated_by(self) -> str | None:
        """Why the latest call was refused, in one of the words of the report."""
        refusal = self._latest
        if isinstance(refusal, LoopDetected) or (isinstance(refusal, Tripped) and refusal.cause == "loop"):
            return "loop_detected"
        if isinstance(refusal, VelocityExceeded) or (isinstance(refusal, Tripped) and refusal.cause):
            return "velocity_exceeded"
        if isinstance(refusal, Tripped):
            return "tripped"
        return None if refusal is None or isinstance(refusal, CallVetoed) else "budget_exhausted"


def _alike(one: BudgetExceeded | None, other: BudgetExceeded) -> bool:
    """True for a refusal and itself, or a copy of it."""
    return one is not None and (one is other or one.args == other.args)


def _add_note(error: BaseException, note: str) -> None:
    """PEP 678; in the message before Python 3.11."""
    if hasattr(error, "add_note"):
        error.add_note(note)
    else:
        error.args = (f"{error.args[0]}\n{note}", *error.args[1:])

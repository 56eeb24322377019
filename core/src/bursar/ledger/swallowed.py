"""What became of the latest call of a run, and whether somebody swallowed a refusal."""

from __future__ import annotations

from ..errors import BudgetExceeded, CallVetoed, LoopDetected, Tripped, VelocityExceeded


class SwallowedRefusals:
    """Why the latest call of a run was refused, and the refusal that a framework swallowed.

    Args:
        swallow: True where nobody wants to hear of a refusal that a framework swallowed.
        whole: that of the run that this one is a part of: each call is one of that run, too.
    """

    def __init__(self, *, swallow: bool, whole: SwallowedRefusals | None = None) -> None:
        self.swallow = swallow
        self._whole = whole
        self._refusal: BudgetExceeded | None = None
        self._swallowed: BudgetExceeded | None = None

    def note(self, refusal: BudgetExceeded | None) -> None:
        """A call was refused, or admitted: None."""
        self._refusal = refusal
        if refusal is None:
            self._swallowed = None
        if self._whole is not None:
            self._whole.note(refusal)

    def surface(self, refusal: BudgetExceeded) -> None:
        """A refusal was raised into a framework, which may swallow it."""
        if not self.swallow:
            self._swallowed = refusal

    def handled(self, refusal: BaseException) -> None:
        """Somebody has dealt with a refusal, or with an error that it caused."""
        swallowed, seen = self._swallowed, set()
        error: BaseException | None = refusal
        while error is not None and id(error) not in seen:  # frameworks raise errors of theirs from ours
            if swallowed is error or (swallowed is not None and swallowed.args == error.args):
                self._swallowed = None
            seen.add(id(error))
            error = error.__cause__ or error.__context__

    def take_swallowed(self) -> BudgetExceeded | None:
        """The refusal that nobody has heard of, once."""
        refusal, self._swallowed = self._swallowed, None
        return refusal

    @property
    def terminated_by(self) -> str | None:
        """Why the latest call was refused, in one of the words of the report."""
        refusal = self._refusal
        if isinstance(refusal, LoopDetected) or (isinstance(refusal, Tripped) and refusal.cause == "loop"):
            return "loop_detected"
        if isinstance(refusal, VelocityExceeded) or (isinstance(refusal, Tripped) and refusal.cause):
            return "velocity_exceeded"
        if isinstance(refusal, Tripped):
            return "tripped"
        return None if refusal is None or isinstance(refusal, CallVetoed) else "budget_exhausted"

"""The refusals of one run: a team makes a `RuntimeError` of them, and keeps no cause."""

from __future__ import annotations

from contextvars import ContextVar

from bursar import BursarError

_run: ContextVar[RunRefusals | None] = ContextVar("bursar_autogen_run", default=None)


class RunRefusals:
    """What was refused in a run, in the context that it starts from and in all that it starts."""

    def __init__(self) -> None:
        self._outer = _run.get()
        self._seen: list[BursarError] = []
        _run.set(self)

    def add(self, refusal: BursarError) -> None:
        """Remember it here, and in the runs around this one."""
        self._seen.append(refusal)
        if self._outer is not None:
            self._outer.add(refusal)

    def cause_of(self, error: BaseException) -> BursarError | None:
        """The newest refusal that an error of the framework tells of, by its text; or None."""
        text = str(error)
        return next((refusal for refusal in reversed(self._seen) if str(refusal) in text), None)

    def close(self) -> None:
        """The run is over."""
        if _run.get() is self:
            _run.set(self._outer)


def note(refusal: BursarError) -> None:
    """A refusal is about to be raised, in the run of this context."""
    if (run := _run.get()) is not None:
        run.add(refusal)

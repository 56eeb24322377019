"""Refusals that CrewAI lets through.

CrewAI retries whatever looks like a failure, or makes a message of it for the model. Its own
`HookAborted` is exempt on every path: a refusal that is one leaves ``kickoff()`` with its type.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from crewai.hooks import HookAborted

if TYPE_CHECKING:
    _Aborted = Exception  # of CrewAI's own, as far as type checkers know it
else:
    _Aborted = HookAborted


class CrewRefusal(_Aborted):
    """Mixed into every error that a `BudgetMiddleware` raises, beside the error's own class.

    What is raised is also a `bursar.BudgetExceeded`, `bursar.UnknownModel` and so on, with
    all of its attributes: catch those, as everywhere else.

    Attributes:
        source: who aborted the call, for the log of CrewAI.
    """

    source = "bursar"

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.source = "bursar"


def being_handled() -> BaseException | None:
    """The refusal that the failure which is being handled comes from, or None.

    Some paths, LiteLLM's among them, make another error of it.
    """
    error: BaseException | None = sys.exc_info()[1]
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, CrewRefusal):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None

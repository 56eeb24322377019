"""Refusals that CrewAI lets through.

CrewAI retries whatever looks like a failure, or makes a message of it for the model. Its own
`HookAborted` is exempt on every path: a refusal that is one leaves ``kickoff()`` with its type.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import crewai
from crewai.hooks import HookAborted

if TYPE_CHECKING:
    _Aborted = Exception  # of CrewAI's own, as far as type checkers know it
else:
    _Aborted = HookAborted

_CREWAI = str(Path(crewai.__file__).parent)  # what a program itself logs of a refusal stays in its log


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


def keep_out_of_the_log() -> None:
    """Let CrewAI log no refusal as a failure of the provider: it tells the root logger what an SDK raises."""
    logging.getLogger().addFilter(_is_no_refusal)  # once, however often it is added


def _is_no_refusal(record: logging.LogRecord) -> bool:
    by_crewai = record.levelno >= logging.ERROR and record.pathname.startswith(_CREWAI)
    return not (by_crewai and being_handled())

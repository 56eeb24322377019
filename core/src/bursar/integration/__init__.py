"""For adapters of frameworks: whose money a call is, who has it held, and how a refusal gets out."""

from ..budget import as_session
from ..coverage import covered_sdks
from ..ledger.context import FoundByText, Promise
from ..ledger.conversion import convert_refusals, stop_converting
from ..ledger.hold import Cover, cover, cover_text, covered_hold
from ..ledger.swallowed import Run
from ..pricing.outcome import outcome_of
from ..pricing.response import Answer, read_answer
from .promises import book_unclaimed, cover_later, note_saved, promise_of_another
from .refusals import never_breaks, raised_as

__all__ = [
    # Whose money it is
    "as_session",
    # Two layers pay for a call once
    "Cover",
    "FoundByText",
    "Promise",
    "cover",
    "cover_later",
    "cover_text",
    "covered_hold",
    "covered_sdks",
    "promise_of_another",
    # What came of a call
    "Answer",
    "book_unclaimed",
    "note_saved",
    "outcome_of",
    "read_answer",
    # Refusals, and hooks that must not fail
    "Run",
    "convert_refusals",
    "never_breaks",
    "raised_as",
    "stop_converting",
]

"""For adapters of frameworks: whose money a call is, who has it held, and how a refusal gets out."""

from ..budget import as_session
from ..ledger.hold import Cover, cover, covered_hold
from ..pricing.outcome import outcome_of
from ..pricing.response import Answer, read_answer
from .refusals import never_breaks, raised_as

__all__ = [
    # Whose money it is
    "as_session",
    # Two layers pay for a call once
    "Cover",
    "cover",
    "covered_hold",
    # What came of a call
    "Answer",
    "outcome_of",
    "read_answer",
    # Refusals, and hooks that must not fail
    "never_breaks",
    "raised_as",
]

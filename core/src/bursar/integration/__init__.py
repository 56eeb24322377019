"""For adapters of frameworks: whose money a call is, who has it held, and how a refusal gets out."""

from ..budget import as_session
from ..coverage import covered_sdks
from ..ledger.context import FoundByText, Promise
from ..ledger.conversion import convert_refusals, stop_converting
from ..ledger.hold import Cover, cover, cover_text, covered_hold
from ..ledger.swallowed import Run
from ..pricing.outcome import outcome_of
from ..pricing.response import Answer, read_answer
from .admission import Admission, areserve_once, came_around, is_sent_by, reserve_once, texts_of
from .calls import TOKENS_PER_ANSWER, OpenCall, Result
from .costs import Costs, Tally
from .host import pays_otherwise
from .lock import Lock
from .open_calls import OpenCalls, withdraw
from .params import CallParams, read_params
from .payee import Payee
from .payers import Limits, Payer, Payers
from .promises import book_unclaimed, cover_later, note_saved, promise_of_another
from .refusals import fails_closed, never_breaks, raised_as
from .runs import Runs
from .twins import beside

__all__ = [
    # Whose money it is
    "Limits",
    "Payee",
    "Payer",
    "Payers",
    "as_session",
    "beside",
    "pays_otherwise",
    # Before a call
    "Admission",
    "CallParams",
    "areserve_once",
    "came_around",
    "is_sent_by",
    "read_params",
    "reserve_once",
    "texts_of",
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
    # Between the hooks before and after a call
    "Lock",
    "OpenCall",
    "OpenCalls",
    "withdraw",
    # What came of a call
    "Answer",
    "Costs",
    "Result",
    "TOKENS_PER_ANSWER",
    "Tally",
    "book_unclaimed",
    "note_saved",
    "outcome_of",
    "read_answer",
    # Refusals, and hooks that must not fail
    "Run",
    "Runs",
    "convert_refusals",
    "fails_closed",
    "never_breaks",
    "raised_as",
    "stop_converting",
]

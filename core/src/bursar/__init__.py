"""Hard dollar budgets for AI agents: a call that may not fit is never sent."""

from importlib.metadata import version

from .answer import Answer, read_answer
from .budget import Budget, as_session
from .call import Call
from .charge import Charge
from .cover import Cover, cover, covered_hold
from .demand import Demand, body_of, with_members
from .dropin import (
    budgeted,
    get_session,
    init,
    remaining,
    report,
    spent,
    teardown,
    unwrap_client,
    wrap_client,
)
from .errors import (
    BudgetExceeded,
    BursarError,
    HoldClosed,
    InvalidAmount,
    LedgerRolledBack,
    LimitConflict,
    StoreError,
    StoreUnavailable,
    Tripped,
    UnknownModel,
    UnpriceableCall,
    UsageMissing,
)
from .hold import Hold
from .limits import Limit
from .outcome import outcome_of
from .price import Price
from .pricing import register_model, register_models
from .reading import Reading, text_bytes
from .seam import Seam
from .session import Session
from .sse import data_of
from .store.base import Store
from .store.memory import MemoryStore
from .usage import Usage

__version__ = version("bursar")

__all__ = [
    # Budgets and the sessions that spend from them
    "Budget",
    "Limit",
    "Session",
    # Two lines, no changes to the code
    "budgeted",
    "get_session",
    "init",
    "remaining",
    "report",
    "spent",
    "teardown",
    "unwrap_client",
    "wrap_client",
    # The life of one paid call
    "Call",
    "Charge",
    "Hold",
    "Usage",
    # Prices
    "Price",
    "register_model",
    "register_models",
    # Where balances live
    "MemoryStore",
    "Store",
    # For integrations
    "Answer",
    "Cover",
    "Demand",
    "Reading",
    "Seam",
    "as_session",
    "body_of",
    "cover",
    "covered_hold",
    "data_of",
    "outcome_of",
    "read_answer",
    "text_bytes",
    "with_members",
    # Errors
    "BudgetExceeded",
    "BursarError",
    "HoldClosed",
    "InvalidAmount",
    "LedgerRolledBack",
    "LimitConflict",
    "StoreError",
    "StoreUnavailable",
    "Tripped",
    "UnknownModel",
    "UnpriceableCall",
    "UsageMissing",
]

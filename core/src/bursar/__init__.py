"""Hard dollar budgets for AI agents: a call that may not fit is never sent."""

from importlib.metadata import version

from .alerts import Alert, AlertKind, AlertLevel
from .answer import Answer, read_answer
from .budget import Budget, as_session
from .call import Call
from .charge import Charge
from .clients import unwrap_client, wrap_client
from .cover import Cover, cover, covered_hold
from .dropin import (
    budgeted,
    get_session,
    init,
    remaining,
    report,
    spent,
    teardown,
    track,
)
from .errors import (
    BudgetExceeded,
    BursarError,
    CallVetoed,
    HoldClosed,
    InvalidAmount,
    LedgerRolledBack,
    LimitConflict,
    LoopDetected,
    StoreError,
    StoreUnavailable,
    Tripped,
    UnknownModel,
    UnpriceableCall,
    UsageMissing,
    VelocityExceeded,
)
from .estimate import Estimate
from .hold import Hold
from .hookspecs import hookimpl
from .limits import Limit
from .outcome import outcome_of
from .plugins import PluginInfo, list_plugins
from .price import Price
from .pricing import register_model, register_models
from .raised import never_breaks, raised_as
from .refusal import Refusal
from .report_text import report_text
from .sdk.demand import Demand, Unbounded, body_of, listed, whole, with_members
from .sdk.paths import Paths, biller
from .sdk.reading import Reading, UnboundedReading, text_bytes
from .sdk.seam import Seam
from .sdk.sse import data_of, object_of
from .session import Session
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
    "track",
    "unwrap_client",
    "wrap_client",
    # The life of one paid call
    "Call",
    "Charge",
    "Hold",
    "Usage",
    # What people read
    "report_text",
    # What listeners are told
    "Alert",
    "AlertKind",
    "AlertLevel",
    # Prices
    "Price",
    "register_model",
    "register_models",
    # Where balances live
    "MemoryStore",
    "Store",
    # Plugins
    "Estimate",
    "PluginInfo",
    "Refusal",
    "hookimpl",
    "list_plugins",
    # For integrations
    "Answer",
    "Cover",
    "Demand",
    "Paths",
    "Reading",
    "Seam",
    "Unbounded",
    "UnboundedReading",
    "as_session",
    "biller",
    "body_of",
    "cover",
    "covered_hold",
    "data_of",
    "listed",
    "never_breaks",
    "object_of",
    "outcome_of",
    "raised_as",
    "read_answer",
    "text_bytes",
    "whole",
    "with_members",
    # Errors
    "BudgetExceeded",
    "BursarError",
    "CallVetoed",
    "HoldClosed",
    "InvalidAmount",
    "LedgerRolledBack",
    "LimitConflict",
    "LoopDetected",
    "StoreError",
    "StoreUnavailable",
    "Tripped",
    "UnknownModel",
    "UnpriceableCall",
    "UsageMissing",
    "VelocityExceeded",
]

"""Where balances live, and all that a store of one's own is written with.

`Store` has the verbs, `bursar.testing.StoreContract` the promises. The other names are the
values that the verbs take and answer.
"""

from ..values.account import Account, is_session, other_account, parent_key, root_key
from ..values.amounts import NOTHING, Amounts
from ..values.call import Subject
from ..values.limits import Limit
from ..values.policy import WHOLE_PPM, Breaker, Terms
from ..values.window import Calendar, Period
from .alerts import AlertPage, HasAlerts, StoredAlert, StoredKind, alerts_of
from .base import (
    MOST_AT_ONCE,
    MOST_DAYS,
    OTHER,
    PLAIN,
    UNITS,
    AccountView,
    Ask,
    Booked,
    Cause,
    Circuit,
    Contended,
    DayView,
    Entry,
    Finding,
    Granted,
    HasHistory,
    HasHolds,
    HasRoots,
    HeldLimit,
    HistoryView,
    HoldPage,
    LimitView,
    Mark,
    OpenHold,
    Path,
    Refused,
    SessionPage,
    Snapshot,
    StalePeriod,
    State,
    Store,
    Verb,
)
from .facts import Facts, HasFacts
from .memory import MemoryStore
from .remote import HasOutbox

__all__ = [
    # The verbs
    "Store",
    "Verb",
    # What a store may have beside them
    "HasAlerts",
    "HasFacts",
    "HasHistory",
    "HasHolds",
    "HasOutbox",
    "HasRoots",
    # The store in this process
    "MemoryStore",
    # What they take
    "Ask",
    "Breaker",
    "Entry",
    "PLAIN",
    "Path",
    "Terms",
    # What an answer has to tell
    "alerts_of",
    # What they answer
    "Booked",
    "Cause",
    "Contended",
    "Granted",
    "HeldLimit",
    "Mark",
    "Refused",
    "StalePeriod",
    "State",
    # What readers are shown
    "AccountView",
    "AlertPage",
    "Circuit",
    "DayView",
    "Facts",
    "Finding",
    "HistoryView",
    "HoldPage",
    "LimitView",
    "OpenHold",
    "SessionPage",
    "Snapshot",
    "StoredAlert",
    "StoredKind",
    # What these are made of
    "Account",
    "Amounts",
    "Calendar",
    "Limit",
    "MOST_AT_ONCE",
    "MOST_DAYS",
    "NOTHING",
    "OTHER",
    "Period",
    "Subject",
    "UNITS",
    "WHOLE_PPM",
    # Which key is what
    "is_session",
    "other_account",
    "parent_key",
    "root_key",
]

"""Where balances live, and all that a store of one's own is written with.

`Store` has the verbs, `bursar.testing.StoreContract` the promises. The other names are the
values that the verbs take and answer.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..values.account import Account, is_session, other_account, parent_key, root_key
    from ..values.amounts import NOTHING, Amounts
    from ..values.call import Subject
    from ..values.limits import Limit
    from ..values.policy import WHOLE_PPM, Breaker, Terms
    from ..values.window import Calendar, Period
    from .alerts import AlertPage, HasAlerts, StoredAlert, StoredKind, alerts_of
    from .base import HasHistory, HasHolds, HasRoots, Store, Verb
    from .entry import PLAIN, UNITS, Ask, Entry, Path
    from .facts import Facts, HasFacts
    from .memory import MemoryStore
    from .results import Booked, Cause, Contended, Granted, HeldLimit, Mark, Refused, StalePeriod, State
    from .undelivered import HasOutbox
    from .views import (
        MOST_AT_ONCE,
        MOST_DAYS,
        OTHER,
        AccountView,
        Circuit,
        DayView,
        Finding,
        HistoryView,
        HoldPage,
        LimitView,
        OpenHold,
        SessionPage,
        Snapshot,
    )
else:

    def __getattr__(name: str) -> Any:
        """A public name when it is first used."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
        return found


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

# Where they are: a module is imported when one of its names is first used.
_NAMES = {
    "..values.account": "Account is_session other_account parent_key root_key",
    "..values.amounts": "NOTHING Amounts",
    "..values.call": "Subject",
    "..values.limits": "Limit",
    "..values.policy": "WHOLE_PPM Breaker Terms",
    "..values.window": "Calendar Period",
    ".alerts": "AlertPage HasAlerts StoredAlert StoredKind alerts_of",
    ".base": "HasHistory HasHolds HasRoots Store Verb",
    ".entry": "PLAIN UNITS Ask Entry Path",
    ".facts": "Facts HasFacts",
    ".memory": "MemoryStore",
    ".results": "Booked Cause Contended Granted HeldLimit Mark Refused StalePeriod State",
    ".undelivered": "HasOutbox",
    ".views": "MOST_AT_ONCE MOST_DAYS OTHER AccountView Circuit DayView Finding HistoryView HoldPage"
    " LimitView OpenHold SessionPage Snapshot",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

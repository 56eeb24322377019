"""Numbers that the rules in Python and those in Lua share; the script of Redis gets them by name."""

LAYOUT = 3
"""Of what SQLite and Redis keep: a store with a higher number is refused, one with a lower one migrated."""

MOST_AMOUNT = 2**52
"""Nano-dollars or tokens of one amount or limit: sums and differences of two are exact in a float, too."""

BUCKETS = 288
"""Of a rolling window: capacity comes back at most 1/288 of the window late."""

MOST_CALLS = 10_000
"""Repeated calls that a breaker remembers within its window, by fingerprint."""

KEPT_MS = 86_400_000
"""How long SQLite and Redis keep final records for late and repeated verbs; then they are folded."""

SESSION_KEPT_MS = 7 * 86_400_000
"""How long a session is kept after its last reserve; what it spent stays in the accounts above it."""

ENDED_KEPT_MS = 86_400_000
"""How long a session is kept that has ended and cannot be named again."""

USED_MS = 3_600_000
"""How often it is noted that a session is in use."""

SESSIONS_AT_ONCE = 50
"""How many sessions one step lists at most: nobody else can do anything meanwhile."""

RETIRED = 10
"""How many sessions, or days of a history, one step drops at most."""

MOST_SUBJECTS = 200
"""What calls asked for (a model, a tool), that an account counts by itself; what comes later is ``other``."""

MOST_NAMES = 50
"""Models, and tools, that one day of an account counts by name; those that come later are ``other``."""

MOST_HISTORIES = 10_000
"""Accounts of a tree that have a history of their own."""

MOST_ALERTS = 1_000
"""Alerts that a tree keeps, delivered ones among them: the newest."""

ALERT_DUE_MS = 86_400_000
"""How long an alert may wait to be delivered; then it is given up."""

SHARED = (
    *("LAYOUT", "MOST_AMOUNT", "BUCKETS", "MOST_CALLS", "MOST_SUBJECTS"),
    *("MOST_NAMES", "MOST_HISTORIES", "MOST_ALERTS", "ALERT_DUE_MS"),
    *("KEPT_MS", "SESSION_KEPT_MS", "ENDED_KEPT_MS", "USED_MS", "RETIRED"),
)

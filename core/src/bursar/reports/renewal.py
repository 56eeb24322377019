"""What people are told of a limit that counts anew at each start of their program."""

from __future__ import annotations

from ..store.entry import Path
from ..values.account import shown_key


def renewal(path: Path) -> str | None:
    """The warning about sessions without an id below these accounts, on a store that outlives the process.

    None where a limit over another window bounds all of them, and where ``/session`` was written out.
    """
    declared = [(account.key, limit) for account in path for limit in account.limits]
    inherited = [limit for account in path for limit in account.unless_declared]
    if any(limit.window != "session" for limit in (*(limit for _, limit in declared), *inherited)):
        return None
    for key, limit in declared:
        if limit.implied and limit.unit == "usd":
            cap = str(limit).partition("/")[0]
            return (
                f"{shown_key(key)!r} has {cap} for each session, and a session without an id is a"
                f" new one: each start of the program may spend {cap} again. Write '{cap}/total' or"
                f" '{cap}/day' for all sessions together, session(id=...) to go on with one, or"
                f" '{cap}/session' if that is meant"
            )
    return None

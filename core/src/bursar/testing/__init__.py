"""What the tests of a budget need: a provider, a clock, and the promises of a store."""

from ._bill import Rate, Tokens
from ._history import Served
from ._script import Reply, Request, ToolCall
from .clock import ManualClock
from .contract import StoreContract
from .provider import ScriptedProvider

__all__ = [
    # A provider on this machine
    "Rate",
    "Reply",
    "Request",
    "ScriptedProvider",
    "Served",
    "Tokens",
    "ToolCall",
    # Time
    "ManualClock",
    # Stores
    "StoreContract",
]

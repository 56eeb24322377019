"""For packages that cover an SDK: how its requests leave, are held, and are read as they come back."""

from .alike import Alike
from .demand import Allowed, Demand, Unbounded, body_of, listed, text_of, whole, with_members
from .hooks import ClientHooks
from .patching import Patching
from .paths import Paths, biller
from .reading import Reading, UnboundedReading, text_bytes
from .sse import data_of, object_of
from .versions import too_old

__all__ = [
    # Where requests leave
    "ClientHooks",
    "Patching",
    "too_old",
    # What a request asks for, at its worst
    "Allowed",
    "Demand",
    "Paths",
    "Unbounded",
    "biller",
    "body_of",
    "listed",
    "text_of",
    "whole",
    "with_members",
    # What came back
    "Alike",
    "Reading",
    "UnboundedReading",
    "data_of",
    "object_of",
    "text_bytes",
]

"""Who pays: the client's own session, the one of the context, that of the process; and each call once."""

from __future__ import annotations

from .decorated import Decorated
from .holds import Holds
from .one_charge import OneCharge
from .payers import Payers
from .process import Process


class Isolation(Process, Payers, Holds, OneCharge, Decorated):
    """The process, the context, one client, a hold, and decorated functions."""

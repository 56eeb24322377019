"""Who pays: the client's own session, the one of the context, that of the process; and each call once."""

from ..client_contract.isolation import Isolation


class TestIsolation(Isolation):
    """The process, the context, one client, a hold, and decorated functions."""

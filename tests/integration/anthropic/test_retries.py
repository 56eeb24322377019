"""Each attempt that the SDK makes is held by itself; one in doubt stays counted, and the next may be refused."""

from ..client_contract.retries import Retries


class TestRetries(Retries):
    """Errors, what they cost, and what is sent after them."""

"""A call that may not fit is never sent; the same call is, where the money suffices."""

from ..client_contract.blocks import Blocks


class TestBlocks(Blocks):
    """Every surface."""

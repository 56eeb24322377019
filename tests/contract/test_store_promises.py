"""Every store keeps the same promises."""

from __future__ import annotations

from bursar import MemoryStore
from bursar.testing import ManualClock, StoreContract


class TestMemoryStore(StoreContract):
    """Balances in this process."""

    def open_store(self, clock: ManualClock) -> MemoryStore:
        """An empty store in memory."""
        return MemoryStore(clock)

"""What the garbage collector does first: it calls finalizers in an order of its own."""

from __future__ import annotations

from collections.abc import Callable


class Witness:
    """Made first, and garbage together with another thing, it is the first that is finalized."""

    def of(self, thing: object, look: Callable[[], object]) -> list[object]:
        """A ring with that thing; the list gets what is seen of it when both are garbage."""
        self._thing, self._look, self._saw = thing, look, list[object]()
        thing.witness = self  # type: ignore[attr-defined]
        return self._saw

    def __del__(self) -> None:
        self._saw.append(self._look())

"""Somebody ends the program at any moment: no hold is lost, and nothing that may be on the bill is forgotten."""

from ..client_contract.interrupts import Interrupts


class TestInterrupts(Interrupts):
    """At any line of ours that a call passes."""

"""Whoever uses a covered client sees what the bare SDK shows, to the byte."""

from ..client_contract.transparency import Transparency


class TestTransparency(Transparency):
    """Values, events, bytes, errors, the client itself, and when all of it comes."""

"""Tasks: cancelled once or twice, hundreds at a time, and an event loop that nobody blocks."""

from ..client_contract.tasks import Tasks


class TestAsync(Tasks):
    """Asynchronous clients among other tasks."""

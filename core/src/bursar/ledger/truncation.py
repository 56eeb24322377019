"""What people are told of an answer that ended at an output cap which the budget had lowered."""

from __future__ import annotations

from ..reports.events import Events
from ..runtime.log import logger
from ..store.entry import Path
from ..values.account import told_key
from ..values.call import Call


def truncation(path: Path, call: Call, wanted: int, runs: int | None = None, *, certain: bool = True) -> str:
    """What happened, whose budget it was, and what to do.

    Args:
        path: the accounts that pay, from the root.
        call: as it was made.
        wanted: the output cap before it was lowered.
        runs: how often tools of the provider's were let run, where the budget bounded that.
        certain: False where the answer has not said yet why it ended.
    """
    was = "was" if certain else "may have been"
    if call.max_output_tokens >= wanted and runs is not None:
        return (
            f"the answer of {call.model!r} {was} cut: the budget {told_key(path[-1].key)!r} let tools of the"
            f" provider run {runs} times; raise the limit, or say in the request how often they may run"
        )
    return (
        f"the answer of {call.model!r} {was} cut at {call.max_output_tokens:,} output tokens: the budget"
        f" {told_key(path[-1].key)!r} had lowered the cap from {wanted:,} to what was left; raise the"
        " limit, or have such calls refused by clamp=: 'text' for those with a response format, or the"
        " smallest useful cap"
    )


def warn_once(events: Events, text: str) -> None:
    """Warn in the log, the first time in a session."""
    if not events.warned:
        events.warned = True
        logger.warning("%s (the report counts all of them as truncated)", text)

"""The events of a session for its report, line by line. Nothing of a request or an answer."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any, NamedTuple

from ..values.call import Call
from ..values.charge import Charge


class Event(NamedTuple):
    """One line; it becomes a dict only when somebody reads it.

    Attributes:
        what: ``"charge"``, ``"release"``, ``"refusal"`` or ``"clamp"``.
        call: what it is about.
        outcome: the charge; what a cache saved, in USD; the message of the refusal; or the output
            cap that was asked for, of a call whose cap was lowered.
        state: of the hold, after a charge.
    """

    what: str
    call: Call
    outcome: Charge | Decimal | str | int
    state: str = ""

    def shown(self) -> dict[str, Any]:
        """The line as a report has it: money in USD as float, `at` in seconds since the epoch."""
        call, outcome = self.call, self.outcome
        line: dict[str, Any] = {"event": self.what, "id": call.id, "model": call.model, "tool": call.tool}
        if isinstance(outcome, Charge):
            line |= {"cost": float(outcome.cost), "estimated": outcome.estimated, "state": self.state}
            line |= {"at": outcome.at}
            line |= {word: True for word in ("clamped", "truncated") if getattr(outcome, word)}
            if outcome.usage is not None:
                usage = outcome.usage
                line |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        elif isinstance(outcome, str):
            line["message"] = outcome
        elif isinstance(outcome, int):
            line |= {"wanted_output_tokens": outcome, "max_output_tokens": call.max_output_tokens}
        else:
            line["saved"] = float(outcome)
        return line


class Events(deque[Event]):
    """The newest events of a session.

    Attributes:
        warned: True once its log says that an answer was cut at a lowered cap.
    """

    warned = False

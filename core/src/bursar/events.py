"""What happened in a session, line by line, for its report. Nothing of a request or an answer."""

from __future__ import annotations

from typing import Any

from .call import Call
from .charge import Charge
from .store.base import State


def call_event(what: str, call: Call, **facts: Any) -> dict[str, Any]:
    """A line about a call: ``"release"``, ``"refusal"``."""
    return {"event": what, "id": call.id, "model": call.model, "tool": call.tool, **facts}


def charge_event(charge: Charge, state: State = "settled") -> dict[str, Any]:
    """A line about what was booked; money in USD, `at` in seconds since the epoch."""
    usage = charge.usage
    tokens = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens} if usage else {}
    return call_event(
        "charge",
        charge.call,
        cost=charge.cost,
        **tokens,
        estimated=charge.estimated,
        state=state,
        at=charge.at,
    )

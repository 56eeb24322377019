"""One paid call, as it is known before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..runtime.fast_init import maker

Kind = Literal["model", "tool", "correction"]


class Subject(NamedTuple):
    """What the selectors of a limit look at, and what a report groups by.

    Attributes:
        kind: a call to a model, a run of a tool, or a correction by hand.
        models: the requested model after aliases, then the names it also answers to
            (``("gpt-4o-2024-08-06", "gpt-4o")``); empty for a tool.
        provider: who bills, where known.
        tool: the tool's name.
    """

    kind: Kind
    models: tuple[str, ...] = ()
    provider: str | None = None
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call that asks for money.

    Attributes:
        id: made by the client before anything is sent.
        kind: ``"model"``, ``"tool"`` or ``"correction"``.
        model: the requested model, after aliases.
        provider: who bills, where known.
        tool: the tool's name.
        input_tokens: the most input tokens it can be billed for.
        max_output_tokens: the output cap of one choice, as granted.
        n: how many choices were asked for.
        tier: the service tier it is priced at.
        fingerprint: the same for calls with the same input; None where the input is not known.
    """

    id: str
    kind: Kind
    model: str | None = None
    provider: str | None = None
    tool: str | None = None
    input_tokens: int = 0
    max_output_tokens: int = 0
    n: int = 1
    tier: str | None = None
    fingerprint: str | None = None


new_call = maker(Call)

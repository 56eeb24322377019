"""What each run cost, told to tracers by the metadata of the run and of the answer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, MutableMapping
from typing import Any

from langchain_core.outputs import LLMResult

from bursar.integration import Costs as BaseCosts
from bursar.integration import Tally

COST_KEY = "cost_usd"  # in the metadata of a run, and in that of an answer


class Costs(BaseCosts):
    """The tallies of one handler.

    Args:
        tell: whether tracers are told.
    """

    def __init__(self, *, tell: bool) -> None:
        super().__init__()
        self._tell = tell

    def open(self, key: Hashable, outer: Hashable | None, name: object, metadata: object = None) -> Tally:
        """A run begins; with its metadata, where tracers look."""
        told = metadata if self._tell and isinstance(metadata, MutableMapping) else None
        if told is not None:
            told[COST_KEY] = None  # its place: a tracer may copy the dict while the run is on
        return super().open(key, outer, name, told)

    def close(
        self, key: Hashable, error: BaseException | None = None, answer: LLMResult | None = None
    ) -> Tally | None:
        """A run is over, perhaps left, and closed by the collector: then no cost is asked for."""
        tally = super().close(key)
        if tally is not None and self._tell and not isinstance(error, GeneratorExit):
            cost = float(tally.cost)
            if isinstance(tally.metadata, MutableMapping):
                tally.metadata[COST_KEY] = cost
            if answer is not None:
                _write(answer, cost)
        return tally


def name_of(serialized: Mapping[str, Any] | None, more: Mapping[str, Any], otherwise: str) -> str:
    """LangChain's name of a run, as tracers show it."""
    found = serialized or {}
    kind = found.get("id") or ()
    return str(more.get("name") or found.get("name") or (kind[-1] if kind else otherwise))


def _write(answer: LLMResult, cost: float) -> None:
    """Into the answer, too: newer tracers copy the metadata of a model when it starts."""
    for choices in answer.generations:
        for choice in choices[:1]:
            message = getattr(choice, "message", None)
            if message is None:
                choice.generation_info = {**(choice.generation_info or {}), COST_KEY: cost}
            else:  # not in place: a cache may have the dict
                message.response_metadata = {**message.response_metadata, COST_KEY: cost}

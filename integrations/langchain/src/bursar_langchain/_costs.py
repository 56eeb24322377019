"""What each run cost: a run is what the caller started, with all that it started in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, MutableMapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from langchain_core.outputs import LLMResult

from bursar import Hold

from ._lock import Lock

COST_KEY = "cost_usd"  # in the metadata of a run, and in that of an answer
_RUNS_KEPT = 1_000  # the newest, for the report
_OPEN_KEPT = 10_000  # LangChain does not tell the end of every run


class Tally:
    """The cost of one run of LangChain: a chain, a node, a tool, a model, and what is below it.

    Attributes:
        run_id: LangChain's id of the run.
        name: LangChain's name of it.
        outer: the run that started this one, or None.
        metadata: where tracers look for what they show; None: they are told nothing.
    """

    __slots__ = ("_known", "_lock", "_open", "calls", "metadata", "name", "outer", "run_id")

    def __init__(
        self,
        lock: Lock,
        run_id: UUID,
        name: str,
        outer: Tally | None,
        metadata: MutableMapping[str, Any] | None,
    ) -> None:
        self._lock = lock
        self._known = Decimal(0)
        self._open: dict[str, Hold] = {}  # calls that have no final cost yet
        self.run_id = run_id
        self.name = name
        self.outer = outer
        self.calls = 0
        self.metadata = metadata

    def pays(self, hold: Hold) -> None:
        """Count a call here and in all runs around this one."""
        with self._lock:
            for tally in self._outwards():
                tally._open[hold.id] = hold
                tally.calls += hold.call.kind == "model"

    @property
    def cost(self) -> Decimal:
        """USD, as far as the calls have ended."""
        with self._lock:
            unsettled = Decimal(0)
            for key, hold in list(self._open.items()):
                if hold.charge is None:
                    if hold.state == "released":
                        del self._open[key]
                elif hold.state == "settled":
                    self._known += hold.charge.cost
                    del self._open[key]
                else:
                    unsettled += hold.charge.cost  # in doubt: a late end may correct it
            return self._known + unsettled

    def _outwards(self) -> Iterator[Tally]:
        tally: Tally | None = self
        while tally is not None:
            yield tally
            tally = tally.outer


class Costs:
    """The tallies of one handler.

    Args:
        tell: whether tracers are told, by the metadata of each run.
    """

    def __init__(self, *, tell: bool) -> None:
        self._tell = tell
        self._lock = Lock()
        self._open: dict[UUID, Tally] = {}
        self._runs: deque[Tally] = deque(maxlen=_RUNS_KEPT)

    def open(self, run_id: UUID, outer: UUID | None, name: object, metadata: object) -> Tally:
        """A run begins."""
        told = metadata if self._tell and isinstance(metadata, MutableMapping) else None
        with self._lock:
            around = self._open.get(outer) if outer is not None else None
            tally = Tally(self._lock, run_id, str(name)[:200], around, told)
            self._open[run_id] = tally
            if around is None:
                self._runs.append(tally)
            if len(self._open) > _OPEN_KEPT:
                del self._open[next(iter(self._open))]
        if told is not None:
            told[COST_KEY] = None  # its place: a tracer may copy the dict while the run is on
        return tally

    def close(
        self, run_id: UUID, error: BaseException | None = None, answer: LLMResult | None = None
    ) -> None:
        """A run is over. If it was left, the collector may have come here amid a sum of this module."""
        with self._lock:
            tally = self._open.pop(run_id, None)
        if tally is None or not self._tell or isinstance(error, GeneratorExit):
            return
        cost = float(tally.cost)
        if tally.metadata is not None:
            tally.metadata[COST_KEY] = cost
        if answer is not None:
            _write(answer, cost)

    def report(self) -> list[dict[str, Any]]:
        """The newest runs of the caller, oldest first."""
        with self._lock:
            runs = list(self._runs)
        return [
            {
                "run_id": str(run.run_id),
                "name": run.name,
                "total_spent": float(run.cost),
                "calls": run.calls,
            }
            for run in runs
        ]


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

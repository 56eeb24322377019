"""What each crew, agent, task, model and tool cost."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from bursar import Hold
from bursar.integration import Costs, Lock, Tally

_KEPT = 10_000  # scopes, of which CrewAI does not tell every end, and labels

# Whose name each kind of scope brings.
_OWN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "agent_execution_started": ("agents", lambda event: event.agent.role),
    "crew_kickoff_started": ("crews", lambda event: event.crew_name),
    "lite_agent_execution_started": ("agents", lambda event: event.agent_info.get("role")),
    "task_started": ("tasks", lambda event: event.task.name or event.task.description),
}


class Scopes:
    """The crew, the agent and the task that an event happens in, by the events around it."""

    def __init__(self) -> None:
        self._labels: dict[str, dict[str, str]] = {}

    def begin(self, event: Any) -> None:
        """A scope begins: what happens in it is of all that is around it."""
        labels = dict(self._labels.get(event.parent_event_id, {}))
        if event.type in _OWN:
            kind, read = _OWN[event.type]
            labels.update(_label(kind, read(event)))
        self._labels[event.event_id] = labels
        if len(self._labels) > _KEPT:
            self._labels.pop(next(iter(self._labels)), None)

    def of(self, event: Any) -> dict[str, str]:
        """The labels of a call: what its event says, else what is around it."""
        around = self._labels.get(event.parent_event_id, {})
        return {
            **around,
            **_label("tasks", getattr(event, "task_name", None)),
            **_label("agents", getattr(event, "agent_role", None)),
        }


def clean(name: str) -> str:
    """A name as one line, as accounts can have it: roles from YAML end in a line break."""
    line = "".join(char if char.isprintable() else " " for char in " ".join(name.split()))
    return line.replace("|", "/")[:200]


def labels_of(agent: Any, task: Any) -> dict[str, str]:
    """The labels of a call, where CrewAI says which agent makes it, and for which task."""
    named = getattr(task, "name", None) or getattr(task, "description", None)
    return {**_label("agents", getattr(agent, "role", None)), **_label("tasks", named)}


def _label(kind: str, name: Any) -> dict[str, str]:
    label = clean(name) if isinstance(name, str) else ""
    return {kind: label} if label else {}


class Breakdown(Costs):
    """Counts each call for every label that it has."""

    def __init__(self) -> None:
        super().__init__()
        self._tallies: dict[tuple[str, str], Tally] = {}

    def open(self, key: Hashable, outer: Hashable | None, name: object, metadata: object = None) -> Tally:
        """A call begins, with its labels."""
        tally = super().open(key, outer, name)
        labels = metadata if isinstance(metadata, Mapping) else {}
        with self._lock:
            of = [self._tally(*label) for label in labels.items()]
        return _Each(self._lock, tally, of)

    def _tally(self, kind: str, name: str) -> Tally:
        if (kind, name) not in self._tallies and len(self._tallies) >= _KEPT:
            name = "(others)"  # descriptions of tasks may differ from run to run
        return self._tallies.setdefault((kind, name), Tally(self._lock, name, name, None))

    def by_label(self) -> dict[str, dict[str, float]]:
        """USD: ``{"tasks": {"Write": 0.5}, "models": ...}``."""
        kinds = "crews", "agents", "tasks", "models", "tools"
        found: dict[str, dict[str, float]] = {kind: {} for kind in kinds}
        for (kind, name), tally in list(self._tallies.items()):
            found[kind][name] = float(tally.cost)
        return found


class _Each(Tally):
    """Counts in a run, and for each label."""

    def __init__(self, lock: Lock, run: Tally, labels: list[Tally]) -> None:
        super().__init__(lock, run.key, run.name, run)
        self._labels = labels

    def pays(self, hold: Hold) -> None:
        super().pays(hold)
        for tally in self._labels:
            tally.pays(hold)

"""Whose money a call is, by what LangChain tells about a run: its node and its tenant."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from langchain_core.runnables.config import var_child_runnable_config

from bursar import Budget, BursarError, Limit, Session
from bursar.integration import Limits, Payer
from bursar.integration import Payers as BasePayers

Money: TypeAlias = str | float | Decimal
LimitLike: TypeAlias = Money | Limit


class Payers(BasePayers):
    """Finds who pays; each node of a graph is a place, below the node that its graph is in.

    Args:
        budget: as for `BudgetCallback`.
        nodes: limits by the name of a node.
        tenant: the key in ``metadata`` or ``configurable`` that names who pays.
        per_run: True where each outermost run has a session of its own.

    Raises:
        InvalidAmount: a limit is not one.
        ValueError: a setting has a value that it cannot have.
    """

    def __init__(
        self, budget: LimitLike | Budget | Session, nodes: Limits | None, tenant: str | None, *, per_run: bool
    ) -> None:
        key: object = tenant
        if key is not None and (not isinstance(key, str) or not key):
            raise ValueError(
                f"tenant={key!r:.60} is not a key of the metadata or configurable, like 'user_id'"
            )
        if wrong := [name for name in nodes or () if isinstance(name, str) and ":" in name]:
            raise ValueError(f"nodes= has the key {wrong[0]!r:.60}, which LangGraph takes for no node")
        super().__init__(budget, {"nodes": nodes}, tenant=tenant is not None, per_run=per_run)
        self._key = tenant

    def session_of(self, tenant: str) -> Session:
        """The session of a tenant.

        Raises:
            BursarError: there are no tenants, or each run of theirs has a session of its own.
        """
        if self._key is None:
            raise BursarError("this handler knows no tenants; give it tenant='user_id', or ask for session")
        return super().session_of(tenant)

    def payer_of(self, metadata: Mapping[str, Any] | None, run: Hashable) -> Payer:
        """Who pays for a call with this metadata, inside an outermost run.

        Raises:
            BursarError: it names no tenant, where one has to pay.
        """
        found = metadata or {}
        return self.payer(_place(found), None if self._key is None else _named(self._key, found), run)


def _named(key: str, metadata: Mapping[str, Any]) -> str:
    """The tenant of a run; newer LangChains keep ``configurable`` out of the metadata."""
    config = var_child_runnable_config.get() or {}
    for place in (metadata, config.get("metadata") or {}, config.get("configurable") or {}):
        value = place.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value:
            return value
    raise BursarError(
        f"the run names no {key!r}, so that nobody would pay; put it into the config:"
        f" {{'metadata': {{{key!r}: ...}}}}"
    )


def _place(metadata: Mapping[str, Any]) -> list[str]:
    """The nodes around a call, from the outermost graph: ``research:<id>|search:<id>``."""
    namespace = metadata.get("langgraph_checkpoint_ns")
    if isinstance(namespace, str) and namespace:  # a number tells a second subgraph in a node from the first
        return [part.partition(":")[0] for part in namespace.split("|") if not part.isdigit()]
    node = metadata.get("langgraph_node")
    return [node] if isinstance(node, str) else []

"""Whose money a call is: the session's, or a tenant's; and the node's that makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID
from weakref import WeakKeyDictionary

from langchain_core.runnables.config import var_child_runnable_config

from bursar import Budget, BursarError, InvalidAmount, Limit, Session
from bursar.integration import as_session

Money: TypeAlias = str | float | Decimal
LimitLike: TypeAlias = Money | Limit
NodeLimits: TypeAlias = Mapping[str, LimitLike | Sequence[LimitLike]]

_KEPT = 4_096  # views of sessions, made again when they are needed: balances live in the store
# The nodes of a session: two handlers of it must mean the same accounts, to charge a call once.
_shared: WeakKeyDictionary[Session, dict[str, tuple[LimitLike, ...]]] = WeakKeyDictionary()


class Payer(NamedTuple):
    """Who pays for one call.

    Attributes:
        session: the session of the run, or of its tenant.
        account: the part of it that belongs to the node; the session itself outside of graphs.
    """

    session: Session
    account: Session


class Payers:
    """Finds who pays, by what LangChain tells about a run.

    Each node of a graph is a session below that of the run, at its place: a node of a
    subgraph is below the node that the subgraph is in. What it spends counts in all of them.

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
        self,
        budget: LimitLike | Budget | Session,
        nodes: NodeLimits | None,
        tenant: str | None,
        *,
        per_run: bool = False,
    ) -> None:
        checked = _checked_nodes(nodes)
        self._nodes = checked
        self._tenant = tenant
        self._per_run = per_run
        self._known: dict[tuple[object, ...], Payer] = {}
        self.budget: Budget | None = None
        self._session: Session | None = None
        if tenant is None and not per_run:
            self._session = as_session(budget)
            self._nodes = _shared.setdefault(self._session, {})
            for name, limits in checked.items():
                if self._nodes.setdefault(name, limits) != limits:
                    raise ValueError(f"nodes[{name!r}] has other limits in another handler of this session")
            return
        given: object = tenant
        if given is not None and (not isinstance(given, str) or not given):
            raise ValueError(
                f"tenant={given!r:.60} is not a key of the metadata or configurable, like 'user_id'"
            )
        if isinstance(budget, Session):
            what = "tenant=" if tenant is not None else "per_run="
            raise ValueError(
                f"{what} needs a limit or a Budget, no Session: each tenant or run has a session of its own"
            )
        self.budget = budget if isinstance(budget, Budget) else Budget(budget)
        self._id = as_session(self.budget).id  # one for each handler, and the same for every tenant

    @property
    def session(self) -> Session:
        """The session that pays.

        Raises:
            BursarError: each tenant has its own.
        """
        if self._session is None:
            raise BursarError(
                "each run has a session of its own; see report()['runs']"
                if self._per_run
                else "each tenant has a session of its own; ask for session_of(tenant)"
            )
        return self._session

    def session_of(self, tenant: str) -> Session:
        """The session of a tenant."""
        if self._tenant is None:
            raise BursarError("this handler knows no tenants; give it tenant='user_id', or ask for session")
        if self._per_run:
            raise BursarError("each run of a tenant has a session of its own; see report()['runs']")
        return self._find(tenant, ()).session

    @property
    def payee(self) -> Session | Budget:
        """What all of them pay into."""
        return self.budget if self.budget is not None else self.session

    def report(self) -> dict[str, Any]:
        """The report of the session with the cost of its nodes, or of the budget with that of its tenants."""
        if self.budget is None:
            report = self.session.report()
            return {**report, "nodes": dict(_nodes(report["children"]))}
        (all_of_it,) = self.budget.tree().values()
        if self._tenant is None:
            return self.budget.report()
        tenants = {name: figures["spent"] for name, figures in all_of_it["children"].items()}
        return {**self.budget.report(), "tenants": tenants}

    def payer(self, metadata: Mapping[str, Any] | None, root: UUID) -> Payer:
        """Who pays for a run with this metadata, inside an outermost one.

        Raises:
            BursarError: it names no tenant, where one has to pay.
        """
        found = metadata or {}
        tenant = self._name(found) if self._tenant is not None else None
        return self._find(tenant, _place(found), root if self._per_run else None)

    def close(self, root: UUID) -> None:
        """An outermost run is over: so is the session that it had."""
        over = [key for key in list(self._known) if key[1] == root] if self._per_run else []
        for session in {payer.session for key in over if (payer := self._known.pop(key, None)) is not None}:
            session.close()

    def _find(self, tenant: str | None, place: tuple[str, ...], root: UUID | None = None) -> Payer:
        key = tenant, root, place, len(self._nodes)  # another handler may bring some
        if (payer := self._known.get(key)) is not None:
            return payer
        if place:
            outer = self._find(tenant, place[:-1], root)
            limits = self._nodes.get(place[-1], ())
            payer = Payer(outer.session, outer.account.part(place[-1], *limits))
        elif self.budget is not None:
            budget = self.budget if tenant is None else self.budget.child(tenant)
            session = budget.session(id=self._id if root is None else f"{self._id}-{root}")
            payer = Payer(session, session)
        else:
            payer = Payer(self.session, self.session)
        if len(self._known) >= _KEPT:
            self._known.clear()
        return self._known.setdefault(key, payer)  # no lock, which a forked child might find closed

    def _name(self, metadata: Mapping[str, Any]) -> str:
        """The tenant of a run; newer LangChains keep ``configurable`` out of the metadata."""
        key = self._tenant or ""
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


def _place(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The nodes around a call, from the outermost graph: ``research:<id>|search:<id>``."""
    namespace = metadata.get("langgraph_checkpoint_ns")
    if isinstance(namespace, str) and namespace:
        parts = (
            part for part in namespace.split("|") if not part.isdigit()
        )  # of a second subgraph in a node
        names = [part.partition(":")[0] for part in parts]
    else:
        names = [metadata.get("langgraph_node") or ""]
    return tuple(name[:200] for name in names if isinstance(name, str) and name)


def _nodes(children: list[dict[str, Any]], above: str = "") -> Iterator[tuple[str, float]]:
    for child in children:
        place = f"{above}{child['session_id']}"
        yield place, child["total_spent"]
        yield from _nodes(child["children"], f"{place}|")


def _checked_nodes(nodes: NodeLimits | None) -> dict[str, tuple[LimitLike, ...]]:
    given: object = nodes if nodes is not None else {}
    if not isinstance(given, Mapping):
        raise ValueError("nodes= takes a mapping, like {'research': '$1'}")
    found = {}
    for name, limits in given.items():
        if not isinstance(name, str) or not name or ":" in name or "|" in name:
            raise ValueError(f"nodes= has the key {name!r:.60}, which is not the name of a node")
        several = tuple(limits) if isinstance(limits, list | tuple) else (limits,)
        if not several:
            raise ValueError(f"nodes[{name!r}] has no limit; leave the node out, or give it one")
        try:
            Budget(*several)
        except InvalidAmount as error:
            raise InvalidAmount(f"nodes[{name!r}]: {error}") from None
        found[name] = several
    return found

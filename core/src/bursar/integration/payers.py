"""Whose money a call is: the session's, or a tenant's; and that of the place in the program that makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from ..budget import Budget, as_session
from ..errors import BursarError, InvalidAmount
from ..session import Session
from ..values.limits import LimitLike
from ..values.names import fitted_name

Limits: TypeAlias = "Mapping[str, LimitLike | Sequence[LimitLike]]"

_KEPT = 4_096  # views of sessions, made again when they are needed: balances live in the store
# The places of a session: two adapters of it must mean the same accounts, to charge a call once.
_shared: WeakKeyDictionary[Session, dict[str, tuple[LimitLike, ...]]] = WeakKeyDictionary()


class Payer(NamedTuple):
    """Who pays for one call.

    Attributes:
        session: the session of the run, or of its tenant.
        account: the part of it that belongs to the place; the session itself outside of places.
    """

    session: Session
    account: Session


class Payers:
    """Finds who pays, by the place of a call: the names of what is around it, the outermost first.

    Each place is a part of the session, below that of the place around it; what it spends counts in
    all of them. A place is a node of a graph, an agent of a team, a task of a crew.

    Args:
        budget: a limit, a Budget or a Session.
        limits: limits of places by name, for each argument of the adapter that takes some:
            ``{"agents": {"writer": "$1"}, "tasks": {...}}``.
        tenant: True where each call names who pays: each tenant gets a child of the budget.

    Raises:
        InvalidAmount: a limit is not one.
        ValueError: a setting has a value that it cannot have; the message names it.
    """

    def __init__(
        self,
        budget: LimitLike | Budget | Session,
        limits: Mapping[str, Limits | None] | None = None,
        *,
        tenant: bool = False,
    ) -> None:
        self._limits: dict[str, tuple[LimitLike, ...]] = {}
        self._known: dict[tuple[object, ...], Payer] = {}
        self.budget: Budget | None = None
        self._session: Session | None = None
        checked = _checked(limits or {})
        if tenant:
            if isinstance(budget, Session):
                raise ValueError(
                    "tenant= needs a limit or a Budget: each tenant gets a child of it, with its own session"
                )
            self._limits = checked
            self.budget = budget if isinstance(budget, Budget) else Budget(budget)
            self._id = as_session(self.budget).id  # one for each adapter, and the same for every tenant
            return
        self._session = as_session(budget)
        self._limits = _shared.setdefault(self._session, {})
        for name, own in checked.items():
            if self._limits.setdefault(name, own) != own:
                raise ValueError(f"{name!r} has other limits in another adapter of this session")

    @property
    def session(self) -> Session:
        """The session that pays.

        Raises:
            BursarError: each tenant has its own.
        """
        if self._session is None:
            raise BursarError("each tenant has a session of its own; ask for session_of(tenant)")
        return self._session

    def session_of(self, tenant: str) -> Session:
        """The session of a tenant.

        Raises:
            BursarError: there are no tenants.
        """
        if self.budget is None:
            raise BursarError("there are no tenants here; ask for session")
        return self.payer((), tenant).session

    @property
    def payee(self) -> Session | Budget:
        """What all of them pay into."""
        return self.budget if self.budget is not None else self.session

    def report(self, what: str) -> dict[str, Any]:
        """The report of the session with the cost of its places, or of the budget with that of its tenants.

        Args:
            what: the key of the places: ``{"writer": 0.5, "writer|tool": 0.1}``, in USD.
        """
        if self.budget is None:
            report = self.session.report()
            return {**report, what: dict(_places(report["children"]))}
        (whole,) = self.budget.tree().values()
        tenants = {name: figures["spent"] for name, figures in whole["children"].items()}
        return {**self.budget.report(), "tenants": tenants}

    def payer(self, place: Sequence[str] = (), tenant: str | None = None) -> Payer:
        """Who pays for a call.

        Args:
            place: names of what is around it, the outermost first. They are put on one line, cut at 200
                characters, and left out where empty.
            tenant: who pays, where there are tenants.

        Raises:
            BursarError: no tenant is named, where one has to pay.
        """
        names = tuple(filter(None, map(fitted_name, place)))
        key = tenant, names, len(self._limits)  # another adapter may bring some
        if (payer := self._known.get(key)) is not None:
            return payer
        if names:
            outer = self.payer(names[:-1], tenant)
            account = outer.account.part(names[-1], *self._limits.get(names[-1], ()))
            payer = Payer(outer.session, account)
        elif self.budget is not None:
            if not tenant:
                raise BursarError("the call names no tenant, so that nobody would pay for it")
            session = self.budget.child(tenant).session(id=self._id)
            payer = Payer(session, session)
        else:
            payer = Payer(self.session, self.session)
        if len(self._known) >= _KEPT:
            self._known.clear()
        return self._known.setdefault(key, payer)  # no lock, which a forked child might find closed


def _places(children: Sequence[Mapping[str, Any]], above: str = "") -> list[tuple[str, float]]:
    found = []
    for child in children:
        place = f"{above}{child['session_id']}"
        found.append((place, child["total_spent"]))
        found += _places(child["children"], f"{place}|")
    return found


def _checked(limits: Mapping[str, Limits | None]) -> dict[str, tuple[LimitLike, ...]]:
    found: dict[str, tuple[LimitLike, ...]] = {}
    for argument, given in limits.items():
        names: object = given if given is not None else {}
        if not isinstance(names, Mapping):
            raise ValueError(f"{argument}= takes a mapping of names to limits, like {{'researcher': '$1'}}")
        for name, own in names.items():
            if not isinstance(name, str) or not fitted_name(name) or "|" in name:
                raise ValueError(f"{argument}= has the key {name!r:.60}, which is not a name")
            several = tuple(own) if isinstance(own, list | tuple) else (own,)
            if not several:
                raise ValueError(f"{argument}[{name!r}] has no limit; leave it out, or give it one")
            try:
                Budget(*several)
            except InvalidAmount as error:
                raise InvalidAmount(f"{argument}[{name!r}]: {error}") from None
            if found.setdefault(fitted_name(name), several) != several:
                raise ValueError(f"{argument}[{name!r}] has other limits in another argument")
    return found

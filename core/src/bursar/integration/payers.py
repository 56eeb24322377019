"""Whose money a call is: the session's, or a tenant's; and that of the place in the program that makes it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
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
        per_run: True where each outermost run has a session of its own.

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
        per_run: bool = False,
    ) -> None:
        self._tenant, self._per_run = tenant, per_run
        self._limits: dict[str, tuple[LimitLike, ...]] = {}
        self._known: dict[tuple[object, ...], Payer] = {}
        self.budget: Budget | None = None
        self._session: Session | None = None
        checked = _checked(limits or {})
        if tenant or per_run:
            if isinstance(budget, Session):
                who = "tenant" if tenant else "per_run"
                raise ValueError(
                    f"{who}= needs a limit or a Budget: each tenant or run gets a session of its own"
                )
            self._limits = {name: own for name, (own, _) in checked.items()}
            self.budget = budget if isinstance(budget, Budget) else Budget(budget)
            self._id = as_session(self.budget).id  # one for each adapter, and the same for every tenant
            return
        self._session = as_session(budget)
        self._limits = _shared.setdefault(self._session, {})
        for name, (own, where) in checked.items():
            if self._limits.setdefault(name, own) != own:
                raise ValueError(f"{where} has other limits in another adapter of this session")

    @property
    def session(self) -> Session:
        """The session that pays.

        Raises:
            BursarError: each tenant, or each run, has its own.
        """
        if self._per_run:
            raise BursarError("each run has a session of its own; see report()['runs']")
        if self._session is None:
            raise BursarError("each tenant has a session of its own; ask for session_of(tenant)")
        return self._session

    def session_of(self, tenant: str) -> Session:
        """The session of a tenant.

        Raises:
            BursarError: there are no tenants, or each run of theirs has a session of its own.
        """
        if not self._tenant:
            raise BursarError("there are no tenants here; ask for session")
        if self._per_run:
            raise BursarError("each run of a tenant has a session of its own; see report()['runs']")
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
        if not self._tenant:
            return self.budget.report()
        (whole,) = self.budget.tree().values()
        tenants = {name: figures["spent"] for name, figures in whole["children"].items()}
        return {**self.budget.report(), "tenants": tenants}

    def payer(
        self, place: Sequence[str] = (), tenant: str | None = None, run: Hashable | None = None
    ) -> Payer:
        """Who pays for a call.

        Args:
            place: names of what is around it, the outermost first. They are put on one line, cut at 200
                characters, and left out where empty.
            tenant: who pays, where there are tenants.
            run: the outermost run around it, where each has a session of its own; see `Runs`.

        Raises:
            BursarError: no tenant is named, where one has to pay.
        """
        names = tuple(filter(None, map(fitted_name, place)))
        run = run if self._per_run else None
        key = tenant, run, names, len(self._limits)  # another adapter may bring some
        if (payer := self._known.get(key)) is not None:
            return payer
        if names:
            outer = self.payer(names[:-1], tenant, run)
            account = outer.account.part(names[-1], *self._limits.get(names[-1], ()))
            payer = Payer(outer.session, account)
        elif self.budget is not None:
            if self._tenant and not tenant:
                raise BursarError("the call names no tenant, so that nobody would pay for it")
            budget = self.budget.child(tenant) if tenant else self.budget
            session = budget.session(id=self._id if run is None else f"{self._id}-{run}")
            payer = Payer(session, session)
        else:
            payer = Payer(self.session, self.session)
        if len(self._known) >= _KEPT:
            self._known.clear()
        return self._known.setdefault(key, payer)  # no lock, which a forked child might find closed

    def close(self, run: Hashable) -> None:
        """An outermost run is over: so is the session that it had, if each has its own."""
        over = [key for key in list(self._known) if key[1] == run] if self._per_run else []
        for session in {payer.session for key in over if (payer := self._known.pop(key, None)) is not None}:
            session.close()


def _places(children: Sequence[Mapping[str, Any]], above: str = "") -> list[tuple[str, float]]:
    found = []
    for child in children:
        place = f"{above}{child['session_id']}"
        found.append((place, child["total_spent"]))
        found += _places(child["children"], f"{place}|")
    return found


def _checked(limits: Mapping[str, Limits | None]) -> dict[str, tuple[tuple[LimitLike, ...], str]]:
    """The limits of each name, and where they were said."""
    found: dict[str, tuple[tuple[LimitLike, ...], str]] = {}
    for argument, given in limits.items():
        names: object = given if given is not None else {}
        if not isinstance(names, Mapping):
            raise ValueError(f"{argument}= takes a mapping of names to limits, like {{'researcher': '$1'}}")
        for name, own in names.items():
            if not isinstance(name, str) or not fitted_name(name) or "|" in name:
                raise ValueError(f"{argument}= has the key {name!r:.60}, which is not a name")
            several, where = tuple(own) if isinstance(own, list | tuple) else (own,), f"{argument}[{name!r}]"
            if not several:
                raise ValueError(f"{where} has no limit; leave it out, or give it one")
            try:
                Budget(*several)
            except InvalidAmount as error:
                raise InvalidAmount(f"{where}: {error}") from None
            if found.setdefault(fitted_name(name), (several, where))[0] != several:
                raise ValueError(f"{where} has other limits in another argument")
    return found

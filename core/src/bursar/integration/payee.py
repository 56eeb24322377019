"""What every adapter shows of the money that it spends."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..budget import Budget
from ..session import Session
from .costs import Costs
from .payers import Payers


class Payee:
    """The base of an adapter: ``.session .spent .reserved .remaining .report() .get_report()``.

    Attributes:
        payers: finds who pays; set by the adapter.
        costs: what its runs cost; only an adapter that counts by run sets it.
        places: the word for the places of its report: ``"nodes"``, ``"agents"``.
    """

    payers: Payers
    costs: Costs
    places: str = "places"

    @property
    def session(self) -> Session:
        """The session that pays. Raises: `BursarError`: each tenant has its own."""
        return self.payers.session

    def session_of(self, tenant: str) -> Session:
        """The session that pays for a tenant. Raises: `BursarError`: there are no tenants."""
        return self.payers.session_of(tenant)

    @property
    def payee(self) -> Session | Budget:
        """What is paid into: the session, or the budget of all tenants."""
        return self.payers.payee

    @property
    def spent(self) -> Decimal:
        """USD that the session spent, or all tenants together."""
        return self.payee.spent

    @property
    def reserved(self) -> Decimal:
        """USD held by calls in flight."""
        return self.payee.reserved

    @property
    def remaining(self) -> Decimal | None:
        """USD left; negative after an overrun, None without a limit in USD."""
        return self.payee.remaining

    def report(self) -> dict[str, Any]:
        """The report of the session, with the cost of each place and the newest runs; see `Costs.report`.

        With tenants it is the report of their budget, and ``"tenants"`` has the USD of each.
        """
        report = self.payers.report(self.places)
        costs: Costs | None = getattr(self, "costs", None)
        return report if costs is None else {**report, "runs": costs.report()}

    def get_report(self) -> dict[str, Any]:
        """The same as `report`."""
        return self.report()

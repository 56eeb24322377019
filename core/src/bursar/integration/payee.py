"""What every adapter shows of the money that it spends."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..session import Session
from .payers import Payers


class Payee:
    """``.session .spent .reserved .remaining .report() .get_report()`` of an adapter.

    Attributes:
        payers: finds who pays; set by the adapter.
        places: the word for the places of its report: ``"nodes"``, ``"agents"``.
    """

    payers: Payers
    places: str = "places"

    @property
    def session(self) -> Session:
        """The session that pays. Raises: `BursarError`: each tenant has its own."""
        return self.payers.session

    @property
    def spent(self) -> Decimal:
        """USD that the session spent, or all tenants together."""
        return self.payers.payee.spent

    @property
    def reserved(self) -> Decimal:
        """USD held by calls in flight."""
        return self.payers.payee.reserved

    @property
    def remaining(self) -> Decimal | None:
        """USD left; negative after an overrun, None without a limit in USD."""
        return self.payers.payee.remaining

    def report(self) -> dict[str, Any]:
        """The cost report, with the cost of each place, in USD."""
        return self.payers.report(self.places)

    def get_report(self) -> dict[str, Any]:
        """The same as `report`."""
        return self.report()

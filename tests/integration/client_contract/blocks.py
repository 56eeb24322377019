"""A call that may not fit is never sent; the same call is, where the money suffices."""

from __future__ import annotations

import pytest

from bursar import BudgetExceeded

from .bench import Bench
from .sdk import ClientSdk


class Blocks:
    """Every surface."""

    @pytest.mark.seam_cell("init-async")
    def test_each_surface_is_paid_once(self, surface: str, bench: Bench, sdk: ClientSdk) -> None:
        """One request and one exact charge, where the money suffices."""
        client, session = bench.paid("$1", client={"max_retries": 2}, prices=sdk.prices)
        bench.take(sdk.surfaces[surface], client)
        assert (bench.provider.arrivals, bench.provider.calls, session.calls) == (1, 1, 1)
        bench.assert_exact(session)

    def test_each_surface_that_does_not_fit_is_not_sent(
        self, surface: str, bench: Bench, sdk: ClientSdk
    ) -> None:
        """No request at all, also not a second one, and the refusal itself, not a wrapping of it."""
        client, session = bench.paid("$0.0000001", client={"max_retries": 2}, prices=sdk.prices)
        with pytest.raises(BudgetExceeded) as refused:
            bench.take(sdk.surfaces[surface], client)
        assert type(refused.value) is BudgetExceeded
        assert (bench.provider.arrivals, session.report()["refusals"]) == (0, 1)
        bench.assert_exact(session)

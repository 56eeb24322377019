"""A call that may not fit is never sent; the same call is, where the money suffices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bursar import BudgetExceeded

from .surfaces import SURFACES

if TYPE_CHECKING:
    from .conftest import Bench


@pytest.mark.parametrize("limit", ["$1", "$0.0000001"])
@pytest.mark.parametrize("surface", SURFACES)
def test_each_surface_is_paid_once_or_refused(surface: str, limit: str, bench: Bench) -> None:
    """One request and one exact charge; or no request at all, and the refusal itself, not a wrapping of it."""
    client, session = bench.paid(limit, client={"max_retries": 2})
    if limit == "$1":
        bench.take(SURFACES[surface], client)
        assert (bench.provider.arrivals, bench.provider.calls, session.calls) == (1, 1, 1)
    else:
        with pytest.raises(BudgetExceeded) as refused:
            bench.take(SURFACES[surface], client)
        assert type(refused.value) is BudgetExceeded
        assert (bench.provider.arrivals, session.report()["refusals"]) == (0, 1)
    bench.assert_exact(session)

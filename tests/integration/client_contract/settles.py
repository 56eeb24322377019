"""What a call is charged: exactly what the provider bills, or a bound above it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import bursar
from bursar import BudgetExceeded, Limit, Price, UnknownModel, UnpriceableCall
from bursar.testing import Reply

from .bench import Bench
from .sdk import ClientSdk

NONSENSE = {"prompt_tokens": -1, "completion_tokens": "many", "input_tokens": -1, "output_tokens": "many"}


class Settles:
    """Usage, caps, models and bodies."""

    @pytest.mark.parametrize(
        "usage", ["absent", "null", {}, NONSENSE], ids=["absent", "null", "empty", "nonsense"]
    )
    def test_an_answer_without_usable_usage_is_never_free(
        self, settled: str, usage: Any, bench: Bench, sdk: ClientSdk
    ) -> None:
        """Charged by what was seen, or at the hold: never nothing, never below the bill, and marked as estimated."""
        bench.provider.script(Reply("ok", output_tokens=1, usage=usage))
        client, session = bench.paid("$1")
        bench.take(sdk.settled[settled], client)
        assert session.spent * 10**9 >= bench.provider.bill_nanos > 0
        assert (session.reserved, session.report()["estimated"]) == (0, 1)

    def test_the_cap_is_lowered_to_what_is_left(
        self, capped: str, fit: str, sync_bench: Bench, sdk: ClientSdk
    ) -> None:
        """The cap that the caller wrote is lowered in the request that is sent, and the bill stays within the limit."""
        surface, member = sdk.capped[capped]
        limit, sent = sdk.clamping[fit]
        client, session = sync_bench.paid(limit)
        if sent is None:
            with pytest.raises(BudgetExceeded):
                surface(client)
            assert sync_bench.provider.arrivals == 0
            return
        for _ in surface(client):
            """A stream is read to its end; of a whole answer these are the members."""
        cap = sync_bench.provider.served[-1].body[member]
        assert cap == 50 if sent == 50 else sent <= cap < 50
        sync_bench.assert_exact(session)
        assert sync_bench.provider.bill_nanos <= Limit(limit).amount

    def test_a_model_without_a_price_is_refused_until_it_has_one(self, bench: Bench) -> None:
        """Never guessed, never free: refused before it is sent, and exact once the budget knows the price."""
        client, session = bench.paid("$1")
        with pytest.raises(UnknownModel):
            bench.ask(client, model="home-made")
        assert bench.provider.arrivals == 0
        bursar.teardown()
        session = bench.pay(client, "$1", prices={"home-made": Price(1, 2, max_output_tokens=100)})
        bench.ask(client, model="home-made")
        bench.assert_exact(session)

    def test_a_request_that_cannot_be_read_is_refused(
        self, unreadable: str, sync_bench: Bench, sdk: ClientSdk
    ) -> None:
        """Without a model, say, or as a body that is no object."""
        client, _ = sync_bench.paid("$1")
        with pytest.raises(UnpriceableCall):
            sdk.post(client, sdk.unreadable[unreadable])
        assert sync_bench.provider.arrivals == 0

    @pytest.mark.parametrize("cap", [-1, "40", 2.0, None])
    def test_an_odd_cap_is_sent_as_it_is(self, cap: Any, sync_bench: Bench, sdk: ClientSdk) -> None:
        """What a host makes of it is its business: the most that it can mean is held."""
        client, session = sync_bench.paid("$9")
        rejected = cap is not None or sdk.cap_is_required
        with pytest.raises(sdk.module.BadRequestError) if rejected else contextlib.nullcontext():
            sdk.post(client, {**sdk.chat, "max_tokens": cap})
        assert sync_bench.provider.arrivals == 1
        sync_bench.assert_exact(session)

"""Each attempt that the SDK makes is held by itself; one in doubt stays counted, and the next may be refused."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import bursar
from bursar import Budget, BudgetExceeded, Limit
from bursar.testing import Reply

from .bench import Bench
from .fixtures import crossed
from .sdk import ClientSdk

NOWHERE = "http://127.0.0.1:9/v1"  # nothing listens there


class Retries:
    """Errors, what they cost, and what is sent after them."""

    @pytest.mark.parametrize("status", [409, 429, 500, 502, pytest.param(503, marks=pytest.mark.seam), 529])
    def test_error_answers_cost_nothing_and_the_hold_is_kept(
        self, call: str, status: int, bench: Bench, sdk: ClientSdk
    ) -> None:
        """Two error answers and a good one: three requests, one hold, one exact charge."""
        client, session = bench.paid(sdk.one_hold, clamp=False, client={"max_retries": 2})
        bench.provider.script(Reply(status=status), Reply(status=status))
        bench.take(sdk.calls[call], client)
        assert (bench.provider.arrivals, bench.provider.calls, session.calls) == (3, 1, 1)
        bench.assert_exact(session)

    @crossed
    @pytest.mark.parametrize("sent", [2, 1])
    @pytest.mark.parametrize("trouble", ["lost", "timeout", 408, 504])
    def test_an_attempt_in_doubt_stays_counted(
        self, call: str, trouble: Any, sent: int, bench: Bench, sdk: ClientSdk
    ) -> None:
        """The answer may be on the bill, so its hold is spent, and the next attempt needs another one or is refused."""
        limit = sdk.two_holds if sent == 2 else sdk.one_hold
        timeout = 0.3 if trouble == "timeout" else 30
        client, session = bench.paid(limit, clamp=False, client={"max_retries": 2, "timeout": timeout})
        reply = {"lost": Reply(drop="before_headers"), "timeout": Reply(delay=5)}.get(trouble)
        bench.provider.script(reply or Reply(status=trouble, billed=True))
        if sent == 2:
            bench.take(sdk.calls[call], client)
        else:
            with pytest.raises(BudgetExceeded) as refused:
                bench.take(sdk.calls[call], client)
            assert type(refused.value) is BudgetExceeded
        assert (bench.provider.arrivals, session.reserved) == (sent, 0)
        assert Limit(limit).amount >= session.spent * 10**9 >= bench.provider.bill_nanos > 0
        assert session.calls == sent

    @pytest.mark.seam
    def test_the_next_attempt_is_clamped_to_what_the_doubt_leaves(
        self, call: str, sync_bench: Bench, sdk: ClientSdk
    ) -> None:
        """What is left after an attempt in doubt lowers the cap of the next one, which then fits."""
        client, session = sync_bench.paid(sdk.lower_cap, client={"max_retries": 2})
        sync_bench.provider.script(Reply(drop="before_headers"))
        sync_bench.take(sdk.calls[call], client)
        caps = [
            served.body.get("max_tokens") or served.body.get("max_output_tokens")
            for served in sync_bench.provider.served
        ]
        assert caps[0] == 50 and 16 <= caps[1] < 50
        assert sync_bench.provider.bill_nanos <= session.spent * 10**9 <= Limit(sdk.lower_cap).amount
        assert session.reserved == 0

    @pytest.mark.parametrize("retries", [0, 2])
    def test_a_refused_connection_costs_nothing(self, retries: int, bench: Bench, sdk: ClientSdk) -> None:
        """What never left is released, also between attempts."""
        of_client = {"max_retries": retries, "base_url": NOWHERE}
        client, session = bench.paid(sdk.one_hold, clamp=False, client=of_client)
        with pytest.raises(sdk.module.APIConnectionError):
            bench.ask(client)
        assert (session.spent, session.reserved, session.calls) == (0, 0, 0)

    def test_a_request_that_cannot_be_built_costs_nothing(self, bench: Bench) -> None:
        """An error before anything is sent gives the hold back."""
        client, session = bench.paid("$1")
        with pytest.raises(Exception, match="encode|surrogate|header"):
            bench.ask(client, extra_headers={"x-odd": "\udcff"})
        assert (bench.provider.arrivals, session.spent, session.reserved) == (0, 0, 0)

    @pytest.mark.parametrize(
        ("status", "known"), [(400, True), (401, True), (404, True), (503, True), (504, False)]
    )
    def test_the_last_error_reaches_the_caller(
        self, status: int, known: bool, bench: Bench, sdk: ClientSdk
    ) -> None:
        """As the SDK's own, with its body; a complete error answer is free, that of a gateway is in doubt."""
        client, session = bench.paid("$1", client={"max_retries": 1})
        bench.provider.always(Reply(status=status))
        with pytest.raises(sdk.module.APIStatusError) as failed:
            bench.ask(client)
        body = failed.value.body
        assert failed.value.status_code == status
        assert body.get("error", body)["message"].endswith(f"{status}.")
        assert session.reserved == 0
        assert (session.spent == 0) == known

    @pytest.mark.seam
    @pytest.mark.parametrize("limit", ["$1", "$0.0001"])
    def test_a_refusal_that_is_swallowed_stays_a_refusal(
        self, limit: str, sync_bench: Bench, sdk: ClientSdk
    ) -> None:
        """However often a framework tries again, the ledger decides each time."""
        client, session = sync_bench.paid(limit)
        answers = 0
        for _ in range(5):
            with contextlib.suppress(Exception):
                sdk.ask(client)
                answers += 1
        assert (answers, sync_bench.provider.arrivals) == ((5, 5) if limit == "$1" else (0, 0))
        sync_bench.assert_exact(session)

    def test_a_stopped_session_sends_no_further_attempt(self, sync_bench: Bench, sdk: ClientSdk) -> None:
        """A kill switch that is thrown while an attempt is under way refuses the next one."""
        session = Budget("$1").session()
        client = bursar.wrap_client(sync_bench.client(max_retries=2), session)

        def throw(request: Any) -> Reply:
            session.trip("enough")
            return Reply(drop="before_headers")

        sync_bench.provider.script(throw)
        with pytest.raises(bursar.Tripped):
            sdk.ask(client)
        assert sync_bench.provider.arrivals == 1

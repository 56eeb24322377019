"""Tools of the caller's, and what only the provider has: stored input, and tools that it runs itself."""

from __future__ import annotations

from typing import Any

import pytest

from bursar import BudgetExceeded, UnpriceableCall
from bursar.testing import Reply, ToolCall

from .bench import Bench
from .sdk import ClientSdk


class Tools:
    """Agents, hidden input, and what runs without a bound."""

    @pytest.mark.parametrize("requests", [2, 1, 0])
    def test_an_agent_with_tools(self, requests: int, bench: Bench, sdk: ClientSdk) -> None:
        """Each turn is a call of its own: the one that does not fit is not sent, and those that were are paid exactly."""
        client, session = bench.paid(sdk.agent.limits[2 - requests], clamp=False)
        bench.provider.script(Reply(tool_calls=[ToolCall("look_up", {"place": "Oslo"})]), Reply("sunny"))

        def run() -> str:
            messages = list(sdk.chat["messages"])
            while True:
                answer = bench.ask(client, messages=messages, tools=[sdk.agent.tool])
                turn = sdk.agent.turn(answer)
                if not turn:
                    return sdk.agent.text(answer)
                messages += turn

        if requests == 2:
            assert run() == "sunny"
        else:
            with pytest.raises(BudgetExceeded):
                run()
        assert bench.provider.arrivals == requests
        bench.assert_exact(session)

    @pytest.mark.parametrize("enough", [True, False], ids=["enough", "too-little"])
    def test_hidden_input_is_held_at_the_context_window(
        self, hidden: str, enough: bool, bench: Bench, sdk: ClientSdk
    ) -> None:
        """A provider that bills many tokens that nobody sees here stays within what was held for them."""
        window = sdk.window
        call = window.asking(**window.hidden[hidden])
        bench.provider.always(Reply("ok", hidden_tokens=window.tokens))
        client, session = bench.paid(window.limits[0 if enough else 1], clamp=False)
        if enough:
            bench.take(call, client)
            assert bench.provider.served[0].input_tokens > window.tokens
            assert session.report()["overruns"]["count"] == 0
        else:
            with pytest.raises(BudgetExceeded) as refused:
                bench.take(call, client)
            asked: Any = refused.value.asked
            assert asked * 10**9 >= window.nanos
            assert bench.provider.arrivals == 0
        bench.assert_exact(session)

    @pytest.mark.parametrize("how", ["refused", "covered"])
    def test_what_runs_without_a_bound(
        self, without_bound: str, how: str, bench: Bench, sdk: ClientSdk
    ) -> None:
        """Refused with the way out; within a hold of the caller's it is sent, and charged with what is hidden."""
        members, way_out = sdk.window.unbounded[without_bound]
        bench.provider.always(Reply("ok", hidden_tokens=100_000))
        client, session = bench.paid("$9", clamp=how == "covered")  # else it may be given a bound
        call = sdk.window.asking(**members)
        if how == "refused":
            with pytest.raises(UnpriceableCall, match=way_out):
                bench.take(call, client)
            assert (bench.provider.arrivals, session.reserved) == (0, 0)
        else:
            with session.reserve(sdk.model, cost="$0.50"):
                bench.take(call, client)
            assert bench.provider.arrivals == 1 and bench.provider.served[0].input_tokens > 100_000
            assert session.report()["overruns"]["total"] == 0
        bench.assert_exact(session)

"""A hold of the caller's that pays for what a client sends within it."""

from __future__ import annotations

from typing import Any

import pytest

import bursar
from bursar import Budget
from bursar.testing import Reply, ScriptedProvider

from .sdk import ClientSdk


class Holds:
    """A hold that covers."""

    @pytest.mark.seam
    def test_a_hold_pays_for_the_first_request_within_it(
        self, client: Any, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """The client sends on it and settles it with the usage it saw; the next request has a hold of its own."""
        session = Budget("$1").session()
        bursar.wrap_client(client, session)
        with session.reserve(sdk.model, input_tokens=100, max_output_tokens=30) as hold:
            answer = sdk.ask(client)
            assert (hold.state, session.calls) == ("settled", 1)
            assert provider.served[0].body["max_tokens"] == 30  # the cap that the hold pays for
            assert hold.settle(answer).id == hold.id
            sdk.ask(client)
        assert (session.calls, session.reserved) == (2, 0)
        assert session.spent == provider.bill

    def test_a_hold_pays_for_one_request_at_a_time(
        self, client: Any, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """While a stream is read on the hold, a call of its reader's is held anew."""
        session = Budget("$1").session()
        bursar.wrap_client(client, session)
        with session.reserve(sdk.model, input_tokens=100, max_output_tokens=50):
            for _ in sdk.ask(client, stream=True):
                if provider.arrivals == 1:
                    sdk.ask(client)
        assert (session.calls, session.reserved) == (2, 0)
        assert session.spent == provider.bill

    def test_an_attempt_in_doubt_uses_the_hold_up(self, provider: ScriptedProvider, sdk: ClientSdk) -> None:
        """The hold pays for what may be on the bill; the next attempt is held by the client's own session."""
        session = Budget("$1").session()
        client = sdk.client(provider, max_retries=1)
        bursar.wrap_client(client, session)
        provider.script(Reply(drop="before_headers"))
        with session.reserve(sdk.model, input_tokens=100, max_output_tokens=50) as hold:
            answer = sdk.ask(client)
            assert hold.state == "in_doubt"
            assert (
                hold.settle(answer) is hold.charge
            )  # it was charged to another hold: this one stays in doubt
        assert hold.state == "in_doubt"
        assert session.spent * 10**9 >= provider.bill_nanos and session.calls == 2
        client.close()

    def test_an_answer_that_was_charged_is_not_charged_again(
        self, client: Any, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """A hold that was reserved before the call pays for it; one from afterwards is given back by its settle."""
        session = Budget("$1").session()
        bursar.wrap_client(client, session)
        hold = session.reserve(sdk.model, input_tokens=100, max_output_tokens=50)
        answer = sdk.ask(client)
        assert hold.settle(answer).cost == provider.bill and session.wrap(answer) is answer
        later = session.reserve(sdk.model, input_tokens=100, max_output_tokens=50)
        assert later.settle(answer).cost == 0
        assert (hold.state, later.state, session.calls, session.reserved) == ("settled", "released", 1, 0)
        assert session.spent == provider.bill

    def test_a_client_that_nobody_pays_for_leaves_the_hold_alone(
        self, client: Any, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """Then the caller settles, as ever."""
        session = Budget("$1").session()
        with session.reserve(sdk.model, input_tokens=100, max_output_tokens=50) as hold:
            hold.settle(sdk.ask(client))
        assert session.spent == provider.bill

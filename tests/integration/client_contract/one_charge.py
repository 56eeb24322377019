"""Sessions, holds, callbacks and wrapped clients around one call: the rows of every SDK."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import bursar
from bursar import Session
from bursar.testing import ScriptedProvider

from ... import one_charge
from .sdk import ClientSdk
from .surface import Surface, atake, take

HOW = pytest.mark.parametrize("how", ["sync", "async", "stream"])


class Called(one_charge.Stage):
    """A client of the SDK, called one way."""

    def __init__(self, sdk: ClientSdk, provider: ScriptedProvider, how: str, limit: str) -> None:
        super().__init__(provider, sdk.model, limit)
        self._sdk = sdk
        self._how = how

    def wrapped(self, session: Session) -> Any:
        return bursar.wrap_client(self._client(), session)

    def call(self, client: Any = None) -> Any:
        client = client or self._client()
        if self._how == "async":
            return asyncio.run(self._acall(client))
        with client:
            if self._how == "sync":
                return self._sdk.ask(client)
            surface, whole = self._sdk.told
            return whole(take(surface, client))

    def _client(self) -> Any:
        return self._sdk.client(self.provider, asynchronous=self._how == "async")

    async def _acall(self, client: Any) -> Any:
        async with client:
            return await atake(Surface(self._sdk.ask), client)


class OneCharge:
    """One charge for each call, and to whom."""

    @HOW
    @one_charge.each()
    def test_a_call_is_charged_once_to_one_session(
        self,
        row: one_charge.Row,
        limit: str,
        how: str,
        provider: ScriptedProvider,
        sdk: ClientSdk,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """What is booked is the bill, and whose it is; with too little money for it, nothing is sent or booked."""
        one_charge.assert_charged_once(row, Called(sdk, provider, how, limit), limit, caplog)

    @HOW
    @one_charge.BY_HAND
    def test_a_call_that_was_charged_is_booked_by_hand_as_told_with_one_warning(
        self,
        by_hand: Any,
        how: str,
        provider: ScriptedProvider,
        sdk: ClientSdk,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Recorded or tracked."""
        stage = Called(sdk, provider, how, one_charge.ENOUGH)
        one_charge.assert_booked_as_told(by_hand, stage, caplog)

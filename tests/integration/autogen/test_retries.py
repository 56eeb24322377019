"""Retries of the SDK are paid for one by one; refusals are not retried."""

from __future__ import annotations

import openai
import pytest
from autogen_core.models import UserMessage

from bursar import Budget, BudgetExceeded
from bursar_autogen.agentchat import BudgetedChatCompletionClient

from .conftest import Script

QUESTION = [UserMessage(content="Why?", source="user")]


@pytest.mark.seam
@pytest.mark.parametrize("brand", ["openai", "anthropic"])
def test_retry_of_the_sdk_is_reserved_by_itself(provider: Script, brand: str) -> None:
    """The SDK sends twice for one create(): both requests are admitted, the answer is charged exactly."""
    provider.fails(500)
    client = BudgetedChatCompletionClient(provider.client(brand, max_retries=1), Budget("$1"))
    provider.run(client.create(QUESTION))
    assert provider.sent == 2
    assert client.reserved == 0
    assert client.spent >= provider.provider.bill > 0


def test_rejected_request_is_free(provider: Script) -> None:
    """A 400 is not billed: nothing is charged, and the error is the SDK's."""
    provider.fails(400)
    client = BudgetedChatCompletionClient(provider.openai(max_retries=2), "$1")
    with pytest.raises(openai.BadRequestError):
        provider.run(client.create(QUESTION))
    assert provider.sent == 1
    assert client.spent == client.reserved == 0


def test_refusal_is_not_retried(provider: Script) -> None:
    """The SDK does not take it for a failure of the network: no request, at once."""
    client = BudgetedChatCompletionClient(provider.openai(max_retries=5), Budget("0 calls"))
    with pytest.raises(BudgetExceeded):
        provider.run(client.create(QUESTION))
    assert provider.sent == 0

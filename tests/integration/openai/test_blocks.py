"""A call that may not fit is never sent; the same call is, where the money suffices."""

from __future__ import annotations

from typing import Any

import pytest

from bursar import BudgetExceeded
from bursar.testing import Reply

from ..client_contract.bench import Bench
from ..client_contract.blocks import Blocks
from .surfaces import CHAT, RESPONSE, Surface


class TestBlocks(Blocks):
    """Every surface."""


AZURE = {
    "chat": Surface(lambda c: c.chat.completions.create(**CHAT)),
    "chat-stream": Surface(lambda c: c.chat.completions.create(**CHAT, stream=True), "events"),
    "responses": Surface(lambda c: c.responses.create(**RESPONSE)),
    "raw": Surface(lambda c: c.chat.completions.with_raw_response.create(**CHAT), "raw"),
    "copy": Surface(lambda c: c.with_options(timeout=20).chat.completions.create(**CHAT)),
}


@pytest.mark.parametrize("limit", ["$1", "$0.0000001"])
@pytest.mark.parametrize("surface", AZURE)
def test_clients_of_azure(surface: str, limit: str, bench: Bench) -> None:
    """The same of Azure's clients, which override what the others have: with each attempt that was in doubt counted."""
    settings = {"azure_endpoint": bench.provider.url, "api_key": "none", "api_version": "2025-01-01"}
    client: Any = bench.client("AzureOpenAI", **settings, max_retries=2)
    session = bench.pay(client, limit)
    bench.provider.script(Reply(status=500), Reply(drop="before_headers"))
    if limit == "$1":
        bench.take(AZURE[surface], client)
        assert (bench.provider.arrivals, bench.provider.calls, session.calls) == (3, 2, 2)
        assert session.spent * 10**9 >= bench.provider.bill_nanos and session.reserved == 0
        bench.take(AZURE[surface], client)
        assert session.calls == bench.provider.calls == 3
    else:
        with pytest.raises(BudgetExceeded) as refused:
            bench.take(AZURE[surface], client)
        assert type(refused.value) is BudgetExceeded
        assert (bench.provider.arrivals, session.spent, session.reserved) == (0, 0, 0)

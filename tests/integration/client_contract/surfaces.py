"""Everything that the SDK can send is paid for, refused, or known to be free."""

from __future__ import annotations

import contextlib
import importlib
from decimal import Decimal
from typing import Any

import pytest

import bursar
from bursar import Budget, BudgetExceeded, UnpriceableCall
from bursar.testing import ScriptedProvider

from .bench import Async, Bench, Sync
from .fixtures import crossed
from .sdk import ClientSdk
from .surface import Surface


def http_libraries(sdk: ClientSdk) -> list[Any]:
    """Those whose clients the installed SDK takes: httpx, and its successor."""
    taken = []
    for name in ("httpx", "httpx2"):
        with contextlib.suppress(ImportError, TypeError):
            library = importlib.import_module(name)
            with sdk.kind()(api_key="none", http_client=library.Client(verify=False)):
                taken.append(library)
    return taken


class Surfaces:
    """What nothing bounds, what is free, and other ways to a client."""

    @pytest.mark.parametrize("how", ["refused", "allowed", "covered"])
    def test_what_nothing_bounds(self, endpoint: str, how: str, bench: Bench, sdk: ClientSdk) -> None:
        """Refused with an error that tells both ways out: the word for `allow=`, and a hold that pays for it."""
        word, call = sdk.unbounded[endpoint]
        client, session = bench.paid("$1", allow=(word,) if how == "allowed" else ())
        if how == "refused":
            name = word.replace("-", "_")
            with pytest.raises(UnpriceableCall, match=f"allow=\\('{name}',\\)") as refused:
                bench.take(call, client)
            assert (refused.value.endpoint, bench.provider.arrivals) == (name, 0)
            assert (session.spent, session.reserved) == (0, 0)
        elif how == "allowed":
            assert bench.sent(call, client) == 1
            if endpoint in sdk.untold:  # a price of the user's own charges it
                assert session.spent == session.reserved == 0
            else:
                bench.assert_exact(session)
        else:
            with session.reserve(cost="$0.25"):
                assert bench.sent(call, client) == 1
            assert session.spent == (Decimal("0.25") if bench.provider.calls else 0)
            assert session.reserved == 0

    def test_what_is_free_passes_an_empty_budget(self, free: str, bench: Bench, sdk: ClientSdk) -> None:
        """No hold, no charge, one request: also where nothing is left, while what is paid is refused there."""
        client, session = bench.paid("$0")
        assert bench.sent(sdk.free[free], client) == 1
        assert session.report()["events"] == []
        with pytest.raises(BudgetExceeded):
            bench.ask(client)
        assert bench.provider.arrivals == 1

    @crossed
    @pytest.mark.seam
    def test_methods_taken_before_the_cover_are_covered(self, bench: Bench, sdk: ClientSdk) -> None:
        """A bound method, a resource and a copy from before `init` or `wrap_client` go through it."""
        client = bench.client()
        resource, post = sdk.resource(client), client.post
        create = resource.create
        session = bench.pay(client, "$1")
        bench.take(lambda _: create(**sdk.chat), client)
        bench.take(Surface(lambda _: resource.with_raw_response.create(**sdk.chat), "raw"), client)
        bench.take(lambda _: post(sdk.chat_path, body=sdk.chat, cast_to=object), client)
        bench.assert_exact(session)
        assert session.calls == 3

    @pytest.mark.parametrize("limit", ["$1", "$0.0001"])
    def test_a_http_client_of_the_callers_own(
        self, limit: str, way: Sync | Async, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """With its own transport, hooks and timeouts; it sees one request for each charge, and none that does not fit."""
        for library in http_libraries(sdk):
            seen: list[Any] = []

            async def see(request: Any, seen: list[Any] = seen) -> None:
                seen.append(request)

            hooks = {"request": [see if way.asynchronous else seen.append]}
            kind = library.AsyncClient if way.asynchronous else library.Client
            http_client = kind(event_hooks=hooks, timeout=9, verify=False)
            provider.reset()
            provider.rates = dict(sdk.rates)
            bench, session = Bench(sdk, provider, way, "wrap"), Budget(limit).session()
            client = bursar.wrap_client(bench.client(http_client=http_client), session)
            raw = Surface(lambda c: sdk.resource(c).with_raw_response.create(**sdk.chat), "raw")
            surfaces = [*sdk.settled.values(), raw, Surface(sdk.open, "opened")]
            for surface in surfaces:
                if limit == "$1":
                    bench.take(surface, client)
                else:
                    with pytest.raises(BudgetExceeded):
                        bench.take(surface, client)
            sent = len(surfaces) if limit == "$1" else 0
            assert len(seen) == provider.calls == provider.arrivals == session.calls == sent
            bench.assert_exact(session)
            way.run(client.close())

    def test_what_is_no_client_is_refused(self, client: Any) -> None:
        """`wrap_client` takes clients of the SDK, and `unwrap_client` those that are wrapped."""
        with pytest.raises(TypeError, match="object"):
            bursar.wrap_client(object(), Budget("$1").session())
        with pytest.raises(TypeError, match="not wrapped"):
            bursar.unwrap_client(client)

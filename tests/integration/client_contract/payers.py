"""Who pays in a context, and for a client that has a session of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

import bursar
from bursar import Budget, BudgetExceeded, BursarError, Session
from bursar.testing import ScriptedProvider

from .bench import Bench, Sync
from .process import methods
from .sdk import ClientSdk
from .surface import Surface, take


class Payers:
    """The session of the context, and that of one client."""

    def test_the_session_of_the_context_pays(self, client: Any, sdk: ClientSdk) -> None:
        """Instead of that of the process; nested ones inside out, and one that is entered twice."""
        of_process, outer, inner = bursar.init("$1"), Budget("$1").session(), Budget("$1").session()
        sdk.ask(client)
        with outer:
            sdk.ask(client)
            with inner, outer, inner:
                sdk.ask(client)
            assert bursar.get_session() is outer
            sdk.ask(client)
        sdk.ask(client)
        assert (of_process.calls, outer.calls, inner.calls) == (2, 2, 1)

    @pytest.mark.parametrize(("limit", "served"), [("$1", 2), ("$0", 0)])
    def test_a_session_covers_without_init(
        self, limit: str, served: int, client: Any, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """Inside it pays, also for a client from before; outside nobody does; `cover=False` leaves the SDK alone."""
        before = methods(sdk)
        with Budget(limit).session(cover=False) as quiet:
            sdk.ask(client)
            assert methods(sdk) == before
        with Budget(limit).session() as session, sdk.client(provider) as later:
            for asked in (client, later):
                if served:
                    sdk.ask(asked)
                else:
                    with pytest.raises(BudgetExceeded):
                        sdk.ask(asked)
        sdk.ask(client)
        assert (provider.arrivals, session.calls, quiet.calls) == (2 + served, served, 0)
        assert methods(sdk) != before
        assert bursar.teardown() is None and methods(sdk) == before

    def test_a_session_whose_cover_is_not_proven_sends_nothing(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, sdk: ClientSdk
    ) -> None:
        """The first call says so; outside of the session the SDK works, and `teardown` restores it."""

        def prove() -> None:
            raise BursarError("it is not covered")

        monkeypatch.setattr(sdk.patching, "prove", prove)
        before, client = methods(sdk), bench.client()
        with Budget("$1").session() as session, pytest.raises(BursarError, match="is not covered"):
            bench.ask(client)
        assert (bench.provider.arrivals, session.spent) == (0, 0)
        bench.ask(client)
        bursar.teardown()
        assert methods(sdk) == before and bench.provider.arrivals == 1

    def test_threads_and_tasks_have_their_own(self, provider: ScriptedProvider, sdk: ClientSdk) -> None:
        """A thread starts with the session of the process, a task with that of its parent; none sees another's."""
        of_process = bursar.init("$1")
        sessions = [Budget("$1").session() for _ in range(4)]

        def in_thread(session: Session) -> None:
            with sdk.client(provider) as client:
                sdk.ask(client)
                with session:
                    sdk.ask(client)

        async def in_task(client: Any, session: Session) -> None:
            async with session:
                await sdk.ask(client)
                await asyncio.create_task(sdk.ask(client))

        async def main() -> None:
            async with sdk.client(provider, asynchronous=True) as client:
                await asyncio.gather(*(in_task(client, session) for session in sessions))
                await sdk.ask(client)

        with sessions[0], ThreadPoolExecutor(4) as pool:
            list(pool.map(in_thread, sessions))
        asyncio.run(main())
        assert [session.calls for session in sessions] == [3, 3, 3, 3]
        assert of_process.calls == 5

    @pytest.mark.seam
    def test_a_wrapped_client_pays_by_itself_and_once(
        self, client: Any, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """Neither the process nor the context pays for it too; its copies are wrapped, and others are not."""
        bare = client.copy()
        of_process, of_context, own = bursar.init("$1"), Budget("$1").session(), Budget("$1").session()
        bursar.wrap_client(client, own)
        with of_context:
            sdk.ask(client)
            sdk.ask(client.with_options(max_retries=1).copy())
            sdk.ask(bare)
        assert (own.calls, of_context.calls, of_process.calls) == (2, 1, 0)
        assert own.spent + of_context.spent == provider.bill

    def test_a_wrapped_client_is_not_wrapped_for_another_session(self, client: Any, sdk: ClientSdk) -> None:
        """An error, and the first pays on; for the same one it is nothing; unwrapped, another may, or nobody does."""
        kind, shown = type(client), repr(type(client))
        first, second = Budget("$1").session(), Budget("$1").session()
        assert bursar.wrap_client(bursar.wrap_client(client, first), first) is client
        for wrapped in (client, client.copy()):
            with pytest.raises(BursarError, match=r"(?s)unwrap_client.*with session:"):
                bursar.wrap_client(wrapped, second)
        sdk.ask(client)
        assert isinstance(client, kind) and repr(type(client)) == shown
        assert bursar.unwrap_client(client) is client and type(client) is kind
        sdk.ask(client)
        sdk.ask(bursar.wrap_client(client, second))
        assert (first.calls, second.calls) == (1, 1)

    def test_to_wrap_leaves_the_classes_of_the_sdk_as_they_are(self, client: Any, sdk: ClientSdk) -> None:
        """While a client is wrapped, after it was used, and once it is unwrapped."""
        package = sdk.module.__name__

        def classes() -> dict[type, dict[str, Any]]:
            found, waiting = {}, [object]
            while waiting:
                for cls in type.__subclasses__(waiting.pop()):
                    if cls not in found:
                        found[cls] = dict(vars(cls)) if str(cls.__module__).startswith(f"{package}.") else {}
                        waiting.append(cls)
            return {
                cls: {name: own[name] for name in own if callable(own[name])}
                for cls, own in found.items()
                if own
            }

        sdk.ask(client)  # some classes are imported at the first call
        before = classes()
        sdk.ask(bursar.wrap_client(client, Budget("$1").session()))
        wrapped = classes()
        bursar.unwrap_client(client)
        after = classes()
        for cls, members in before.items():
            assert wrapped[cls] == members == after[cls], cls

    def test_a_subclass_of_the_users_own(self, provider: ScriptedProvider, sdk: ClientSdk) -> None:
        """With a `request` of its own, which calls the SDK's: one charge, and its behaviour stays."""
        seen = []

        class Mine(sdk.kind()):  # type: ignore[misc]
            def request(self, *args: Any, **kwargs: Any) -> Any:
                seen.append("mine")
                return super().request(*args, **kwargs)

        for cover in ("wrap", "init"):
            with Mine(base_url=getattr(provider, sdk.url), api_key="none", http_client=sdk.http()) as client:
                session = bursar.init("$1") if cover == "init" else Budget("$1").session()
                sdk.ask(client if cover == "init" else bursar.wrap_client(client, session))
                assert session.calls == 1
        bursar.teardown()
        assert seen == ["mine", "mine"] and provider.arrivals == 2

    @pytest.mark.parametrize("cover", ["wrap", "init"])
    def test_thirty_two_threads_over_one_client(
        self, cover: str, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """The bill never passes the limit, the ledger is the bill, and what was refused was not sent."""
        bench = Bench(sdk, provider, Sync(), cover)
        client = sdk.client(provider)
        session = bench.pay(client, "$0.15", clamp=False)
        *_, other = sdk.calls.values()
        refused = []

        def work(number: int) -> None:
            for call in range(20):
                try:
                    take(Surface(partial(sdk.ask, stream=True), "events") if call % 2 else other, client)
                except BudgetExceeded:
                    refused.append(number)

        with client, ThreadPoolExecutor(32) as pool:
            list(pool.map(work, range(32)))
        bursar.teardown()
        assert 0 < len(refused) < 640
        assert provider.calls == provider.arrivals == 640 - len(refused) == session.calls
        assert session.spent == provider.bill <= 0.15
        assert session.reserved == 0

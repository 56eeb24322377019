"""A process that is covered, and one that is restored; others who patch the same place."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest

import bursar
from bursar import BudgetExceeded, BursarError
from bursar.testing import ScriptedProvider

from .bench import Async, Bench, Sync
from .fixtures import crossed
from .sdk import ClientSdk

COVERED = (
    *("request", "_process_response", "_build_request", "_attempt_request"),
    *("_sleep_for_retry", "_retry_request"),  # of later and of earlier versions
)


def methods(sdk: ClientSdk) -> list[Any]:
    """Those of the base classes that are covered, as they are now."""
    return [vars(base).get(name) for base in sdk.bases for name in COVERED]


class Process:
    """`init` and `teardown`."""

    def test_to_cover_a_process_raises_no_alert(
        self, client: Any, caplog: pytest.LogCaptureFixture, sdk: ClientSdk
    ) -> None:
        """The call that proves the cover is nobody's: no log line tells of it; one of a budget's own does."""
        bursar.init("$0.00001")
        assert caplog.records == []
        with pytest.raises(BudgetExceeded):
            sdk.ask(client)
        assert [record.name for record in caplog.records] == ["bursar"]

    @pytest.mark.seam
    def test_two_lines_cover_every_client(
        self, client: Any, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """Clients from before `init` and from after it, here and in plain threads; `teardown` reports and restores."""
        before = methods(sdk)
        assert bursar.teardown() is None and bursar.get_session() is None
        session = bursar.init("$1", "100 calls")
        assert bursar.get_session() is session
        sdk.ask(client)
        with sdk.client(provider) as later:
            sdk.ask(later)
        thread = threading.Thread(target=sdk.ask, args=(client,))
        thread.start()
        thread.join()
        assert bursar.spent() == session.spent == provider.bill and bursar.remaining() == 1 - provider.bill
        assert bursar.report()["total_spent"] == float(provider.bill)
        assert methods(sdk) != before
        report = bursar.teardown()
        assert report is not None and report["breakdown"]["llm"]["calls"] == 3
        assert methods(sdk) == before and bursar.get_session() is None
        sdk.ask(client)
        assert session.calls == 3
        for question in (bursar.spent, bursar.remaining, bursar.report):
            with pytest.raises(BursarError, match="init"):
                question()

    @pytest.mark.seam
    @pytest.mark.parametrize("cover", ["bursar.init('$1')", "bursar.Budget('$1').session().__enter__()"])
    def test_an_sdk_that_is_imported_later_is_covered_then(self, cover: str, sdk: ClientSdk) -> None:
        """In a fresh process: nothing of ours imports the SDK, and its first import covers it."""
        name = sdk.module.__name__
        program = (
            f"import sys, bursar\nsession = {cover}\nassert {name!r} not in sys.modules\nimport {name}\n"
            f"import {sdk.adapter} as adapter\nassert adapter.patching._patched"
        )
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr

    def test_a_second_init_is_an_error(self, client: Any, provider: ScriptedProvider, sdk: ClientSdk) -> None:
        """The first one goes on paying; after `teardown` another begins at zero."""
        first = bursar.init("$1")
        with pytest.raises(BursarError, match="teardown"):
            bursar.init("$2")
        sdk.ask(client)
        assert first.spent == provider.bill
        bursar.teardown()
        assert bursar.init("$2").spent == 0
        bursar.teardown()

    def test_a_wrong_setting_covers_nothing(
        self, client: Any, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """What `Budget` refuses, `init` refuses, and leaves the SDK as it was."""
        before = methods(sdk)
        for wrong in ({"unknown_outcome": "best"}, {"allow": ("everything",)}, {"lease": -1}):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                bursar.init("$1", **wrong)
        assert methods(sdk) == before and bursar.get_session() is None
        sdk.ask(client)
        assert provider.calls == 1

    @pytest.mark.seam
    @pytest.mark.parametrize("broken", [0, 1], ids=["SyncAPIClient", "AsyncAPIClient"])
    def test_init_sees_that_it_covers(
        self, broken: int, monkeypatch: pytest.MonkeyPatch, sdk: ClientSdk
    ) -> None:
        """Where a base class does not let itself be covered, `init` says so instead of counting nothing."""
        before = methods(sdk)
        base, original = sdk.bases[broken], sdk.patching._methods

        def without_request(cls: type, *args: Any) -> Any:
            found = original(cls, *args)
            if cls is base:
                found["request"] = vars(base)["request"]
            return found

        monkeypatch.setattr(sdk.patching, "_methods", without_request)
        with pytest.raises(BursarError, match=f"{base.__name__} is not covered"):
            bursar.init("$1")
        assert methods(sdk) == before and bursar.get_session() is None

    @pytest.mark.seam
    def test_other_libraries_patch_the_same_place(
        self, client: Any, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """One that came before us and one that came after us both see the call; it is charged once, and all is restored."""
        seen = []
        base = sdk.bases[0]
        bare = base.request

        def below(self: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append("below")
            return bare(self, *args, **kwargs)

        base.request = below
        try:
            first = bursar.init("$1")
            ours = base.request

            def above(self: Any, *args: Any, **kwargs: Any) -> Any:
                seen.append("above")
                return ours(self, *args, **kwargs)

            base.request = above
            sdk.ask(client)
            assert (seen, first.calls) == (["above", "below"], 1)
            bursar.teardown()
            sdk.ask(client)
            assert (seen[2:], first.calls) == (["above", "below"], 1)
            again = bursar.init("$1")  # over the other library, under which ours still lies
            sdk.ask(client)
            list(sdk.ask(client, stream=True))
            assert (again.calls, again.reserved) == (2, 0)
            bursar.teardown()
            assert base.request is above
        finally:
            base.request = bare
        assert provider.arrivals == 4

    @pytest.mark.parametrize(("limit", "requests"), [("$1", 1), ("$0.0001", 0)])
    @pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
    def test_a_library_that_came_first_and_leads_around_us(
        self,
        asynchronous: bool,
        limit: str,
        requests: int,
        provider: ScriptedProvider,
        monkeypatch: pytest.MonkeyPatch,
        sdk: ClientSdk,
    ) -> None:
        """Tracers patch the client's class, and keep the base method of that moment: we cover them where they begin."""
        kind = sdk.kind(asynchronous=asynchronous)
        kept, traced = kind.request, []

        def tracing(self: Any, *args: Any, **kwargs: Any) -> Any:
            traced.append(self)
            return kept(self, *args, **kwargs)

        monkeypatch.setattr(kind, "request", tracing)
        session = bursar.init(limit)
        bench = Bench(sdk, provider, Async() if asynchronous else Sync(), "init")
        if requests:
            bench.ask(bench.client())
            bench.ask(bench.client(), stream=True)
        else:
            with pytest.raises(BudgetExceeded):
                bench.ask(bench.client())
        assert provider.arrivals == session.calls == len(traced) == 2 * requests
        bench.assert_exact(session)
        bursar.teardown()
        assert kind.request is tracing
        bench.close()

    @pytest.mark.parametrize("kind", [0, 1], ids=["SyncAPIClient", "AsyncAPIClient"])
    def test_init_sees_that_somebody_else_sends(
        self, kind: int, monkeypatch: pytest.MonkeyPatch, sdk: ClientSdk
    ) -> None:
        """A patch before us that passes nothing on: calls would be made unseen, so `init` fails, and restores all."""
        base = sdk.bases[kind]
        monkeypatch.setattr(base, "post", lambda self, *args, **kwargs: None)
        before = methods(sdk)
        with pytest.raises(BursarError, match=f"{base.__name__} is not covered"):
            bursar.init("$1")
        assert methods(sdk) == before and bursar.get_session() is None

    @crossed
    def test_a_request_method_that_was_taken_before(self, bench: Bench, sdk: ClientSdk) -> None:
        """Kept on the client by another library, it would go around the budget: it sends nothing until a hold pays."""
        client = bench.client()
        client.request = client.request
        session = bench.pay(client, "$1")
        with pytest.raises(BursarError, match="goes around its budget"):
            bench.ask(client)
        assert (bench.provider.arrivals, session.reserved) == (0, 0)
        with session.reserve(sdk.model, input_tokens=100, max_output_tokens=50) as hold:
            hold.settle(bench.ask(client))
        bench.assert_exact(session)
        bench.ask(client.copy())  # which has the method of its class
        assert session.calls == bench.provider.arrivals == 2
        bench.assert_exact(session)

    def test_starting_and_stopping_in_many_threads(self, client: Any, sdk: ClientSdk) -> None:
        """However `init` and `teardown` interleave, the SDK ends as it began."""
        before = methods(sdk)

        def often() -> None:
            for _ in range(20):
                try:
                    bursar.init("$1")
                except BursarError:
                    bursar.teardown()

        threads = [threading.Thread(target=often) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bursar.teardown()
        assert methods(sdk) == before

"""Somebody ends the program at any moment: no hold is lost, and nothing that may be on the bill is forgotten."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import bursar
from bursar import Budget
from bursar.store import MemoryStore
from bursar.testing import ManualClock, Reply, ScriptedProvider

from .sdk import ClientSdk
from .surface import Surface, take

LEASE_S = 60


def _traced(
    run: Callable[[], Any], homes: tuple[str, ...], interrupt_at: int | None
) -> dict[tuple[str, int], None]:
    """Run it, and raise `KeyboardInterrupt` at the first visit of the line below `homes` with this number."""
    seen: dict[tuple[str, int], None] = {}

    def trace(frame: Any, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(homes) or "/testing/" in file:
            return None
        where = (file, frame.f_lineno)
        if event == "line" and where not in seen:
            seen[where] = None
            if len(seen) - 1 == interrupt_at:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return seen


class Interrupts:
    """At any line of ours that a call passes."""

    # An interrupt that hits a generator while the collector closes it can be raised to nobody.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    @pytest.mark.parametrize("trouble", [None, Reply(drop="before_headers")], ids=["good", "retried"])
    @pytest.mark.parametrize("taken", ["value", "events"])
    def test_an_interrupt_at_any_line(
        self, taken: str, trouble: Reply | None, provider: ScriptedProvider, sdk: ClientSdk
    ) -> None:
        """What is held at any line of ours ends with the call, or with its lease; the ledger has at least the bill."""
        homes = tuple(
            str(Path(import_module(name).__file__ or "").parent) for name in ("bursar", sdk.adapter)
        )
        surface = Surface(partial(sdk.ask, stream=True) if taken == "events" else sdk.ask, taken)

        def once(bare: Any, interrupt_at: int | None) -> int:
            provider.reset()
            provider.always(Reply("ok", output_tokens=5))
            if trouble is not None:
                provider.script(trouble)
            clock = ManualClock(datetime(2026, 11, 1, tzinfo=timezone.utc))
            session = Budget("$1", store=MemoryStore(clock=clock), lease=LEASE_S, loop_window="1s").session()
            client = bare.copy()
            bursar.wrap_client(client, session)
            seen = 0
            try:
                seen = len(_traced(partial(take, surface, client), homes, interrupt_at))
            except KeyboardInterrupt:
                assert interrupt_at is not None
            del client
            if taken == "events":
                gc.collect()
            clock.advance(LEASE_S + 1)
            session.can_spend("$0.01")  # any step of the ledger
            assert session.reserved == 0
            assert session.spent * 10**9 >= provider.bill_nanos
            return seen

        with sdk.client(provider, max_retries=1) as bare:
            lines = once(bare, None)
            assert lines > 200
            gc.freeze()  # what is there already need not be looked through each time
            try:
                for line in range(0, lines, 12):
                    once(bare, line)
            finally:
                gc.unfreeze()

"""Somebody ends the program at any moment: no hold is lost, and nothing that may be on the bill is forgotten."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Any

import openai
import pytest

import bursar
from bursar import Budget
from bursar.store.memory import MemoryStore
from bursar.testing import ManualClock, Reply, ScriptedProvider

from .surfaces import SURFACES, take

LEASE_S = 60
PACKAGES = ("/bursar/", "/bursar_openai/")


def _traced(run: Callable[[], Any], interrupt_at: int | None) -> dict[tuple[str, int], None]:
    """Run it, and raise `KeyboardInterrupt` at the first visit of the line with this number."""
    seen: dict[tuple[str, int], None] = {}

    def trace(frame: Any, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if not any(package in file for package in PACKAGES) or "/testing/" in file:
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


@pytest.mark.parametrize("trouble", [None, Reply(drop="before_headers")], ids=["good", "retried"])
@pytest.mark.parametrize("surface", ["chat", "chat-stream"])
def test_an_interrupt_at_any_line(surface: str, trouble: Reply | None, provider: ScriptedProvider) -> None:
    """What is held at any line of ours ends with the call, or with its lease; the ledger has at least the bill."""
    http_client = openai.DefaultHttpxClient(verify=False)
    bare = openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=1, http_client=http_client)

    def once(interrupt_at: int | None) -> int:
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
            seen = len(_traced(partial(take, SURFACES[surface], client), interrupt_at))
        except KeyboardInterrupt:
            assert interrupt_at is not None
        del client
        if "stream" in surface:
            gc.collect()
        clock.advance(LEASE_S + 1)
        session.can_spend("$0.01")  # any step of the ledger
        assert session.reserved == 0
        assert session.spent * 10**9 >= provider.bill_nanos
        return seen

    lines = once(None)
    assert lines > 200
    gc.freeze()  # what is there already need not be looked through each time
    try:
        for line in range(0, lines, 12):
            once(line)
    finally:
        gc.unfreeze()

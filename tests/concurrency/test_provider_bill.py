"""Many threads and tasks on one budget; the judge is the bill of a provider that shares no code with us."""

from __future__ import annotations

import asyncio
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import pytest

from bursar import Budget, BudgetExceeded, Session
from bursar.store.memory import MemoryStore
from bursar.testing import Reply, ScriptedProvider

PROMPT = "Why is the sky blue, and why not violet?"


def send(provider: ScriptedProvider, max_tokens: int) -> dict[str, Any]:
    """One chat completion over real HTTP, without an SDK."""
    connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=30)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": max_tokens}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": "Bearer none"})
        answer = connection.getresponse()
        payload: dict[str, Any] = json.loads(answer.read())
        assert answer.status == 200, payload
        return payload
    finally:
        connection.close()


def call(session: Session, provider: ScriptedProvider, max_tokens: int = 100) -> bool:
    """One paid call under the session; False when it was refused."""
    try:
        hold = session.reserve(
            "gpt-4o", messages=[{"role": "user", "content": PROMPT}], max_output_tokens=max_tokens
        )
    except BudgetExceeded:
        return False
    with hold:
        hold.settle(send(provider, hold.max_output_tokens or 0))
    return True


@pytest.mark.parametrize("limit", ["$0.01", "$0.05", "$100"])
def test_64_threads_never_pass_the_limit_by_the_bill(limit: str) -> None:
    """Under a small limit calls are refused and the bill stays below; under a large one all 256 are sent."""
    with ScriptedProvider() as provider:
        store = MemoryStore()
        session = Budget(limit, store=store, max_repeated_calls=None).session()
        with ThreadPoolExecutor(64) as pool:
            admitted = sum(pool.map(lambda _: call(session, provider), range(256)))
        assert provider.hits == provider.calls == admitted
        assert provider.bill == session.spent <= Fraction(limit[1:])
        assert (admitted == 256) == (limit == "$100")
        # Nothing more fits: refused while less than one call's smallest worst case was left.
        assert admitted == 256 or session.report()["refusals"] == 256 - admitted > 0
    assert session.reserved == 0 and store.audit("default") == ()


def test_200_tasks_never_pass_the_limit_by_the_bill() -> None:
    """The async twins keep the same promise, with the provider asked from worker threads."""

    async def one(session: Session, provider: ScriptedProvider) -> bool:
        try:
            async with session.areserve("gpt-4o", messages=PROMPT, max_output_tokens=100) as hold:
                await hold.asettle(await asyncio.to_thread(send, provider, hold.max_output_tokens))
                return True
        except BudgetExceeded:
            return False

    async def main(session: Session, provider: ScriptedProvider) -> int:
        return sum(await asyncio.gather(*(one(session, provider) for _ in range(200))))

    with ScriptedProvider() as provider:
        session = Budget("$0.05", max_repeated_calls=None).session()
        admitted = asyncio.run(main(session, provider))
        assert provider.calls == provider.hits == admitted
        assert 0 < admitted < 200 and provider.bill == session.spent <= Fraction("0.05")
    assert session.reserved == 0


def test_the_harshest_tokenizer_stays_within_the_hold() -> None:
    """A provider that bills one token for every byte never exceeds what was held."""
    with ScriptedProvider(bytes_per_token=1) as provider:
        session = Budget("$1").session()
        for text in ("hello", "Привет, мир", "日本語のテキスト", "🦊" * 50, "a" * 5000, '{"k": [1, 2, 3]}'):
            messages = [{"role": "system", "content": text}, {"role": "user", "content": text}]
            hold = session.reserve("gpt-4o", messages=messages, max_output_tokens=50)
            connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=30)
            body = {"model": "gpt-4o", "messages": messages, "max_tokens": 50}
            connection.request(
                "POST", "/v1/chat/completions", json.dumps(body), {"Authorization": "Bearer none"}
            )
            charge = hold.settle(json.loads(connection.getresponse().read()))
            connection.close()
            assert charge.overrun == 0 and not charge.estimated and charge.usage is not None
            assert charge.usage.input_tokens >= 2 * len(text.encode())
        assert session.spent == provider.bill


def test_the_judge_sees_a_wrong_price() -> None:
    """With a price planted in the library, too low or too high, the ledger is not what the provider bills."""
    for price, agrees in (((2.5, 10), True), ((2.5, 9.99), False), ((2.6, 10), False)):
        with ScriptedProvider() as provider:
            session = Budget("$1", prices={"gpt-4o": price}).session()
            assert call(session, provider)
            assert (session.spent == provider.bill) is agrees


def test_hidden_billing_is_an_overrun_and_blocks() -> None:
    """A provider that bills more than the worst case is booked whole; the next call is never sent."""
    with ScriptedProvider() as provider:
        provider.script(Reply(input_tokens=100_000))
        session = Budget("$0.05").session()
        assert call(session, provider)
        assert session.spent == provider.bill > Fraction("0.05")
        assert not call(session, provider) and provider.hits == 1
        assert session.report()["overruns"]["count"] == 1

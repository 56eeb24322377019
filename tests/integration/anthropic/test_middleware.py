"""The middleware of later versions of the SDK: whatever it sends is held before, and nothing else is charged."""

from __future__ import annotations

import gc
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anthropic
import pytest
from anthropic import Middleware

import bursar
from bursar import BudgetExceeded, UnpriceableCall
from bursar.testing import Reply

from ..client_contract.bench import Bench
from .surfaces import ASKED, CHAT, Surface

WAYS: dict[str, Surface] = {
    "whole": Surface(lambda c: c.messages.create(**CHAT)),
    "stream": Surface(lambda c: c.messages.create(**CHAT, stream=True), "events"),
    "raw": Surface(lambda c: c.messages.with_raw_response.create(**CHAT), "raw"),
    "opened": Surface(lambda c: c.messages.with_streaming_response.create(**CHAT), "opened"),
}
OTHER = "claude-haiku-4-5"
ONE_HOLD, TWO_HOLDS = "$0.0012", "$0.0024"


class Between(Middleware):
    """Calls what comes next with each of some requests, and returns the last answer.

    Args:
        requests: made of the one that the caller sent.
        until_good: stop at the first good answer, and go on after an error.
    """

    def __init__(self, *requests: Callable[[Any], Any], until_good: bool = False) -> None:
        self.requests = requests
        self.until_good = until_good

    def handle(self, request: Any, call_next: Any) -> Any:
        answer = None
        for made in self.requests:
            try:
                answer = call_next(made(request))
            except anthropic.APIError:
                if not self.until_good:
                    raise
            else:
                if self.until_good and answer.http_response.is_success:
                    break
        return answer

    async def handle_async(self, request: Any, call_next: Any) -> Any:
        answer = None
        for made in self.requests:
            try:
                answer = await call_next(made(request))
            except anthropic.APIError:
                if not self.until_good:
                    raise
            else:
                if self.until_good and answer.http_response.is_success:
                    break
        return answer


def same(request: Any) -> Any:
    return request


def dearer(request: Any) -> Any:
    return request.copy(body={**request.json, "max_tokens": 500})


def elsewhere(request: Any) -> Any:
    return request.copy(body={**request.json, "model": OTHER})


@pytest.mark.parametrize("limit", ["$1", "$0.0000001"])
@pytest.mark.parametrize("taken", WAYS)
def test_middleware_that_passes_on(taken: str, limit: str, bench: Bench) -> None:
    """One request and one exact charge; or none, and the refusal itself."""
    client, session = bench.paid(limit)
    through = client.with_middleware(Between(same))
    if limit == "$1":
        bench.take(WAYS[taken], through)
        assert (bench.provider.arrivals, session.calls) == (1, 1)
    else:
        with pytest.raises(BudgetExceeded) as refused:
            bench.take(WAYS[taken], through)
        assert type(refused.value) is BudgetExceeded and bench.provider.arrivals == 0
    bench.assert_exact(session)


@pytest.mark.parametrize("limit", [ONE_HOLD, "$0.0000001"])
def test_middleware_that_has_an_answer_of_its_own(limit: str, bench: Bench) -> None:
    """From a cache, say: nothing is sent, so nothing is charged, and the hold is given back; it was held all the same."""
    client, session = bench.paid(limit, clamp=False)
    cached = bench.keep(client.with_middleware(Between()))
    for _ in range(3):
        if limit == ONE_HOLD:
            assert bench.take(WAYS["whole"], cached) is None
        else:
            with pytest.raises(BudgetExceeded):
                bench.take(WAYS["whole"], cached)
    assert (bench.provider.arrivals, session.spent, session.reserved, session.calls) == (0, 0, 0, 0)


@pytest.mark.parametrize(("limit", "sent"), [("$1", 3), (ONE_HOLD, 1), ("$0.0000001", 0)])
@pytest.mark.parametrize("taken", WAYS)
def test_middleware_that_sends_several_times(taken: str, limit: str, sent: int, bench: Bench) -> None:
    """Each request is held by itself; the one that does not fit is not sent, and those that were are charged."""
    client, session = bench.paid(limit, clamp=False)
    through = client.with_middleware(Between(same, same, same))
    if sent == 3:
        bench.take(WAYS[taken], through)
    else:
        with pytest.raises(BudgetExceeded) as refused:
            bench.take(WAYS[taken], through)
        assert type(refused.value) is BudgetExceeded
    gc.collect()  # nobody reads the streams that middleware throws away: they end in doubt
    assert session.reserved == 0 and session.spent * 10**9 >= bench.provider.bill_nanos
    assert (bench.provider.arrivals, session.calls) == (sent, sent)
    if taken in ("whole", "raw"):
        bench.assert_exact(session)


@pytest.mark.parametrize(("change", "limit"), [(same, "$0.0020"), (dearer, "$0.0082")])
@pytest.mark.parametrize("enough", [True, False])
def test_middleware_that_changes_the_request(
    enough: bool, change: Callable[[Any], Any], limit: str, bench: Bench
) -> None:
    """What is sent is what is held: a larger cap needs a larger hold, or is not sent."""
    if not enough:
        limit = "$0.0009" if change is same else "$0.0020"
    client, session = bench.paid(limit, clamp=False)
    through = client.with_middleware(Between(change))
    bench.provider.script(Reply(output_tokens=400))
    if enough:
        bench.take(WAYS["whole"], through)
        assert bench.provider.served[0].output_tokens == (50 if change is same else 400)
        assert session.report()["overruns"]["count"] == 0
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(WAYS["whole"], through)
    assert bench.provider.arrivals == int(enough)
    bench.assert_exact(session)


def test_middleware_that_asks_for_what_nothing_bounds(bench: Bench) -> None:
    """Where the caller asked for something priced, and middleware makes it something else: refused."""
    client, session = bench.paid("$1")
    tool = {"type": "code_execution_20250825", "name": "code_execution"}
    through = client.with_middleware(Between(lambda r: r.copy(body={**r.json, "tools": [tool]})))
    with pytest.raises(UnpriceableCall, match="code_execution"):
        bench.take(WAYS["whole"], through)
    assert bench.provider.arrivals == 0
    bench.assert_exact(session)
    bench.take(WAYS["whole"], client.with_middleware(Between(elsewhere)))
    assert bench.provider.served[0].model == OTHER
    bench.assert_exact(session)


@pytest.mark.parametrize("status", [429, 529, 500])
@pytest.mark.parametrize("taken", WAYS)
def test_middleware_that_repeats_errors(taken: str, status: int, bench: Bench) -> None:
    """An error answer costs nothing, so the next request is sent on the same hold."""
    client, session = bench.paid(ONE_HOLD, clamp=False)
    bench.provider.script(Reply(status=status), Reply(status=status))
    bench.take(WAYS[taken], client.with_middleware(Between(same, same, same, until_good=True)))
    assert (bench.provider.arrivals, session.calls) == (3, 1)
    bench.assert_exact(session)


@pytest.mark.parametrize(("limit", "sent"), [(TWO_HOLDS, 2), (ONE_HOLD, 1)])
@pytest.mark.parametrize("trouble", ["lost", 408, 504])
def test_middleware_that_repeats_what_is_in_doubt(trouble: Any, limit: str, sent: int, bench: Bench) -> None:
    """The first request may be on the bill: it stays counted, and the next one needs another hold."""
    client, session = bench.paid(limit, clamp=False)
    lost = Reply(drop="before_headers")
    bench.provider.script(lost if trouble == "lost" else Reply(status=trouble, billed=True))
    through = client.with_middleware(Between(same, same, until_good=True))
    if sent == 2:
        bench.take(WAYS["whole"], through)
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(WAYS["whole"], through)
    assert (bench.provider.arrivals, session.reserved) == (sent, 0)
    assert session.spent * 10**9 >= bench.provider.bill_nanos > 0
    assert session.spent <= bursar.Limit(limit).amount


@pytest.mark.parametrize(("limit", "sent"), [(TWO_HOLDS, 2), (ONE_HOLD, 1)])
def test_the_sdk_repeats_below_middleware(limit: str, sent: int, bench: Bench) -> None:
    """Its own retries go through middleware anew, and are held anew where the last attempt is in doubt."""
    client, session = bench.paid(limit, clamp=False, client={"max_retries": 2})
    bench.provider.script(Reply(drop="before_headers"))
    through = client.with_middleware(Between(same))
    if sent == 2:
        bench.take(WAYS["whole"], through)
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(WAYS["whole"], through)
    assert (bench.provider.arrivals, session.calls, session.reserved) == (sent, sent, 0)
    assert session.spent * 10**9 >= bench.provider.bill_nanos


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("limit", "sent"), [("$1", 2), (ONE_HOLD, 1)])
def test_the_fallbacks_of_the_sdk(limit: str, sent: int, stream: bool, bench: Bench) -> None:
    """A refusal of the model's is answered by another model: two requests, two charges, each at its own price.

    A stream falls back while it is read, when the request itself is over long since; and there the SDK
    gives the model's refusal to the caller, if the fallback cannot be paid.
    """
    from anthropic.lib.middleware import BetaRefusalFallbackMiddleware

    fallbacks: Any = [{"model": "claude-opus-4-8", "max_tokens": 60}]
    client, session = bench.paid(limit, clamp=False)
    through = client.with_middleware(BetaRefusalFallbackMiddleware(fallbacks))
    bench.provider.script(Reply("", output_tokens=2, finish_reason="refusal"), Reply("yes"))
    call = Surface(lambda c: c.beta.messages.create(**CHAT, stream=stream), "events" if stream else "value")
    if sent == 2:
        bench.take(call, through)
        assert [served.model for served in bench.provider.served] == ["claude-sonnet-4-5", "claude-opus-4-8"]
    elif stream:
        assert bench.take(call, through)[-2].delta.stop_reason == "refusal"
        assert session.report()["refusals"] == 1
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(call, through)
    assert (bench.provider.arrivals, session.calls) == (sent, sent)
    bench.assert_exact(session)


def test_middleware_of_a_client_that_nobody_pays_for(bench: Bench) -> None:
    """It works as ever, also for what is free."""
    client, session = bench.paid("$1")
    bursar.teardown()
    bare = bench.keep(bench.client().with_middleware(Between(same, same)))
    bench.take(WAYS["whole"], bare)
    free = client.with_middleware(Between(same, same))
    bench.take(lambda c: c.messages.count_tokens(model=CHAT["model"], messages=ASKED), free)
    assert (bench.provider.arrivals, session.calls, session.spent) == (4, 0, Decimal(0))

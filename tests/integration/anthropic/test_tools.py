"""Tools of the caller's, and what only the provider has: stored input, and tools that it runs itself."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from anthropic.resources.beta.messages import Messages as BetaMessages

from bursar import BudgetExceeded, UnpriceableCall
from bursar.testing import Reply, ToolCall

from ..client_contract.bench import Bench
from ..client_contract.tools import Tools
from .sdk import HIDDEN, WITHOUT_A_BOUND, asking, saying
from .surfaces import CHAT, MODEL, Surface


class TestTools(Tools):
    """Agents, hidden input, and what runs without a bound."""


WINDOW_NANOS = 200_000 * 3_000  # claude-sonnet-4-5: what its whole context window costs


if hasattr(BetaMessages, "tool_runner"):  # younger than the floor

    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    @pytest.mark.parametrize(("limit", "requests"), [("$1", 3), ("$0.009", 1), ("$0.0001", 0)])
    def test_a_tool_runner(limit: str, requests: int, stream: bool, bench: Bench) -> None:
        """The SDK's own loop: one charge for each turn, and the turn that does not fit is not sent."""
        client, session = bench.paid(limit, clamp=False)
        again = Reply(tool_calls=[ToolCall("look_up", {"place": "Oslo"})])
        bench.provider.script(again, again, Reply("sunny"))

        def look_up(place: str) -> str:
            """Tell the weather of a place."""
            return "sunny " * 300

        async def alook_up(place: str) -> str:
            """Tell the weather of a place."""
            return look_up(place)

        alook_up.__name__ = "look_up"
        tool: Any = (
            anthropic.beta_async_tool(alook_up) if bench.way.asynchronous else anthropic.beta_tool(look_up)
        )

        def run(client: Any) -> Any:
            runner = client.beta.messages.tool_runner(**CHAT, tools=[tool], stream=stream)
            return arun(runner) if bench.way.asynchronous else [spent(turn) for turn in runner]

        def spent(turn: Any) -> Any:
            return turn.get_final_message() if stream else turn

        async def arun(runner: Any) -> Any:
            return [await turn.get_final_message() if stream else turn async for turn in runner]

        if requests == 3:
            assert len(bench.take(run, client)) == 3
        else:
            with pytest.raises(BudgetExceeded):
                bench.take(run, client)
        assert (bench.provider.arrivals, session.calls) == (requests, requests)
        bench.assert_exact(session)


# -- input that the request does not contain ------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("limit", "sent"), [("$1.50", 3), ("$0.15", 1)])
def test_a_thread_is_held_by_what_it_amounts_to(limit: str, sent: int, stream: bool, bench: Bench) -> None:
    """Who continues from a message that was seen here needs no context window for it: its tokens are known."""
    client, session = bench.paid(limit, clamp=False)
    bench.provider.script(Reply(input_tokens=40_000))
    taken = "events" if stream else "value"

    def turn(**thread: Any) -> str:
        body = {**CHAT, "stream": stream}
        answer = bench.take(
            Surface(lambda c: c.messages.create(**body, extra_body={"thread": thread}), taken), client
        )
        return str(answer[0].message.id if stream else answer.id)

    first = turn(type="create")
    if sent == 1:
        with pytest.raises(BudgetExceeded) as refused:
            turn(type="continue", previous_message_id=first)
        assert refused.value.asked < 0.5  # a window costs more than a dollar
    else:
        second = turn(type="continue", previous_message_id=first)
        turn(type="continue", previous_message_id=second)
        assert [served.input_tokens > 40_000 for served in bench.provider.served[1:]] == [True, True]
        assert session.report()["overruns"]["count"] == 1  # of the first, whose bytes were few
    assert bench.provider.arrivals == sent
    bench.assert_exact(session)


@pytest.mark.parametrize("where", ["headers", "client", "argument"])
@pytest.mark.parametrize("limit", ["$9", "$2"], ids=["enough", "too-little"])
def test_a_longer_context_window_is_held_whole(limit: str, where: str, bench: Bench) -> None:
    """The beta of a million tokens, wherever it is asked for: all of it may be read, at the price of long input."""
    bench.provider.rates[MODEL] = type(bench.provider.rates[MODEL])("6", "22.50")
    bench.provider.always(Reply("ok", hidden_tokens=900_000))
    beta = {"anthropic-beta": "context-1m-2025-08-07"}
    of_client = {"default_headers": beta} if where == "client" else {}
    client, session = bench.paid(limit, clamp=False, client=of_client)
    body = {**CHAT, **HIDDEN["document file"]}
    call = {
        "headers": Surface(lambda c: c.messages.create(**body, extra_headers=beta)),
        "client": Surface(lambda c: c.messages.create(**body)),
        "argument": Surface(lambda c: c.beta.messages.create(**body, betas=["context-1m-2025-08-07"])),
    }[where]
    if limit == "$9":
        bench.take(call, client)
        assert session.report()["overruns"]["count"] == 0
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(call, client)
        assert bench.provider.arrivals == 0
    bench.assert_exact(session)


@pytest.mark.parametrize(
    "source",
    [
        {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" * 2_000},
        {"type": "url", "url": "http://127.0.0.1/sky.png"},
        {"type": "file", "file_id": "file_1"},
    ],
    ids=["bytes", "url", "file"],
)
@pytest.mark.parametrize(("limit", "requests"), [("$0.007", 1), ("$0.005", 0)])
def test_a_picture_costs_no_more_than_the_largest(
    limit: str, requests: int, source: Any, bench: Bench
) -> None:
    """It is made smaller until it is 1,600 tokens at the most, whatever its bytes, and wherever they are."""
    bench.provider.always(Reply("ok", hidden_tokens=1_600 - 765))  # the provider counts 765 by itself
    client, session = bench.paid(limit, clamp=False)
    call = asking(messages=saying({"type": "image", "source": source}))
    if requests:
        bench.take(call, client)
        assert bench.provider.served[0].input_tokens > 1_600
        assert session.report()["overruns"]["count"] == 0
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(call, client)
    assert bench.provider.arrivals == requests
    bench.assert_exact(session)


# -- tools that run at the provider -----------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("limit", ["$9", "$1.50"], ids=["enough", "too-little"])
@pytest.mark.parametrize("tool", ["web_search_20250305", "web_search_20260318", "web_fetch_20250910"])
def test_a_search_is_held_with_each_run_and_each_reading(
    tool: str, limit: str, stream: bool, bench: Bench
) -> None:
    """Two runs: three readings of the window at the worst, and two fees; charged is what ran."""
    ran = tool[:-9]
    bench.provider.always(Reply("ok", hidden_tokens=60_000, runs={ran: 5}))
    client, session = bench.paid(limit, clamp=False)
    tools: Any = [{"type": tool, "name": ran, "max_uses": 2}]
    call = Surface(
        lambda c: c.messages.create(**CHAT, tools=tools, stream=stream), "events" if stream else "value"
    )
    if limit == "$9":
        bench.take(call, client)
        (served,) = bench.provider.served
        assert served.tokens.runs == {ran: 2} and served.input_tokens > 180_000
        assert session.report()["overruns"]["count"] == 0
    else:
        with pytest.raises(BudgetExceeded) as refused:
            bench.take(call, client)
        assert refused.value.asked * 10**9 >= 3 * WINDOW_NANOS  # type: ignore[operator]
        assert bench.provider.arrivals == 0
    bench.assert_exact(session)


@pytest.mark.parametrize(
    "tool", ["bash_20250124", "text_editor_20250728", "computer_20250124", "memory_20250818"]
)
@pytest.mark.parametrize(("limit", "requests"), [("$0.012", 1), ("$0.004", 0)])
def test_tools_whose_schema_the_provider_has(tool: str, limit: str, requests: int, bench: Bench) -> None:
    """They run here, and what the provider adds for them is held, too."""
    bench.provider.always(Reply("ok", hidden_tokens=700))
    client, session = bench.paid(limit, clamp=False)
    call = asking(tools=[{"type": tool, "name": tool[:-9]}])
    if requests:
        bench.take(call, client)
        assert session.report()["overruns"]["count"] == 0
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(call, client)
    assert bench.provider.arrivals == requests
    bench.assert_exact(session)


def test_no_prompt_is_in_an_error(sync_bench: Bench) -> None:
    """What is refused is named, what was asked is not."""
    client, _ = sync_bench.paid("$0.0000001", clamp=False)
    secret = "the launch code is 0000"
    for members, _ in WITHOUT_A_BOUND.values():
        with pytest.raises(UnpriceableCall) as unpriced:
            client.post("/v1/messages", body={**CHAT, "system": secret, **members}, cast_to=object)
        assert secret not in json.dumps([str(unpriced.value), repr(unpriced.value)])
    with pytest.raises(BudgetExceeded) as refused:
        client.messages.create(**CHAT, system=secret)
    assert secret not in str(refused.value)
    assert sync_bench.provider.arrivals == 0


@pytest.mark.parametrize(
    ("limit", "runs"), [("$3.90", 8), ("$2.30", 4), ("$1.40", 2), ("$0.90", 1), ("$0.50", 0)]
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_without_a_bound_is_given_the_largest_that_fits(
    stream: bool, limit: str, runs: int, bench: Bench
) -> None:
    """8, 4, 2 or 1 uses in one request, which count as lowered; a tool with a bound of its own keeps it."""
    bench.provider.always(Reply("ok", hidden_tokens=30_000, runs={"web_search": 9}))
    client, session = bench.paid(limit)
    tools: Any = [{"type": "web_search_20250305", "name": "web_search"}]
    call = Surface(
        lambda c: c.messages.create(**{**CHAT, "model": "claude-haiku-4-5"}, tools=tools, stream=stream),
        "events" if stream else "value",
    )
    if not runs:
        with pytest.raises(BudgetExceeded, match="one run of the provider's tools"):
            bench.take(call, client)
        assert bench.provider.arrivals == 0
    else:
        bench.take(call, client)
        (served,) = bench.provider.served
        assert served.body["tools"][0]["max_uses"] == runs and "max_uses" not in tools[0]
        report = session.report()
        assert (report["clamped"], report["truncated"], report["overruns"]["count"]) == (1, 1, 0)
    bench.assert_exact(session)

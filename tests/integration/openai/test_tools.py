"""Tools of the caller's, and what only the provider has: stored input, and tools that it runs itself."""

from __future__ import annotations

from typing import Any

import pytest

import bursar
from bursar import Budget, BudgetExceeded, UnpriceableCall
from bursar.testing import Rate, Reply

from ..client_contract.bench import Bench
from ..client_contract.tools import Tools
from .surfaces import ASKED, CHAT, RESPONSE, Surface


class TestTools(Tools):
    """Agents, hidden input, and what runs without a bound."""


WINDOW_NANOS = 128_000 * 2_500  # gpt-4o: what its whole context window costs


# -- input that the request does not contain ------------------------------------------------------------


@pytest.mark.parametrize("limit", ["$2", "$0.90"], ids=["enough", "too-little"])
def test_a_stored_prompt_may_have_tools(limit: str, bench: Bench) -> None:
    """Whoever bounds their calls has each reading of the window held."""
    bench.provider.always(Reply("ok", hidden_tokens=40_000, runs={"web_search": 5}))
    client, session = bench.paid(limit, clamp=False)
    body = {**RESPONSE, "prompt": {"id": "pmpt_1"}, "max_tool_calls": 2}
    call = Surface(lambda c: c.post("/responses", body=body, cast_to=object))
    if limit == "$2":
        bench.take(call, client)
        assert bench.provider.served[0].input_tokens > 120_000
        assert session.report()["overruns"]["count"] == 0
    else:
        with pytest.raises(BudgetExceeded) as refused:
            bench.take(call, client)
        assert refused.value.asked * 10**9 >= 3 * WINDOW_NANOS  # type: ignore[operator]
        assert bench.provider.arrivals == 0
    bench.assert_exact(session)


PICTURES: dict[str, Surface] = {
    "chat": Surface(
        lambda c: c.chat.completions.create(
            **{**CHAT, "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y"}}]}]}
        )
    ),
    "responses": Surface(
        lambda c: c.responses.create(
            **{**RESPONSE, "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x/y"}]}]}
        )
    ),
    "responses-file": Surface(
        lambda c: c.responses.create(
            **{**RESPONSE, "input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}]}
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("limit", ["$1", "$0.003"], ids=["enough", "too-little"])
@pytest.mark.parametrize("surface", PICTURES)
def test_a_picture_is_held_at_the_most_that_one_can_cost(surface: str, limit: str, bench: Bench) -> None:
    """By its URL or its id it is a few bytes here, and 1,445 tokens there at the most."""
    bench.provider.always(Reply("ok", hidden_tokens=1_445 - 765))
    client, session = bench.paid(limit, clamp=False)
    if limit == "$1":
        bench.take(PICTURES[surface], client)
        assert bench.provider.served[0].input_tokens > 1_445
        assert session.report()["overruns"]["count"] == 0
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(PICTURES[surface], client)
        assert bench.provider.arrivals == 0
    bench.assert_exact(session)


@pytest.mark.parametrize("limit", ["$1", "$0.30"], ids=["enough", "too-little"])
def test_what_the_model_said_aloud_is_no_shorter_than_it_was(limit: str, sync_bench: Bench) -> None:
    """An earlier answer in sound is sent by its id, and read whole."""
    sync_bench.provider.always(Reply("ok", hidden_tokens=100_000))
    prices = {"gpt-4o": bursar.Price("2.50", 10, audio_input="2.50", context_window=128_000)}
    client, session = sync_bench.paid(limit, clamp=False, prices=prices)
    messages: Any = [*ASKED, {"role": "assistant", "audio": {"id": "audio_1"}}, *ASKED]
    if limit == "$1":
        client.chat.completions.create(**{**CHAT, "messages": messages})
        assert session.report()["overruns"]["count"] == 0
    else:
        with pytest.raises(BudgetExceeded):
            client.chat.completions.create(**{**CHAT, "messages": messages})
        assert sync_bench.provider.arrivals == 0
    sync_bench.assert_exact(session)


@pytest.mark.parametrize("limit", ["$9", "$0.30"], ids=["enough", "too-little"])
def test_a_chain_of_responses_is_billed_whole_each_time(limit: str, bench: Bench) -> None:
    """`previous_response_id` makes all that went before input: held at the window, charged at what it was."""
    client, session = bench.paid(limit, clamp=False)
    bench.provider.script(Reply("ok", input_tokens=50_000, output_tokens=50))
    first = bench.take(lambda c: c.responses.create(**RESPONSE), client)
    follow = Surface(lambda c: c.responses.create(**RESPONSE, previous_response_id=first.id))
    if limit == "$9":
        bench.take(follow, client)
        assert bench.provider.served[1].input_tokens > 50_000
        assert session.report()["overruns"]["count"] == 1  # of the first, whose bytes were few
    else:
        with pytest.raises(BudgetExceeded):
            bench.take(follow, client)
        assert bench.provider.arrivals == 1
    bench.assert_exact(session)


@pytest.mark.parametrize("part", ["file", "input_audio"])
@pytest.mark.parametrize("limit", ["$1", "$0.30"], ids=["enough", "too-little"])
def test_files_and_sound_in_a_chat(part: str, limit: str, sync_bench: Bench) -> None:
    """Parts whose tokens cannot be counted are held at the window, too."""
    sync_bench.provider.always(Reply("ok", hidden_tokens=100_000))
    content = [{"type": "text", "text": "Read it."}, {"type": part, part: {"file_id": "file-1"}}]
    prices = {
        "gpt-4o": bursar.Price("2.50", 10, audio_input="2.50", context_window=128_000, cache_write="2.50")
    }
    client, session = sync_bench.paid(limit, clamp=False, prices=prices)
    body: Any = {**CHAT, "messages": [{"role": "user", "content": content}]}
    if limit == "$1":
        client.chat.completions.create(**body)
        assert session.report()["overruns"]["count"] == 0
    else:
        with pytest.raises(BudgetExceeded):
            client.chat.completions.create(**body)
        assert sync_bench.provider.arrivals == 0
    sync_bench.assert_exact(session)


# -- tools that run at the provider -----------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["$2", "$0.90"], ids=["enough", "too-little"])
@pytest.mark.parametrize(
    "tool", ["web_search", "web_search_preview", "web_search_preview_2025_03_11", "file_search"]
)
def test_a_search_is_held_with_each_run_and_each_reading(tool: str, limit: str, bench: Bench) -> None:
    """Two runs: three readings of the window at the worst, and two fees; charged is what ran."""
    ran = "file_search" if tool == "file_search" else "web_search"
    bench.provider.always(Reply("ok", hidden_tokens=40_000, runs={ran: 5}))
    client, session = bench.paid(limit, clamp=False)
    body = {**RESPONSE, "tools": [{"type": tool}], "max_tool_calls": 2}
    call = Surface(lambda c: c.post("/responses", body=body, cast_to=object))
    if limit == "$2":
        bench.take(call, client)
        (served,) = bench.provider.served
        assert served.tokens.runs == {ran: 2} and served.input_tokens > 120_000
        assert session.report()["overruns"]["count"] == 0
    else:
        with pytest.raises(BudgetExceeded) as refused:
            bench.take(call, client)
        assert refused.value.asked * 10**9 >= 3 * WINDOW_NANOS  # type: ignore[operator]
        assert bench.provider.arrivals == 0
    bench.assert_exact(session)


@pytest.mark.parametrize("how", ["refused", "covered"])
@pytest.mark.parametrize(
    "member",
    [
        {"models": ["a/b", "c/d"]},
        {"plugins": [{"id": "web"}]},
        {"search_parameters": {"mode": "on"}},
        {"web_search_options": {}},
    ],
)
def test_what_other_hosts_may_add(member: dict[str, Any], how: str, bench: Bench) -> None:
    """Another model that answers instead, a search that nobody bounds: refused with the way out, or paid beforehand."""
    client, session = bench.paid("$9")
    call = Surface(lambda c: c.chat.completions.create(**CHAT, extra_body=member))
    if how == "refused":
        with pytest.raises(UnpriceableCall, match="session.reserve\\(cost="):
            bench.take(call, client)
        assert (bench.provider.arrivals, session.reserved) == (0, 0)
    else:
        with session.reserve("gpt-4o", cost="$0.50"):
            bench.take(call, client)
        assert bench.provider.arrivals == 1
    bench.assert_exact(session)


def test_a_run_without_a_price_is_refused_with_the_way_out(sync_bench: Bench) -> None:
    """How often it runs is bounded, what a run costs is not."""
    client, _ = sync_bench.paid("$9")
    tools: Any = [{"type": "code_interpreter", "container": {"type": "auto"}}]
    with pytest.raises(UnpriceableCall, match="code_interpreter.*cost="):
        client.post("/responses", body={**RESPONSE, "tools": tools, "max_tool_calls": 1}, cast_to=object)
    assert sync_bench.provider.arrivals == 0


@pytest.mark.parametrize(("limit", "requests"), [("$0.40", 1), ("$0.34", 0)])
def test_a_model_that_searches_by_itself(limit: str, requests: int, sync_bench: Bench) -> None:
    """A fee for each call, and results that come as input: both are held, both are charged."""
    model = "gpt-4o-search-preview"
    sync_bench.provider.rates[model] = Rate("2.50", "10", runs={"search": "0.025"})
    sync_bench.provider.always(Reply("ok", hidden_tokens=8_000, runs={}))
    session = Budget(limit, clamp=False).session()
    client = bursar.wrap_client(sync_bench.client(), session)
    body: Any = {**CHAT, "model": model, "web_search_options": {}}
    if requests:
        client.chat.completions.create(**body)
        fee = 25_000_000
        assert session.spent * 10**9 == sync_bench.provider.bill_nanos + fee
    else:
        with pytest.raises(BudgetExceeded):
            client.chat.completions.create(**body)
    assert (sync_bench.provider.arrivals, session.reserved) == (requests, 0)


@pytest.mark.parametrize(("limit", "runs"), [("$3", 8), ("$2", 4), ("$1", 2), ("$0.70", 1), ("$0.60", 0)])
def test_a_tool_without_a_bound_is_given_the_largest_that_fits(limit: str, runs: int, bench: Bench) -> None:
    """8, 4, 2 or 1 runs in one request, which count as lowered; where none fits the text names what would do."""
    bench.provider.always(Reply("ok", hidden_tokens=30_000, runs={"web_search": 9}))
    client, session = bench.paid(limit)
    call = Surface(lambda c: c.responses.create(**RESPONSE, tools=[{"type": "web_search"}]))
    if not runs:
        with pytest.raises(
            BudgetExceeded, match=r"one run of the provider's tools, for which \$0\.65.* would do"
        ):
            bench.take(call, client)
        assert bench.provider.arrivals == 0
    else:
        bench.take(call, client)
        (served,) = bench.provider.served
        assert served.body["max_tool_calls"] == runs and served.tokens.runs == {"web_search": runs}
        report = session.report()
        assert (report["clamped"], report["truncated"], report["overruns"]["count"]) == (1, 1, 0)
    bench.assert_exact(session)


def test_an_answer_that_needs_fewer_runs_is_whole(sync_bench: Bench) -> None:
    """It counts as lowered, not as cut; a bound of the caller's is left as it is."""
    sync_bench.provider.always(Reply("ok", runs={"web_search": 2}))
    client, session = sync_bench.paid("$3")
    client.responses.create(**RESPONSE, tools=[{"type": "web_search"}])
    client.responses.create(**RESPONSE, tools=[{"type": "web_search"}], extra_body={"max_tool_calls": 3})
    assert [served.body["max_tool_calls"] for served in sync_bench.provider.served] == [8, 3]
    assert (session.report()["clamped"], session.report()["truncated"]) == (1, 0)
    sync_bench.assert_exact(session)

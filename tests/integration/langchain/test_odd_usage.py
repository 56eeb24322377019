"""Usage that is odd or half told, as LangChain hands it on to the callback alone."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult

from bursar import Usage
from bursar_langchain import BudgetCallback
from bursar_langchain._usage import read_result, usage_of

if TYPE_CHECKING:
    from tests.integration.langchain.conftest import Script

# Of clients that no SDK of ours covers, in dollars per million tokens.
LLAMA, MISTRAL = (Fraction("0.59"), Fraction("0.79")), (Fraction("0.15"), Fraction("0.60"))


def nanos(rates: tuple[Fraction, Fraction], sent: int, made: int) -> int:
    """A bill by literal rates."""
    exact = (sent * rates[0] + made * rates[1]) * 1000
    return -(-exact.numerator // exact.denominator)


def result(metadata: dict[str, Any], text: str = "blue", **response: Any) -> LLMResult:
    message = AIMessage(text, usage_metadata=metadata, response_metadata=response)  # type: ignore[arg-type]
    return LLMResult(generations=[[ChatGeneration(message=message)]])


def counts(sent: int, made: int, total: int | None = None, **details: Any) -> dict[str, Any]:
    whole = sent + made if total is None else total
    return {"input_tokens": sent, "output_tokens": made, "total_tokens": whole, **details}


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("made", [60, 61])
def test_usage_in_every_chunk_is_not_added_up(
    every: bool, made: int, provider: Script, question: Any
) -> None:
    """Each chunk counts from the beginning: the bill is the last of them; the twin tells it once."""
    provider.says(
        "blue " * 30,
        output_tokens=made,
        input_tokens=35,
        stream_chunks=6,
        host="vllm" if every else "together",
    )
    budget = BudgetCallback("$1")
    list(provider.model("mistral", max_tokens=500).stream(question, {"callbacks": [budget]}))
    assert budget.spent * 10**9 == nanos(MISTRAL, 35, made) == provider.bill_nanos
    assert (budget.reserved, budget.report()["estimated"]) == (0, 0)


def test_parts_of_a_stream_are_added_up_where_they_are_parts() -> None:
    """Anthropic's first event tells the input and its last the output: 35 and 60 in all, not the larger of each."""
    for parts, usage in (
        ([counts(35, 0), counts(0, 60)], Usage(35, 60)),
        ([counts(35, 5)] * 6, Usage(35, 5)),
        ([counts(35, 5), counts(35, 9), counts(30, 2)], Usage(35, 9)),
    ):
        chunks = [AIMessageChunk("x", usage_metadata=part) for part in parts]  # type: ignore[arg-type]
        reports = [usage_of(ChatGenerationChunk(message=chunk)) for chunk in chunks]
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        told = LLMResult(generations=[[ChatGeneration(message=whole)]])
        assert read_result(told, reports=[report for report in reports if report]).usage == usage


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        (counts(20, 198, 623), Usage(20, 603)),
        (counts(20, 198, 200), Usage(20, 198)),
        (
            counts(
                184_497, 5,
                input_token_details={"cache_creation": 184_457, "ephemeral_1h_input_tokens": 31_490},
            ),
            Usage(184_497, 5, cache_write_1h_tokens=184_457),
        ),
        (
            counts(100, 5, input_token_details={"cache_creation": 60, "ephemeral_5m_input_tokens": 10}),
            Usage(100, 5, cache_write_tokens=60),
        ),
    ],
    ids=["total", "small total", "an hour", "minutes"],
)  # fmt: skip
def test_half_told_usage_is_read_whole(metadata: dict[str, Any], usage: Usage) -> None:
    """Output that stands in the total alone; cache writes that the split does not cover."""
    assert read_result(result(metadata)).usage == usage


@pytest.mark.parametrize(("host", "thought"), [("xai", 800), ("gemini", 800), ("gemini", 801)])
def test_what_a_host_leaves_out_of_the_completion_is_booked(
    host: str, thought: int, provider: Script, question: Any
) -> None:
    """Reasoning beside the completion, told by the total."""
    provider.says("blue", output_tokens=thought + 20, reasoning_tokens=thought, input_tokens=90, host=host)
    budget = BudgetCallback("$1")
    provider.groq(max_tokens=2_000).invoke(question, {"callbacks": [budget]})
    assert budget.spent * 10**9 == nanos(LLAMA, 90, thought + 20) == provider.bill_nanos


@pytest.mark.parametrize("odd", [(0, 20), (90, 0)], ids=["no input", "no output"])
def test_zeros_that_cannot_be_true_are_not_believed(
    odd: tuple[int, int], provider: Script, question: Any
) -> None:
    """Never below the bill, and marked as estimated."""
    told = {"prompt_tokens": odd[0], "completion_tokens": odd[1], "total_tokens": sum(odd)}
    provider.says("blue " * 10, output_tokens=20, input_tokens=11, usage=told)
    budget = BudgetCallback("$1")
    provider.groq(max_tokens=500).invoke(question, {"callbacks": [budget]})
    assert budget.spent * 10**9 >= provider.bill_nanos and budget.report()["estimated"] == 1

"""One count of tokens for several prompts, divided among their holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from bursar import Hold, Usage
from bursar.integration import OpenCall


def divide(usage: Usage, runs: Sequence[OpenCall]) -> Iterator[tuple[OpenCall, Usage]]:
    """Each run with a share that its hold can bear, if their sum can; together they are the usage."""
    calls = [cast("Hold", run.hold).call for run in runs]
    inputs = _divided(usage.input_tokens, [call.input_tokens for call in calls])
    outputs = _divided(usage.output_tokens, [call.n * call.max_output_tokens for call in calls])
    for run, input_tokens, output_tokens in zip(runs, inputs, outputs, strict=True):
        yield run, Usage(input_tokens, output_tokens)


def _divided(total: int, bounds: Sequence[int]) -> list[int]:
    """Equal shares, where the bounds allow: the smallest is filled first, the largest takes the rest."""
    shares = [0] * len(bounds)
    order = sorted(range(len(bounds)), key=bounds.__getitem__)
    for left, number in zip(range(len(order), 0, -1), order, strict=True):
        shares[number] = total if left == 1 else min(bounds[number], -(-total // left))
        total -= shares[number]
    return shares

"""Random usages, the same ones in every run: small and huge, and of every class of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from bursar import Usage


def usages(random: Random, *, output: bool) -> Iterator[Usage]:
    """One of each kind.

    Args:
        random: where the numbers come from.
        output: False for an embedding, which gives none.
    """
    for size in (10, 5_000, 150_000, 2_000_000):
        for parts in KINDS:
            sent = random.randint(0, size)
            made = random.randint(0, size // 10) if output else 0
            yield Usage(sent, made, **parts(random, sent, made))


def _cached(random: Random, sent: int, _made: int) -> dict[str, Any]:
    return {"cached_input_tokens": random.randint(0, sent)}


def _all_cached(_random: Random, sent: int, _made: int) -> dict[str, Any]:
    return {"cached_input_tokens": sent}


def _written(random: Random, sent: int, _made: int) -> dict[str, Any]:
    written = random.randint(0, sent)
    return {"cache_write_tokens": written, "cached_input_tokens": random.randint(0, sent - written)}


def _written_for_an_hour(random: Random, sent: int, _made: int) -> dict[str, Any]:
    long = random.randint(0, sent)
    return {"cache_write_1h_tokens": long, "cache_write_tokens": random.randint(0, sent - long)}


def _spoken(random: Random, sent: int, made: int) -> dict[str, Any]:
    return {"audio_input_tokens": random.randint(0, sent), "audio_output_tokens": random.randint(0, made)}


def _spoken_and_cached(random: Random, sent: int, _made: int) -> dict[str, Any]:
    return {"audio_input_tokens": random.randint(0, sent), "cached_input_tokens": random.randint(0, sent)}


def _reasoned(random: Random, _sent: int, made: int) -> dict[str, Any]:
    return {"reasoning_tokens": random.randint(0, made)}


def _searched(random: Random, _sent: int, _made: int) -> dict[str, Any]:
    return {"requests": {"web_search": random.randint(1, 5)}}


KINDS: tuple[Callable[[Random, int, int], dict[str, Any]], ...] = (
    _reasoned,
    _cached,
    _all_cached,
    _written,
    _written_for_an_hour,
    _spoken,
    _spoken_and_cached,
    _searched,
)

"""Ways in which hosts tell a usage that is right, odd, wrong or half there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

QUESTION = "Why is the sky blue? " * 60  # of more bytes than `sent` can be


class Counts(NamedTuple):
    """What a call truly used: of the input `read` came from a cache, of the output `thought` is hidden."""

    sent: int
    read: int
    shown: int
    thought: int

    @property
    def made(self) -> int:
        return self.shown + self.thought


def counts() -> st.SearchStrategy[Counts]:
    """Random true counts."""
    sent = st.integers(1, 1_000)
    return sent.flatmap(
        lambda most: st.builds(
            Counts, st.just(most), st.integers(0, most), st.integers(1, 2_000), st.integers(0, 3_000)
        )
    )


def _plain(true: Counts, sent: int | None = None, made: int | None = None, **more: Any) -> dict[str, Any]:
    told = {
        "prompt_tokens": true.sent if sent is None else sent,
        "completion_tokens": true.made if made is None else made,
        "total_tokens": true.sent + true.made,
        "prompt_tokens_details": {"cached_tokens": true.read},
    }
    return {**told, **more}


def _without(told: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in names}


WAYS: dict[str, Callable[[Counts], Any]] = {
    "rightly": _plain,
    "thoughts in the total alone": lambda true: _plain(true, made=true.shown),
    "no output but in the total": lambda true: _plain(true, made=0),
    "no input": lambda true: _without(_plain(true, sent=0), "prompt_tokens_details", "total_tokens"),
    "no input but in the total": lambda true: _without(_plain(true, sent=0), "prompt_tokens_details"),
    "no output": lambda true: _without(_plain(true, made=0), "total_tokens"),
    "zeros": lambda true: _without(_plain(true, sent=0, made=0, total_tokens=0), "prompt_tokens_details"),
    "two spellings": lambda true: _plain(true, sent=0, made=0, input_tokens=true.sent, output_tokens=true.made),
    "hits at the top": lambda true: {
        **_without(_plain(true), "prompt_tokens_details"), "cached_tokens": true.read,
    },
    "hits as DeepSeek": lambda true: {
        **_without(_plain(true), "prompt_tokens_details"), "prompt_cache_hit_tokens": true.read,
    },
    "reasoning beside": lambda true: _plain(
        true, made=true.shown, completion_tokens_details={"reasoning_tokens": true.thought}
    ),
    "text": lambda true: _plain(true, made="many"),  # type: ignore[arg-type]
    "below zero": lambda true: _plain(true, made=-1),
    "a total above all": lambda true: _plain(true, total_tokens=10**8),
    "null": lambda true: "null",
    "absent": lambda true: "absent",
}  # fmt: skip

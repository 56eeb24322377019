"""The same runaway work for each library: an agent that never stops by itself, and swallows every refusal."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openai
from libraries import LIBRARIES, Budgeted

from bursar.testing import Rate, Reply, ScriptedProvider

MODEL, CALLS, PROCESSES = "gpt-4o", 32, 8
ANSWER_TOKENS = 16_000  # $0.16 at $10 per million: six calls fit into a dollar
CAPPED = {"max_tokens": ANSWER_TOKENS}
HOUSE_RATE = Rate("2.5", "10")
LONG = "Everything about Reykjavik. " * 1_500  # some 10,000 tokens
Figures = tuple[int, float, float]  # calls that were billed; what they cost and what was reported, in USD


def client_of(url: str) -> openai.OpenAI:
    """A client that tries once."""
    return openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60)


def attempt(budgeted: Budgeted, number: int, **more: Any) -> Any:
    """One call; None where it was refused, or went wrong: the agent does not care."""
    question = f"{number}: why is the sky blue?"
    request = {"model": MODEL, "messages": [{"role": "user", "content": question}], **more}
    try:
        return budgeted.send(**request)
    except Exception:
        return None


def figures(provider: ScriptedProvider, budgeted: Budgeted) -> Figures:
    """What the provider has billed, beside what the library says."""
    return provider.calls, float(provider.bill), budgeted.reported()


def alone(work: Callable[[ScriptedProvider, Budgeted], object]) -> Callable[[str], Figures]:
    """A work within one process."""

    def run(library: str) -> Figures:
        with ScriptedProvider() as provider:
            provider.always(Reply(output_tokens=ANSWER_TOKENS))
            with client_of(provider.openai_url) as client, LIBRARIES[library](client, None) as budgeted:
                work(provider, budgeted)
                return figures(provider, budgeted)

    return run


def in_a_row(provider: ScriptedProvider, budgeted: Budgeted) -> None:
    """One call after the other."""
    for number in range(CALLS):
        attempt(budgeted, number, **CAPPED)


def at_once(provider: ScriptedProvider, budgeted: Budgeted, **more: Any) -> None:
    """All calls at the same time."""
    provider.always(Reply(output_tokens=ANSWER_TOKENS, delay=0.5))
    with ThreadPoolExecutor(CALLS) as threads:
        for number in range(CALLS):
            threads.submit(attempt, budgeted, number, **more)


def left_streams(provider: ScriptedProvider, budgeted: Budgeted) -> None:
    """Streams whose reader leaves after the first piece; the provider goes on writing."""
    for number in range(CALLS):
        stream = attempt(budgeted, number, stream=True, **CAPPED)
        try:
            next(iter(stream))
            stream.close()
        except Exception:
            continue


def cached(provider: ScriptedProvider, budgeted: Budgeted) -> None:
    """Eight calls within the budget, whose input a cache has: no more than half of its price is billed."""
    provider.always(Reply(input_tokens=20_000, cached_input_tokens=19_000, output_tokens=200))
    for number in range(8):
        messages = [{"role": "user", "content": f"{LONG} {number}"}]
        attempt(budgeted, number, messages=messages, max_tokens=200)


def unknown(provider: ScriptedProvider, budgeted: Budgeted) -> None:
    """A model that no price list has."""
    provider.rates["house-model"] = HOUSE_RATE
    for number in range(CALLS):
        attempt(budgeted, number, model="house-model", **CAPPED)


def processes(library: str) -> Figures:
    """Eight processes that work at once, each with four calls."""
    return beside(library, ["agent"] * PROCESSES, at_once=True)


def killed(library: str) -> Figures:
    """A process that is killed while its call is under way, and started again, twelve times."""
    return beside(library, ["victim"] * 12, at_once=False)


def beside(library: str, roles: list[str], *, at_once: bool) -> Figures:
    """Work of other processes."""
    with ScriptedProvider() as provider, TemporaryDirectory() as folder:
        shared = Path(folder, "shared.db")
        provider.always(Reply(output_tokens=ANSWER_TOKENS, delay=0.5))
        command = (sys.executable, __file__, library, provider.openai_url, str(shared))
        running = []
        for role in roles:
            arrived = provider.hits
            running.append(subprocess.Popen([*command, role], stderr=subprocess.DEVNULL))
            if not at_once:
                while running[-1].poll() is None and provider.hits == arrived:
                    time.sleep(0.01)
                running[-1].kill()
                running[-1].wait()
        for process in running:
            process.wait()
        time.sleep(1)  # the provider writes to its end what nobody reads
        with client_of(provider.openai_url) as client, LIBRARIES[library](client, shared) as budgeted:
            return figures(provider, budgeted)


def agent(library: str, url: str, shared: str, role: str) -> None:
    """What one of the processes does."""
    with client_of(url) as client, LIBRARIES[library](client, Path(shared)) as budgeted:
        for number in range(4 if role == "agent" else 1):
            attempt(budgeted, number, **CAPPED)


WORKS: dict[str, Callable[[str], Figures]] = {
    "32 calls in a row, refusals swallowed": alone(in_a_row),
    "32 threads, with `max_tokens`": alone(lambda provider, by: at_once(provider, by, **CAPPED)),
    "32 threads, without `max_tokens`": alone(at_once),
    "32 streams, left at their first piece": alone(left_streams),
    "8 calls whose input is cached": alone(cached),
    "32 calls to a model without a price": alone(unknown),
    "8 processes, 4 calls each": processes,
    "a process killed in mid-call, 12 times": killed,
}

if __name__ == "__main__":
    agent(*sys.argv[1:])

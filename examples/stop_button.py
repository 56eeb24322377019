"""A stream whose reader presses stop: what was begun is booked, nothing stays reserved, the next call runs.

Runs against a provider on this machine.
"""

from __future__ import annotations

import asyncio
import os

import openai

from bursar import Budget
from bursar.testing import Reply, ScriptedProvider


async def stream(client: openai.AsyncOpenAI, pressed: asyncio.Event) -> str:
    """What was shown before the stop button was pressed."""
    shown = ""
    async with await client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "Tell me a long story."}],
        max_tokens=500,
        stream=True,
    ) as answer:
        async for chunk in answer:
            shown += chunk.choices[0].delta.content or ""
            if pressed.is_set():
                break
            if len(shown) > 20:
                pressed.set()
    return shown


async def main(provider: ScriptedProvider) -> None:
    # "observed": a stream that is left is booked by what was seen of it, and not at its worst case
    async with (
        Budget("$0.01", unknown_outcome="observed").session() as session,
        openai.AsyncOpenAI() as client,
    ):
        story = "Once upon a time there was a program that spent no more than it had. " * 20
        provider.script(Reply(story, stream_chunks=100))
        print(f"shown: {await stream(client, asyncio.Event())!r}")
        stopped = session.spent
        print(f"${stopped} is booked for it, ${session.reserved} reserved")
        assert stopped > 0 and session.reserved == 0 and session.report()["estimated"] == 1

        provider.script(Reply("The end."))
        whole = await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "And then?"}], max_tokens=50
        )
        print(whole.choices[0].message.content)
        assert session.calls == 2 and session.remaining is not None and session.remaining > 0
    print(f"${session.spent} of $0.01")


if __name__ == "__main__":
    with ScriptedProvider() as running:
        os.environ |= {"OPENAI_BASE_URL": running.openai_url, "OPENAI_API_KEY": "none"}
        asyncio.run(main(running))

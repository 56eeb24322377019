"""A web app in which each user has a budget for the day, also after a restart, and in whatever process.

Runs against a provider on this machine. The store is a file, and one process serves; ``--store redis://...
--workers 4`` lets four processes share the budgets.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path

import httpx
import openai
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from bursar import Budget, BudgetExceeded
from bursar.testing import ScriptedProvider

DAY = Decimal("0.0005")  # of each user
USERS = ("alice", "bob", "carol", "dave", "eve")


# -- the app ------------------------------------------------------------------------------------------


def team_of(store: str) -> Budget:
    return Budget("$10/day", child_limits=[f"${DAY}/day"], name="app", store=store)


def make_app(store: str) -> FastAPI:
    app, team, client = FastAPI(), team_of(store), openai.AsyncOpenAI()

    @app.exception_handler(BudgetExceeded)
    async def refused(request: Request, refusal: BudgetExceeded) -> JSONResponse:
        headers = {} if refusal.retry_after is None else {"Retry-After": str(int(refusal.retry_after) + 1)}
        return JSONResponse({"detail": str(refusal)}, refusal.status_code, headers)

    @app.get("/ask")
    async def ask(user: str, question: str) -> dict[str, str | None]:
        async with team.child(user).session():  # this request, and the tasks that it starts, are this user's
            answer = await client.chat.completions.create(
                model="gpt-4o-mini",
                messages=[{"role": "user", "content": question}],
                max_completion_tokens=100,
                user=user,
            )
        return {"answer": answer.choices[0].message.content}

    return app


def serve(store: str) -> None:
    config = uvicorn.Config(make_app(store), host="127.0.0.1", port=0, log_level="error")
    socket = config.bind_socket()
    socket.listen(1024)  # who connects while the app starts waits for it
    print(socket.getsockname()[1], flush=True)
    uvicorn.Server(config).run(sockets=[socket])


# -- its users ----------------------------------------------------------------------------------------


async def ask_at_once(ports: list[int], first: int, requests: int) -> Counter[int]:
    """So many requests at once, of all users in turn, to all processes in turn; counts the statuses."""
    async with httpx.AsyncClient(timeout=60) as browser:

        async def ask(number: int) -> int:
            asked = {"user": USERS[number % len(USERS)], "question": f"Why is the sky blue? Reason {number}:"}
            url = f"http://127.0.0.1:{ports[number % len(ports)]}/ask"
            return (await browser.get(url, params=asked)).status_code

        return Counter(await asyncio.gather(*(ask(first + number) for number in range(requests))))


def run(store: str, workers: int, first: int, requests: int) -> Counter[int]:
    """Start the app, send it the requests, and stop it."""
    command = (sys.executable, __file__, "--serve", "--store", store)
    servers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(workers)]
    try:
        ports = [int(server.stdout.readline()) for server in servers if server.stdout]
        return asyncio.run(ask_at_once(ports, first, requests))
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.communicate()


def main(store: str, workers: int) -> None:
    with ScriptedProvider() as provider:
        os.environ |= {"OPENAI_BASE_URL": provider.openai_url, "OPENAI_API_KEY": "none"}
        served = Counter[int]()
        for first in (0, 100)[: 2 if workers == 1 else 1]:  # one process is restarted, and the day goes on
            statuses = run(store, workers, first, 100)
            served += statuses
            print(f"{statuses[200]} answered, {statuses[402]} refused")
        assert set(served) <= {200, 402} and served[200] == provider.calls
        team = team_of(store)
        billed = Counter[str]()
        for call in provider.served:
            billed[call.body["user"]] += call.cost_nanos
        for user in USERS:
            spent = team.child(user).spent
            print(f"{user:6} ${spent} of ${DAY} a day")
            assert spent == Decimal(billed[user]).scaleb(-9) <= DAY
        assert team.spent == provider.bill and team.reserved == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--store")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--serve", action="store_true")
    given = parser.parse_args()
    if given.serve:
        serve(given.store)
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(given.store or f"sqlite:///{Path(folder, 'app.db')}", given.workers)

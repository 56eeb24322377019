"""No secret comes out: canaries are planted wherever a program has one, and all that bursar says is searched."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from bursar import Budget, BursarError, StoreUnavailable, hookimpl, report_text
from bursar.testing import Reply, ScriptedProvider

from ..files import file_url
from ..servers import Server
from ..unit.hooked import receiver, until
from .commands import Run

KEY = "sk-canary-0123456789abcdefghij"
WORD = "canary55"  # a password, which looks like nothing
HOOK = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnk="
PROMPT, ANSWER = "canary: where is the walrus?", "canary: at the north pole"
PLANTED = (KEY, WORD, HOOK, "Y2FuYXJ5", "walrus", "north pole", "0123456789abcdefghij")
COMMANDS = (
    *("status", "who", "top --times 1 --interval 0.1", "tree", "history", "holds", "audit", "doctor"),
    *("export", "export --format prometheus"),
)


class Careless:
    """A plugin that puts what it knows into its exceptions."""

    @hookimpl
    def bursar_settled(self) -> None:
        """Fails with a header."""
        raise ValueError(f"Authorization: Bearer {KEY}")

    @hookimpl
    def bursar_before_reserve(self, call: Any) -> None:
        """Refuses one model, with a password."""
        if call.model == "gpt-4o":
            raise ValueError(f"no access: https://me:{WORD}@internal.example/?token={WORD}")


def listen(_: object) -> None:
    """A listener that fails likewise."""
    raise RuntimeError(f"api_key={KEY}")


@pytest.fixture
def password(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A Redis that asks for a password; its URL, and the file that it keeps all in."""
    server = Server(requirepass=WORD, appendonly="yes", appendfsync="always")
    yield server.url(timeout="5s").replace("redis://", f"redis://:{WORD}@"), server.folder
    server.close()


@pytest.fixture
def file(tmp_path: Path) -> tuple[str, Path]:
    """A file, with bookings that wait beside it."""
    return file_url(tmp_path / "ledger" / "a.db", spool=tmp_path / "ledger" / "spool"), tmp_path / "ledger"


def told_of(act: Callable[[], object]) -> str:
    """All that an error says."""
    with pytest.raises(BursarError) as caught:
        act()
    error: BaseException | None = caught.value
    said = [str(error), repr(error), *map(repr, error.args if error else ())]
    return "\n".join(said)


@pytest.mark.parametrize("where", ["password", "file"])
def test_no_output_has_a_canary(
    where: str, request: pytest.FixtureRequest, run: Run, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Keys, headers, URLs, exceptions and prompts: not in errors, logs, reports, reprs, alerts, commands or files."""
    caplog.set_level(logging.DEBUG, "bursar")
    url, kept = request.getfixturevalue(where)
    heard: list[Any] = []
    out: list[str] = []
    with receiver() as here, ScriptedProvider() as provider:
        provider.script(Reply(text=ANSWER))
        budget = Budget(
            "$0.002/day",
            store=url,
            webhook_url=here.url.replace("channel=money", f"key={KEY}"),
            webhook_secret=HOOK,
            webhook_allow_private=True,
            on_soft_limit=listen,
            on_alert=heard.append,
            plugins=[Careless()],
        )
        client = openai.OpenAI(
            api_key=KEY,
            base_url=provider.url.replace("http://", f"http://me:{WORD}@") + "/v1",
            default_headers={"X-Api-Key": KEY},
            max_retries=0,
        )

        def ask(model: str, cap: int = 3_000) -> None:
            client.chat.completions.create(
                model=model, max_tokens=cap, messages=[{"role": "user", "content": PROMPT}]
            )

        with budget.session(id=KEY, password=WORD, note=f"token={WORD}", swallow=True) as session:
            ask("gpt-4o-mini")
            hold = session.reserve("gpt-4o-mini", messages=PROMPT, max_output_tokens=10)
            out.append(told_of(lambda: ask("gpt-4o")))
            out.append(told_of(lambda: session.track(ANSWER, "$0.0025", tool_name=f"tool {KEY}")))
            out.append(told_of(lambda: ask("gpt-4.1-mini")))
            out.append(told_of(lambda: session.reserve(KEY, messages=PROMPT)))
            out += map(repr, (budget, session, hold, budget._ledger.store))
            out += [report_text(session.report()), json.dumps(session.report())]
            out += [json.dumps(budget.report()), json.dumps(budget.history()), json.dumps(budget.tree())]
            out += [json.dumps(budget.summary()), json.dumps(budget.doctor()), str(budget.audit())]
            hold.release()
        until(lambda: len(here.received) >= 2)
        out += [request.body.decode() for request in here.received]
        out += [alert.message + json.dumps(alert.facts()) + json.dumps(alert.report) for alert in heard]
    nobody = f"redis://:{WORD}@127.0.0.1:1/0?timeout=0.1s"
    with pytest.raises(StoreUnavailable) as unreachable:
        Budget("$1", store=nobody).session().reserve(cost=1)
    out.append(str(unreachable.value))
    for command in (*COMMANDS, *(f"{command} --json" for command in COMMANDS)):
        done = run(*command.split(), "--store", url)
        out += [done.out, done.err]
    out.append(run("status", "--store", nobody).err)
    page = tmp_path / "page.html"
    run("report", "--store", url, "--html", page)
    out += [page.read_text("utf-8"), caplog.text]
    files = [path.read_bytes() for path in kept.rglob("*") if path.is_file()]
    said = "\n".join(out)
    assert "gpt-4o-mini" in said and "[redacted]" in said and files
    assert [canary for canary in PLANTED if canary in said] == []
    assert [
        canary for canary in (PROMPT, ANSWER, WORD, HOOK) if any(canary.encode() in each for each in files)
    ] == []

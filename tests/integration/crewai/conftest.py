"""Real crews against a provider on this machine that keeps its own bill."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# CrewAI reads these, and writes a key into the home, when it is imported.
_home = tempfile.mkdtemp()
_before = os.environ.get("HOME")
os.environ.update({
    "CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_DISABLE_TRACKING": "true", "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true", "CREWAI_TESTING": "true", "OTEL_SDK_DISABLED": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_API_KEY": "none", "ANTHROPIC_API_KEY": "none",
    "CREWAI_STORAGE_DIR": f"{_home}/storage", "HOME": _home,
})  # fmt: skip

import crewai.events.event_bus  # noqa: E402
import pytest  # noqa: E402
from crewai import LLM, Agent, Crew, Task  # noqa: E402
from crewai.hooks import clear_all_hooks  # noqa: E402

from bursar.testing import Rate, ScriptedProvider  # noqa: E402

from ..script import Script as AnyScript  # noqa: E402

if _before is not None:
    os.environ["HOME"] = _before

RATES = {
    "gpt-4o": Rate("2.50", "10", "1.25"),
    "gpt-4o-mini": Rate("0.15", "0.60", "0.075"),
    "claude-haiku-4-5": Rate("1", "5", "0.10", "1.25", "2"),
    "mistral-small-latest": Rate("0.15", "0.60", "0.015"),
    "text-embedding-3-small": Rate("0.02", "0"),
}


class Script(AnyScript):
    """What the tests ask of the provider, in their own words, and the crews that talk to it."""

    @property
    def roles(self) -> list[str]:
        """The agent that each request is of, as its prompt says."""
        return [role_of(body) for body in self.bodies]

    # -- models, agents and crews -----------------------------------------------------------------

    def llm(self, brand: str = "openai", **settings: Any) -> Any:
        settings = {"max_tokens": 50, "api_key": "none", **settings}
        if brand == "anthropic":
            settings = {
                "model": "anthropic/claude-haiku-4-5",
                "base_url": self.provider.anthropic_url,
            } | settings
        elif brand == "litellm":
            url = self.provider.openai_url
            settings = {"model": "openai/gpt-4o-mini", "base_url": url, "is_litellm": True} | settings
        elif brand == "mistral":  # sent by LiteLLM itself, through no SDK
            url = self.provider.openai_url
            settings = {
                "model": "mistral/mistral-small-latest",
                "base_url": url,
                "is_litellm": True,
            } | settings
        else:
            settings = {"model": "openai/gpt-4o-mini", "base_url": self.provider.openai_url} | settings
        return LLM(**settings)

    def agent(self, role: str = "Researcher", **settings: Any) -> Agent:
        if "llm" not in settings:
            settings["llm"] = self.llm()
        return Agent(role=role, goal="know", backstory="You know.", **settings)

    def task(self, agent: Agent | None, name: str = "look", **settings: Any) -> Task:
        return Task(
            name=name, description=f"Please {name}.", expected_output="A word.", agent=agent, **settings
        )

    def crew(self, *, brand: str = "openai", llm: dict[str, Any] | None = None, **settings: Any) -> Crew:
        """A researcher and a writer, each with a model and a task of its own."""
        first = self.agent("Researcher", llm=self.llm(brand, **(llm or {})))
        second = self.agent("Writer", llm=self.llm(brand, **(llm or {})))
        tasks = [self.task(first, "look"), self.task(second, "write")]
        return Crew(**{"agents": [first, second], "tasks": tasks, **settings})


def role_of(body: Any) -> str:
    """The agent that a prompt is for; else the first words of the prompt."""
    if "input" in body:
        return "embedding"
    texts = [body.get("system"), *(message.get("content") for message in body["messages"])]
    text = " ".join(text for text in texts if isinstance(text, str))
    for role in ("Researcher", "Writer", "Crew Manager"):
        if f"You are {role}" in text:
            return role
    return " ".join(text.split()[:4])


@pytest.fixture
def provider() -> Iterator[Script]:
    with ScriptedProvider(rates=RATES) as provider:
        yield Script(provider)


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing that CrewAI keeps, on the disk or in the process, is left for the next test."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # training leaves a file where it ran
    yield
    crewai.events.event_bus.crewai_event_bus.flush()
    clear_all_hooks()

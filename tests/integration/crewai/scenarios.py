"""The ways in which CrewAI makes calls: each builds what it needs, runs it, and says which calls it made."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from crewai import Crew, Process
from crewai.agent.planning_config import PlanningConfig
from crewai.flow.flow import Flow, listen, start
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from crewai.memory.unified_memory import Memory
from crewai.tools import tool
from pydantic import BaseModel

from bursar.testing import Reply, ToolCall

if TYPE_CHECKING:
    from tests.integration.crewai.conftest import Script


class Colour(BaseModel):
    """A colour."""

    name: str


@tool("look up")
def look_up(place: str) -> str:
    """Tell the weather."""
    return f"sunny in {place}"


def once_called(name: str, **arguments: str) -> Callable[[Any], Reply]:
    """Call the tool wherever it is offered and was not called yet; else answer."""

    def answer(request: Any) -> Reply:
        offered = [each["function"]["name"] for each in request.body.get("tools") or []]
        if name in offered and all(message["role"] != "tool" for message in request.body["messages"]):
            return Reply(tool_calls=[ToolCall(name, arguments)], output_tokens=20)
        return Reply("ok", output_tokens=1)

    return answer


def formatted(**fields: Mapping[str, Any]) -> Callable[[Any], Reply]:
    """Answer in the format that is asked for, by the name of its schema."""

    def answer(request: Any) -> Reply:
        schema = (request.body.get("response_format") or {}).get("json_schema", {})
        document = fields.get(schema.get("name", ""))
        return Reply("ok" if document is None else json.dumps(document), output_tokens=10)

    return answer


def sequential(script: Script) -> Any:
    return script.crew().kickoff()


def stream(script: Script) -> Any:
    return script.crew(llm={"stream": True}).kickoff()


def crewstream(script: Script) -> Any:
    return [chunk.content for chunk in script.crew(stream=True).kickoff()]


def hier(script: Script) -> Any:
    script.provider.always(
        once_called("delegate_work_to_coworker", task="look", context="", coworker="Researcher")
    )
    agent = script.agent("Researcher")
    manager = script.llm()
    return Crew(
        agents=[agent], tasks=[script.task(None)], process=Process.hierarchical, manager_llm=manager
    ).kickoff()


def kickoff_async(script: Script) -> Any:
    return asyncio.run(script.crew().kickoff_async())


def akickoff(script: Script) -> Any:
    return asyncio.run(script.crew().akickoff())


def foreach(script: Script) -> Any:
    return script.crew().kickoff_for_each(inputs=[{"a": 1}, {"a": 2}])


def foreach_async(script: Script) -> Any:
    return asyncio.run(script.crew().kickoff_for_each_async(inputs=[{"a": 1}, {"a": 2}]))


def asynctask(script: Script) -> Any:
    first, second = script.agent("Researcher"), script.agent("Writer")
    tasks = [script.task(first, async_execution=True), script.task(second, "write")]
    return Crew(agents=[first, second], tasks=tasks).kickoff()


def flow(script: Script) -> Any:
    class Work(Flow[Any]):
        @start()
        def begin(self) -> Any:
            return script.crew().kickoff()

        @listen(begin)
        def end(self) -> Any:
            return script.llm().call("Why?")

    return Work().kickoff()


def flow_parallel(script: Script) -> Any:
    class Work(Flow[Any]):
        @start()
        def one(self) -> Any:
            return script.agent("Researcher").kickoff("Why?")

        @start()
        def other(self) -> Any:
            return script.agent("Writer").kickoff("Why?")

    return Work().kickoff()


def agentkick(script: Script) -> Any:
    agent = script.agent()
    agent.kickoff("Why?")
    return agent.kickoff("How?")


def agentkick_async(script: Script) -> Any:
    async def both() -> Any:
        agent = script.agent()
        await agent.kickoff_async("Why?")
        return await agent.kickoff_async("How?")

    return asyncio.run(both())


def tools(script: Script) -> Any:
    script.provider.always(once_called("look_up", place="Oslo"))
    agent = script.agent(tools=[look_up])
    return Crew(agents=[agent], tasks=[script.task(agent)]).kickoff()


def delegate(script: Script) -> Any:
    script.provider.always(
        once_called("delegate_work_to_coworker", task="look", context="", coworker="Writer")
    )
    first, second = script.agent("Researcher", allow_delegation=True), script.agent("Writer")
    return Crew(agents=[first, second], tasks=[script.task(first)]).kickoff()


def planning(script: Script) -> Any:
    plan = {"list_of_plans_per_task": [{"task_number": 1, "task": "look", "plan": "do it"}] * 2}
    script.provider.always(formatted(PlannerTaskPydanticOutput=plan))
    return script.crew(planning=True, planning_llm=script.llm()).kickoff()


def reasoning(script: Script) -> Any:
    agent = script.agent(planning_config=PlanningConfig(max_attempts=1))
    return Crew(agents=[agent], tasks=[script.task(agent)]).kickoff()


def guardrail(script: Script) -> Any:
    """The first answer is not let through, so that the agent is asked again."""
    verdicts = iter([{"valid": False, "feedback": "Shorter."}, {"valid": True, "feedback": None}])

    def answer(request: Any) -> Reply:
        judged = "Guardrail" in json.dumps(request.body["messages"])
        return Reply(json.dumps(next(verdicts)) if judged else "ok", output_tokens=10)

    script.provider.always(answer)
    agent = script.agent()
    task = script.task(agent, guardrail="The answer is short.")
    return Crew(agents=[agent], tasks=[task]).kickoff()


def pydantic(script: Script) -> Any:
    script.provider.always(formatted(Colour={"name": "blue"}))
    agent = script.agent()
    return Crew(agents=[agent], tasks=[script.task(agent, output_pydantic=Colour)]).kickoff()


def embedder(script: Script) -> dict[str, Any]:
    config = {
        "api_key": "none", "api_base": script.provider.openai_url, "model_name": "text-embedding-3-small"
    }  # fmt: skip
    return {"provider": "openai", "config": config}


def memory(script: Script) -> Any:
    kept = Memory(llm=script.llm(), embedder=embedder(script))
    agent = script.agent()
    return Crew(agents=[agent], tasks=[script.task(agent)], memory=kept).kickoff()


def knowledge(script: Script) -> Any:
    agent = script.agent()
    source = StringKnowledgeSource(content="Air scatters blue light.")
    return Crew(
        agents=[agent], tasks=[script.task(agent)], knowledge_sources=[source], embedder=embedder(script)
    ).kickoff()


def train(script: Script) -> Any:
    agent = script.agent()
    crew = Crew(agents=[agent], tasks=[script.task(agent)])
    with mock.patch("builtins.input", return_value="fine"), tempfile.TemporaryDirectory() as folder:
        return crew.train(n_iterations=1, filename=str(Path(folder) / "trained.pkl"))


R, W, M = "Researcher", "Writer", "Crew Manager"

# The requests of each, in order: the agent that they are of, or the first words of the prompt.
TRACES: dict[Callable[[Script], Any], list[str]] = {
    sequential: [R, W],
    stream: [R, W],
    crewstream: [R, W],
    hier: [M, R, M],
    kickoff_async: [R, W],
    akickoff: [R, W],
    foreach: [R, W, R, W],
    foreach_async: [R, R, W, W],
    asynctask: [R, W],
    flow: [R, W, "Why?"],
    flow_parallel: [R, W],
    agentkick: [R, R],
    agentkick_async: [R, R],
    tools: [R, R],
    delegate: [R, W, R],
    planning: ["You are Task Execution", R, W],
    reasoning: ["You are a strategic", R],
    guardrail: [R, "You are Guardrail Agent.", R, "You are Guardrail Agent."],
    pydantic: [R],
    memory: ["embedding", R, "You extract discrete, reusable", "embedding", "You analyze content to"],
    knowledge: ["embedding", "embedding", "embedding", "Your goal is to", "embedding", R],
    train: [
        R, R, *["I'm gonna convert this"] * 3,
        "Extract the suggestions from", "Extract the quality from", "Extract the final_summary from",
    ],
}  # fmt: skip
AT_ONCE = {foreach_async, flow_parallel}  # their requests have no order

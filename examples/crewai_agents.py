"""A crew in which each agent has a budget of its own, and a report that says what each of them cost."""

from crewai import LLM, Agent, Crew, Task

from bursar import BudgetExceeded, report_text
from bursar.testing import ScriptedProvider
from bursar_crewai import BudgetMiddleware

with ScriptedProvider() as provider:
    llm = LLM(model="openai/gpt-4o-mini", base_url=provider.openai_url, api_key="none", max_tokens=100)
    researcher = Agent(role="Researcher", goal="Know", backstory="You know.", llm=llm)
    writer = Agent(role="Writer", goal="Write", backstory="You write.", llm=llm)
    tasks = [
        Task(name="find", description="Why is the sky blue?", expected_output="Facts.", agent=researcher),
        Task(name="write", description="Write it down.", expected_output="One line.", agent=writer),
    ]
    crew = Crew(agents=[researcher, writer], tasks=tasks)

    budget = BudgetMiddleware("$3", agents={"Researcher": "$1", "Writer": "3 calls"})
    days = 0
    try:
        with budget:
            while True:
                crew.kickoff()
                days += 1
    except BudgetExceeded as refusal:
        print("stopped:", refusal)

    report = budget.report()
    for role, cost in report["agents"].items():
        print(f"{role}: ${cost:.6f}")
    print(report_text(report))
    assert days == 3
    assert budget.spent == provider.bill

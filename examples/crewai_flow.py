"""A flow whose methods share one budget, and that answers with what it has when the budget is used up."""

from crewai import LLM, Agent
from crewai.flow.flow import Flow, listen, start

from bursar import BudgetExceeded
from bursar.testing import ScriptedProvider
from bursar_crewai import BudgetMiddleware

budget = BudgetMiddleware("2 calls")

with ScriptedProvider() as provider:
    llm = LLM(model="openai/gpt-4o-mini", base_url=provider.openai_url, api_key="none", max_tokens=100)
    researcher = Agent(role="Researcher", goal="Know", backstory="You know.", llm=llm)

    class Research(Flow):
        """Collects answers until the money is gone."""

        @start()
        def collect(self) -> list[str]:
            answers: list[str] = []
            try:
                while True:
                    answers.append(self.ask(len(answers)))
            except BudgetExceeded as refusal:
                budget.session.handled(refusal)
            return answers

        @listen(collect)
        def finish(self, answers: list[str]) -> str:
            return f"{len(answers)} answers for ${budget.spent}"

        @budget
        def ask(self, number: int) -> str:
            return str(researcher.kickoff(f"Why is the sky blue? Reason {number}:").raw)

    print(Research().kickoff())
    assert provider.hits == 2
    assert budget.spent == provider.bill

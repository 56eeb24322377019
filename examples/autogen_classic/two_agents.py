"""Two agents of the classic AutoGen talk, on one budget of a tenth of a cent.

Needs `pip install "autogen[openai]"`.

Runs against a provider on this machine.
"""

from __future__ import annotations

from bursar import Budget, BudgetExceeded
from bursar.testing import ScriptedProvider
from bursar_autogen.classic import BudgetedAssistantAgent, BudgetedUserProxyAgent


def main(provider: ScriptedProvider) -> None:
    model = {"model": "gpt-4o-mini", "base_url": provider.openai_url, "api_key": "none"}
    llm_config = {"config_list": [model], "cache_seed": None, "max_tokens": 200}
    session = Budget("$0.001").session()  # a text for each would be two budgets
    assistant = BudgetedAssistantAgent(name="assistant", budget=session, llm_config=llm_config)
    user = BudgetedUserProxyAgent(
        name="user",
        budget=session,
        human_input_mode="NEVER",
        code_execution_config=False,
        default_auto_reply="Go on.",
    )
    try:
        user.initiate_chat(assistant, message="Talk about the weather for ever.", silent=True)
    except BudgetExceeded as refusal:
        print(refusal)
    assert session.spent == provider.bill
    print(assistant.get_report()["total_spent"])


if __name__ == "__main__":
    with ScriptedProvider() as provider:
        main(provider)

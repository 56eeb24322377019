"""A deployment at Azure, whose name says nothing, and a model on one's own machine, which costs its power.

Both are of the OpenAI SDK, and spend from one budget. Runs against a provider on this machine.
"""

from __future__ import annotations

from decimal import Decimal

import openai

from bursar import Budget, BudgetExceeded, UnknownModel, wrap_client
from bursar.testing import Rate, ScriptedProvider

QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]
AZURE = {"my-deployment": "gpt-4o"}  # the names that were chosen at Azure, and the models behind them
LOCAL = {"llama3.1:8b": (0.02, 0.02)}  # USD for a million tokens in and out: what the machine draws


def main() -> None:
    azure = ScriptedProvider(deployments=AZURE)
    local = ScriptedProvider(rates={name: Rate(*price) for name, price in LOCAL.items()})
    budget = Budget("$0.01", aliases=AZURE, prices=LOCAL)
    with azure, local, budget.session() as session:
        cloud = wrap_client(
            openai.AzureOpenAI(azure_endpoint=azure.url, api_key="none", api_version="2024-10-21"), session
        )
        own = wrap_client(openai.OpenAI(base_url=local.openai_url, api_key="none"), session)
        own.chat.completions.create(model="llama3.1:8b", messages=QUESTION, max_tokens=500)
        served = 0
        try:
            while True:
                content = f"{QUESTION[0]['content']} Reason {served + 1}:"
                cloud.chat.completions.create(
                    model="my-deployment", messages=[{"role": "user", "content": content}], max_tokens=500
                )
                served += 1
        except BudgetExceeded as refusal:
            print(refusal)
        own.chat.completions.create(model="llama3.1:8b", messages=QUESTION, max_tokens=500)  # still fits
        try:
            own.chat.completions.create(model="qwen3:4b", messages=QUESTION)
        except UnknownModel as error:  # never guessed, and never free unless unknown_model="free"
            print(error)
        by_model = session.report()["breakdown"]["llm"]["by_model"]
        print(f"{served} answers of Azure, ${session.spent} spent: {by_model}")
        assert session.spent == azure.bill + local.bill <= Decimal("0.01")
        assert (azure.calls, local.calls) == (served, 2) and served > 10


if __name__ == "__main__":
    main()

"""An app with several users: each has a budget, the app has one, and no user can spend another's money.

Runs against a provider on this machine; with OPENAI_API_KEY set, against the real one.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from bursar import Budget, BudgetExceeded
from bursar.testing import ScriptedProvider
from bursar_langchain import BudgetCallback

USERS = ("alice", "bob", "carol")


def main() -> None:
    app = Budget("$10/month", child_limits=["$0.0005/day"], name="app")
    app.child("carol").set_limit("$0.01/day")  # who pays for more
    budget = BudgetCallback(app, tenant="user_id")
    with ExitStack() as stack:
        if "OPENAI_API_KEY" in os.environ:
            model = ChatOpenAI(model="gpt-4o-mini", max_completion_tokens=100, max_retries=0)
        else:
            provider = stack.enter_context(ScriptedProvider())
            model = ChatOpenAI(
                model="gpt-4o-mini",
                max_completion_tokens=100,
                max_retries=0,
                base_url=provider.openai_url,
                api_key=SecretStr("none"),
            )

        def serve(request: tuple[int, str]) -> str | None:
            number, user = request
            try:
                model.invoke(f"Question {number}", {"callbacks": [budget], "metadata": {"user_id": user}})
            except BudgetExceeded:
                return user
            return None

        with ThreadPoolExecutor(8) as pool:
            refused = list(pool.map(serve, [(number, USERS[number % 3]) for number in range(60)]))
    for user, spent in budget.report()["tenants"].items():
        print(f"{user:8} ${spent:.6f}, {refused.count(user)} of 20 questions refused")
    print(f"all      ${budget.spent}")


if __name__ == "__main__":
    main()

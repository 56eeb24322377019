"""A report for whoever pays: what each team and each model cost this month, as text, as JSON and as a table.

Runs against a provider on this machine.
"""

from __future__ import annotations

import csv
import io
import json

import openai

from bursar import Budget, BudgetExceeded, report_text, wrap_client
from bursar.testing import ScriptedProvider

TEAMS = {"search": ("gpt-4o", "$0.01/month", 30), "support": ("gpt-4o-mini", "$0.01/month", 20)}


def main() -> None:
    company = Budget("$1/month", name="company", tool_prices={"web_search": "$0.0001"}, soft_limit=None)
    with ScriptedProvider() as provider:
        for name, (model, limit, calls) in TEAMS.items():
            team = company.child(name, limit)
            with team.session(project="autumn", asked_by=object()) as session:
                client = wrap_client(openai.OpenAI(base_url=provider.openai_url, api_key="none"), session)
                search = session.track_tool(tool_name="web_search")(str)
                try:
                    for number in range(calls):
                        found = search(f"source {number}")
                        client.chat.completions.create(
                            model=model, messages=[{"role": "user", "content": found}], max_tokens=200
                        )
                except BudgetExceeded as refusal:
                    print(f"{name}: {refusal}\n")
                json.dumps(session.report(), allow_nan=False)  # whatever the metadata is
        report = company.report()

        print(report_text(report))  # for a mail
        text = io.StringIO()
        table = csv.writer(text)  # for a spreadsheet
        table.writerow(["team", "spent", "left", "calls", "refused"])
        for child in report["children"]:
            calls = child["breakdown"]["llm"]["calls"]
            table.writerow(
                [child["session_id"], child["total_spent"], child["remaining"], calls, child["refusals"]]
            )
        print("\n" + text.getvalue())
        assert json.loads(json.dumps(report)) == report  # for a dashboard
        searches = report["breakdown"]["tools"]["total"]
        assert report["total_spent"] == round(float(provider.bill) + searches, 9)
        assert [child["session_id"] for child in report["children"]] == [*TEAMS]
        assert sum(child["total_spent"] for child in report["children"]) == report["total_spent"]


if __name__ == "__main__":
    main()

"""A plugin that knows the prices of a house's own models, and lets nobody use the large one at night.

Runs against a provider on this machine.
"""

from __future__ import annotations

import os

import openai

from bursar import Budget, Call, CallVetoed, Price, Session, hookimpl
from bursar.testing import Rate, ScriptedProvider

PRICES = {"house-small": Price("0.10", "0.40"), "house-large": Price("3", "15")}


class House:
    """The plugin; installed by the entry-point group ``bursar``, it would serve every budget."""

    night = False

    @hookimpl
    def bursar_price(self, model: str) -> Price | None:
        return PRICES.get(model)

    @hookimpl
    def bursar_before_reserve(self, call: Call, session: Session) -> None:
        if self.night and call.model == "house-large":
            raise CallVetoed(f"{call.model} is not used at night; take house-small")


def ask(model: str) -> str | None:
    answer = openai.OpenAI().chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Why is the sky blue?"}], max_tokens=100
    )
    return answer.choices[0].message.content


def main() -> None:
    rates = {"house-small": Rate("0.10", "0.40"), "house-large": Rate("3", "15")}
    with ScriptedProvider(rates=rates) as provider:
        os.environ |= {"OPENAI_BASE_URL": provider.openai_url, "OPENAI_API_KEY": "none"}
        house = House()
        with Budget("$0.01", plugins=[house]).session() as session:
            ask("house-large")
            house.night = True
            try:
                ask("house-large")
            except CallVetoed as veto:
                print(veto)
                ask("house-small")
        print(session.report()["breakdown"]["llm"]["by_model"])
        assert provider.calls == session.calls == 2
        assert session.spent == provider.bill


if __name__ == "__main__":
    main()

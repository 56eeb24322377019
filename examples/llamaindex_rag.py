"""A query engine over some documents: every embedding and every answer is paid for by one budget.

Runs against a provider on this machine; with OPENAI_API_KEY set, against the real one.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI

from bursar import BudgetExceeded
from bursar.testing import ScriptedProvider
from bursar_llamaindex import BudgetCallback

DOCUMENTS = [Document(text="The sky is blue."), Document(text="Grass is green.")]


def main() -> None:
    budget = BudgetCallback("$0.0005")
    Settings.callback_manager = CallbackManager([budget])
    there: dict[str, Any] = {}
    with ExitStack() as stack:
        if "OPENAI_API_KEY" not in os.environ:
            provider = stack.enter_context(ScriptedProvider())
            there = {"api_base": provider.openai_url, "api_key": "none"}
        Settings.llm = OpenAI(model="gpt-4o-mini", max_tokens=200, **there)
        Settings.embed_model = OpenAIEmbedding(model="text-embedding-3-small", **there)
        engine = VectorStoreIndex.from_documents(DOCUMENTS).as_query_engine()
        answered = 0
        try:
            while answered < 100:
                print(engine.query(f"What colour is the sky? Ask {answered}:"))
                answered += 1
        except BudgetExceeded as refusal:
            print(refusal)
    models = budget.report()["breakdown"]["llm"]["by_model"]
    print(f"{answered} answers for ${budget.spent}: {models}")
    assert 0 < answered < 100
    assert budget.spent <= 0.0005


if __name__ == "__main__":
    main()

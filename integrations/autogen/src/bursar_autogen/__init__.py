"""Hard dollar budgets for AutoGen: of AgentChat where it is installed, else of the classic `autogen`."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .agentchat import (
        BudgetedAssistantAgent,
        BudgetedChatCompletionClient,
        BudgetedCodeExecutorAgent,
        BudgetedTeam,
        BudgetedUserProxyAgent,
        BudgetTermination,
        budgeted,
    )

__all__ = [
    "BudgetTermination",
    "BudgetedAssistantAgent",
    "BudgetedChatCompletionClient",
    "BudgetedCodeExecutorAgent",
    "BudgetedTeam",
    "BudgetedUserProxyAgent",
    "budgeted",
]

_FAMILIES = {"autogen_agentchat": "agentchat", "autogen": "classic"}


def __getattr__(name: str) -> object:
    """Import a framework only when one of the names is used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for framework, family in _FAMILIES.items():
        if find_spec(framework) is not None:
            module = import_module(f".{family}", __name__)
            if name in module.__all__:
                return getattr(module, name)
            break
    raise ImportError(
        f"{name} needs AutoGen: pip install autogen-agentchat 'autogen-ext[openai]' (AgentChat),"
        " or pip install 'autogen[openai]' (the classic `import autogen`);"
        " for ag2 1.x see bursar_autogen.ag2"
    )


def __dir__() -> list[str]:
    return sorted(__all__)

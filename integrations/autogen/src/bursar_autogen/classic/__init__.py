"""Budgets for the classic family: what is imported as `autogen` (autogen, ag2 < 1, pyautogen < 0.10).

The budget hangs on the agents, not on the context: these run their chats in threads of their own.
"""

from ._agents import (
    BudgetedAssistantAgent,
    BudgetedGroupChatManager,
    BudgetedUserProxyAgent,
    budgeted,
)

__all__ = [
    "BudgetedAssistantAgent",
    "BudgetedGroupChatManager",
    "BudgetedUserProxyAgent",
    "budgeted",
]

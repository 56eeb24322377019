"""Budgets for AgentChat: `autogen_agentchat` 0.6.4 and later."""

from ._agents import BudgetedAssistantAgent, BudgetedCodeExecutorAgent, BudgetedUserProxyAgent
from ._client import BudgetedChatCompletionClient
from ._team import BudgetedTeam, budgeted
from ._termination import BudgetTermination
from ._tools import BudgetedWorkbench

__all__ = [
    "BudgetTermination",
    "BudgetedAssistantAgent",
    "BudgetedChatCompletionClient",
    "BudgetedCodeExecutorAgent",
    "BudgetedTeam",
    "BudgetedUserProxyAgent",
    "BudgetedWorkbench",
    "budgeted",
]

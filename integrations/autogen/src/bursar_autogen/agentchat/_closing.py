"""The closing call of a session: one final answer, without tools, from the finalization reserve."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from weakref import ReferenceType, WeakKeyDictionary, WeakSet, ref

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient, LLMMessage, UserMessage

from bursar import BudgetExceeded, Session

_logger = logging.getLogger("bursar")
_closed: WeakSet[Session] = WeakSet()
_clients: WeakKeyDictionary[Session, ReferenceType[ChatCompletionClient]] = WeakKeyDictionary()
_LAST = "The budget is used up. Give your final answer now, from what you know already."


def remember(session: Session, client: ChatCompletionClient) -> None:
    """This client was the last to spend from the session: it can be asked for the final answer."""
    _clients[session] = ref(client)


def said(messages: Iterable[BaseAgentEvent | BaseChatMessage]) -> list[LLMMessage]:
    """What a team has said, as a model reads it; events of tools are left out."""
    return [message.to_model_message() for message in messages if isinstance(message, BaseChatMessage)]


async def final_answer(
    session: Session,
    messages: Sequence[LLMMessage],
    client: ChatCompletionClient | None = None,
    cancellation_token: CancellationToken | None = None,
) -> str | None:
    """Ask for the final answer, once a session. Never raises what the call fails with.

    Args:
        session: whose reserve pays.
        messages: what was said.
        client: who is asked; by default the client that spent from the session last.
        cancellation_token: of the run.

    Returns:
        The answer; None: there is no reserve, nobody to ask, or no answer, or it was given before.
    """
    found = _clients.get(session)
    asked = client if client is not None or found is None else found()
    if asked is None or not messages or not session.keeps_reserve or session in _closed:
        return None
    _closed.add(session)
    with session.finalize():
        try:
            wanted = [*messages, UserMessage(content=_LAST, source="user")]
            result = await asked.create(wanted, cancellation_token=cancellation_token)
        except BudgetExceeded:
            return None
        except Exception:
            _logger.exception("the final answer could not be had")
            return None
    return result.content if isinstance(result.content, str) else None

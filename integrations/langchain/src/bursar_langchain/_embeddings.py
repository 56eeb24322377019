"""What LangChain shows to no handler, and the one warning about it."""

from __future__ import annotations

import logging
from functools import lru_cache

_logger = logging.getLogger("bursar")


@lru_cache(maxsize=64)
def warn_of_embeddings(maker: str) -> None:
    """Say once for each maker that its embeddings are not under the budget of the handler."""
    _logger.warning(
        "a retriever asks %.60s for embeddings: LangChain has no callbacks for them, so that this budget"
        " does not see them; cover the SDK of the provider as well",
        maker,
    )

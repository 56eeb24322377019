"""Models that search, run tools or ask other models within one call, as often as they like."""

from __future__ import annotations

import re
from functools import lru_cache

# Perplexity bills each search, citation and thought of deep research beside the answer; so does Google.
# OpenAI's deep research searches by tools of the request, whose runs the request bounds. Groq's compound
# systems run tools and other models. `:online` lets OpenRouter add searches to any model.
# Read on 2026-11-29: docs.perplexity.ai/getting-started/pricing; use-deep-research of docs.cloud.google.com;
# console.groq.com/docs/compound/systems. What `:online` costs was not confirmed; it is refused all the same.
_UNBOUNDED = re.compile(r"sonar-deep-research|(?<!o3-)(?<!o4-mini-)deep-research|(^|/)compound\b|:online$")


@lru_cache(1_024)  # each reserve asks for it
def model_has_no_bound(model: str) -> bool:
    """True when nothing in a request bounds what a call to the model costs."""
    return _UNBOUNDED.search(model.lower()) is not None

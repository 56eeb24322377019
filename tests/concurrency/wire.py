"""A request over real HTTP, without an SDK."""

from __future__ import annotations

import urllib.request


def ask_models(url: str) -> int:
    """The status of a list of models."""
    request = urllib.request.Request(f"{url}/v1/models", headers={"authorization": "Bearer none"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.status)

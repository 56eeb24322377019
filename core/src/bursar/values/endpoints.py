"""What providers sell that has no price beforehand, and the words that let it pass all the same."""

from __future__ import annotations

from collections.abc import Collection

ENDPOINTS = {
    "agents": "agents and assistants that run at the provider",
    "audio": "speech, transcriptions and translations",
    "batches": "batches of requests that run later",
    "containers": "machines that are rented",
    "evals": "evaluations that run at the provider",
    "fine_tuning": "the training of models",
    "images": "pictures",
    "realtime": "calls and other conversations over WebSockets",
    "stores": "storage that is rented, and searches in it",
    "videos": "films",
    "other": "requests to paths that are not known",
}


def check_allow(allow: object) -> frozenset[str]:
    """The endpoints that a budget lets pass; ``"fine-tuning"`` is ``"fine_tuning"``.

    Raises:
        ValueError: not a collection of words, or a word that names no endpoint.
    """
    if isinstance(allow, str) or not isinstance(allow, Collection):
        raise ValueError(f"allow={allow!r:.60} is not a tuple of endpoints, like ('audio',)")
    words = set()
    for word in allow:
        known = word.replace("-", "_") if isinstance(word, str) else None
        if known not in ENDPOINTS:
            raise ValueError(f"allow={word!r:.60} is not one of {', '.join(map(repr, ENDPOINTS))}")
        words.add(known)
    return frozenset(words)

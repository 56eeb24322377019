"""The paths of OpenAI's API: what is priced, what is free, and what nothing bounds beforehand."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from bursar.sdk import Paths, biller

Kind = Literal["chat", "compact", "completions", "responses", "embeddings", "free", "unbounded"]

# Paths that are sent to. To what is unbounded belongs a word of Budget's `allow=`.
_SENT_TO: tuple[tuple[str, Kind, str | None], ...] = (
    ("chat/completions", "chat", None),
    ("completions", "completions", None),
    ("responses", "responses", None),
    ("responses/compact", "compact", None),
    ("embeddings", "embeddings", None),
    # Counted, stored, looked after: no model runs.
    ("chat/completions/*", "free", None),
    ("responses/input_tokens", "free", None),
    ("responses/*/cancel", "free", None),
    ("moderations", "free", None),
    ("conversations", "free", None),
    ("conversations/*", "free", None),
    ("conversations/*/items", "free", None),
    ("files", "free", None),
    ("uploads", "free", None),
    ("uploads/*/cancel", "free", None),
    ("uploads/*/complete", "free", None),
    ("uploads/*/parts", "free", None),
    ("skills", "free", None),
    ("skills/*", "free", None),
    ("skills/*/versions", "free", None),
    ("organization/**", "free", None),
    ("projects/**", "free", None),
    ("vaults", "free", None),
    ("vaults/*", "free", None),
    ("vaults/*/credentials", "free", None),
    ("vaults/*/credentials/*", "free", None),
    ("webhook_endpoints", "free", None),
    ("webhook_endpoints/*", "free", None),
    ("webhook_endpoints/*/rotate_secret", "free", None),
    ("webhook_endpoints/*/test", "free", None),
    ("batches/*/cancel", "free", None),
    ("chatkit/sessions/*/cancel", "free", None),
    ("containers/*/files", "free", None),
    ("evals", "free", None),
    ("evals/*", "free", None),
    ("evals/*/runs/*", "free", None),  # cancels it, in older SDKs
    ("evals/*/runs/*/cancel", "free", None),
    ("fine_tuning/alpha/graders/validate", "free", None),
    ("fine_tuning/checkpoints/*/permissions", "free", None),
    ("fine_tuning/jobs/*/cancel", "free", None),
    ("fine_tuning/jobs/*/pause", "free", None),
    ("live/sessions/*/hangup", "free", None),
    ("live/sessions/*/reject", "free", None),
    ("realtime/calls/*/hangup", "free", None),
    ("realtime/calls/*/reject", "free", None),
    ("vector_stores/*/file_batches/*/cancel", "free", None),
    ("assistants", "free", None),
    ("assistants/*", "free", None),
    ("threads/runs", "unbounded", "agents"),
    ("threads", "free", None),
    ("threads/*", "free", None),
    ("threads/*/messages", "free", None),
    ("threads/*/messages/*", "free", None),
    ("threads/*/runs/*", "free", None),
    ("threads/*/runs/*/cancel", "free", None),
    # What it costs is known afterwards, if at all.
    ("agents/**", "unbounded", "agents"),
    ("chatkit/**", "unbounded", "agents"),
    ("threads/**", "unbounded", "agents"),
    ("audio/**", "unbounded", "audio"),
    ("batches", "unbounded", "batches"),
    ("containers", "unbounded", "containers"),
    ("evals/*/runs", "unbounded", "evals"),
    ("fine_tuning/**", "unbounded", "fine_tuning"),
    ("images/**", "unbounded", "images"),
    ("live/**", "unbounded", "realtime"),
    ("realtime/**", "unbounded", "realtime"),
    ("vector_stores/**", "unbounded", "stores"),
    ("videos/**", "unbounded", "videos"),
    ("content_provenance_checks", "unbounded", "other"),
    ("decisions", "unbounded", "other"),
)
PATHS = Paths(_SENT_TO, free="free", unbounded="unbounded")
_DEPLOYMENT = re.compile(r"deployments/([^/]+)")
_NEWER = re.compile(r"(^|[/:])(o[134]|gpt-[5-9])")  # models that reject `max_tokens`
_ANSWER = re.compile(r"(?:^|/)responses/([^/]+)(?:/cancel)?$")


class Where(NamedTuple):
    """Where a request goes.

    Attributes:
        kind: what it is billed as.
        host: its name and port.
        provider: who bills; None: whoever made the model.
        word: that of ``allow=``, where nothing bounds the cost.
        deployment: of Azure, if the path names one.
        answer: the id of the answer that is asked after, or cancelled.
    """

    kind: Kind
    host: str
    provider: str | None = None
    word: str | None = None
    deployment: str | None = None
    answer: str | None = None

    def new_cap(self, model: str) -> str:
        """The member that caps the output of a body which has none yet."""
        if self.kind == "responses":
            return "max_output_tokens"
        newer = self.provider == "openai" or _NEWER.search(model) is not None
        return "max_completion_tokens" if self.kind == "chat" and newer else "max_tokens"


@lru_cache(maxsize=1_024)
def where(method: str, url: str, base_url: str) -> Where:
    """Where a request goes, by its method and its URL, whole or below the base."""
    host = urlsplit(url).netloc or urlsplit(base_url).netloc
    path = urlsplit(url).path.strip("/")
    deployment = _DEPLOYMENT.search(f"{urlsplit(base_url).path}{path}")
    path = _DEPLOYMENT.sub("", path).strip("/")
    answer = _ANSWER.search(path)
    kind, word = PATHS.billed(method, path)
    asked_after = method.lower() == "get" or path.endswith("/cancel")
    return Where(
        kind=kind,
        host=host,
        provider=biller(host),
        word=word,
        deployment=deployment and deployment[1],
        answer=answer[1] if answer is not None and asked_after else None,
    )

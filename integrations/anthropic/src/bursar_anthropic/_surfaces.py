"""The paths of Anthropic's API, here and at clouds: what is priced, what is free, and what nothing bounds."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from bursar.sdk import Paths, biller

Kind = Literal["messages", "complete", "free", "unbounded"]

# Paths that are sent to. To what is unbounded belongs a word of Budget's `allow=`.
_SENT_TO: tuple[tuple[str, Kind, str | None], ...] = (
    ("messages", "messages", None),
    ("complete", "complete", None),
    # Amazon Bedrock and Vertex AI have the model in the path.
    ("model/*/invoke", "messages", None),
    ("model/*/invoke-with-response-stream", "messages", None),
    ("projects/*/locations/*/publishers/anthropic/models/count-tokens:rawPredict", "free", None),
    ("models/*:rawPredict", "messages", None),
    ("models/*:streamRawPredict", "messages", None),
    # Counted, stored, looked after: no model runs.
    ("messages/count_tokens", "free", None),
    ("messages/batches/*/cancel", "free", None),
    ("agents/**", "free", None),
    ("compliance/**", "free", None),
    ("deployments/*/archive", "free", None),
    ("deployments/*/pause", "free", None),
    ("dreams/*/archive", "free", None),
    ("dreams/*/cancel", "free", None),
    ("environments/**", "free", None),
    ("files/**", "free", None),
    ("memory_stores/**", "free", None),
    ("organizations/**", "free", None),
    ("sessions/*/archive", "free", None),
    ("sessions/*/resources/**", "free", None),
    ("sessions/*/threads/*/archive", "free", None),
    ("skills/**", "free", None),
    ("tunnels/**", "free", None),
    ("user_profiles/**", "free", None),
    ("vaults/**", "free", None),
    # What it costs is known afterwards, if at all.
    ("deployments/**", "unbounded", "agents"),
    ("dreams/**", "unbounded", "agents"),
    ("sessions/**", "unbounded", "agents"),
    ("messages/batches", "unbounded", "batches"),
)
PATHS = Paths(_SENT_TO, free="free", unbounded="unbounded")
_LOCATION = re.compile(r"projects/[^/]+/locations/([^/]+)/publishers")
_MODEL = re.compile(r"model/([^/]+)/invoke|models/([^/]+):(?:raw|streamRaw)Predict")

# Who bills, by the module of the client's class, whatever gateway stands before it.
_CLOUDS = {
    "anthropic.lib.aws": "anthropic",
    "anthropic.lib.bedrock": "bedrock",
    "anthropic.lib.foundry": "azure",
    "anthropic.lib.google_cloud": "anthropic",
    "anthropic.lib.vertex": "vertex",
}


class Where(NamedTuple):
    """Where a request goes.

    Attributes:
        kind: what it is billed as.
        provider: who bills; None: whoever made the model.
        word: that of ``allow=``, where nothing bounds the cost.
        model: the one in the path, if there is one.
        region: of Vertex AI.
    """

    kind: Kind
    provider: str | None = None
    word: str | None = None
    model: str | None = None
    region: str | None = None


def where(client: Any, method: str, url: str) -> Where:
    """Where a request of a client goes, by its method and its URL, whole or below the base."""
    path = urlsplit(url).path
    kind, word = PATHS.billed(method, path)
    host = urlsplit(url).netloc or urlsplit(str(client.base_url)).netloc
    named = _MODEL.search(path)
    model = named and unquote(named[1] or named[2])
    provider = _cloud(type(client)) or biller(host)
    located = _LOCATION.search(path)
    region = located[1] if located else getattr(client, "region", None) if provider == "vertex" else None
    return Where(kind, provider, word, model, region)


def _cloud(kind: type) -> str | None:
    modules = [".".join(base.__module__.split(".")[:3]) for base in kind.__mro__]
    return next((_CLOUDS[module] for module in modules if module in _CLOUDS), None)

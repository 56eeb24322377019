"""Which surface a path of a provider belongs to."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from ._anthropic import Complete, Messages
from ._audio import Speech, Transcriptions
from ._openai import Chat, Completions, Embeddings, Images
from ._responses import Compact, Responses
from ._shapes import Surface

SURFACES: dict[str, Surface] = {
    "chat/completions": Chat(),
    "completions": Completions(),
    "responses": Responses(),
    "responses/compact": Compact(),
    "embeddings": Embeddings(),
    "images/generations": Images(),
    "audio/speech": Speech(),
    "audio/transcriptions": Transcriptions(),
    "messages": Messages(),
    "complete": Complete(),
}
# Of OpenAI and Anthropic, and of Azure, old and new, also below the address of OpenAI.
_BILLED = re.compile(
    r"(?:/v1(?=/openai/))?/(?:openai/deployments/(?P<deployment>[^/]+)|openai/v1|openai|anthropic/v1|v1)/(?P<surface>[a-z/]+)"
)
# Amazon Bedrock and Vertex AI name the model of Anthropic's in the path.
_CLOUD = re.compile(
    r"/model/(?P<bedrock>[^/]+)/invoke(?P<framed>-with-response-stream)?"
    r"|/(?:v1/)?projects/[^/]+/locations/[^/]+/publishers/anthropic/models"
    r"/(?P<vertex>[^/:]+):(?:rawPredict|streamRawPredict)"
)


class Called(NamedTuple):
    """What a path calls.

    Attributes:
        surface: answers.
        model: the name of a deployment in the path, or of a model there; None: the body has one.
        framed: whether the answer is a stream of Amazon's frames.
    """

    surface: Surface
    model: str | None = None
    framed: bool = False


def called(path: str) -> Called | None:
    """What a path calls that is billed; None: nothing that is."""
    cloud = _CLOUD.fullmatch(path)
    if cloud is not None:
        model = unquote(cloud["bedrock"] or cloud["vertex"])
        return Called(SURFACES["messages"], model, framed=bool(cloud["framed"]))
    billed = _BILLED.fullmatch(path)
    surface = SURFACES.get(billed["surface"]) if billed else None
    deployment = billed["deployment"] if billed else None
    return Called(surface, deployment and unquote(deployment)) if surface else None

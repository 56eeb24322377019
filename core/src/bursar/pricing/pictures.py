"""The most input tokens that one picture can cost, by the family of the model."""

from __future__ import annotations

import math
import re

# OpenAI, developers.openai.com/api/docs/guides/images-vision, a copy that lists gpt-5.6, read on
# 2026-11-29. Tiles: a picture is scaled to at most 2048 x 2048, its shorter side to 768, and costs a base
# and a price for each 512 x 512: at most 8. Patches of 32 x 32: as many as the dearest detail of the model
# takes, times a factor, and a token for rounding. Where an older copy has more patches or a larger factor,
# that counts.
_TILES = {
    "gpt-4o": (85, 170), "gpt-4.1": (85, 170), "gpt-4-turbo": (85, 170), "gpt-4.5-preview": (85, 170),
    "gpt-4o-mini": (2_833, 5_667), "gpt-5": (70, 140), "gpt-5-chat": (70, 140), "gpt-5.1": (70, 140),
    "o1": (75, 150), "o1-pro": (75, 150), "o3": (75, 150),
}  # fmt: skip
_PATCHES = {
    "gpt-4.1-mini": (6_144, 1.62), "gpt-4.1-nano": (6_144, 2.46), "o4-mini": (6_144, 1.72),
    "gpt-5-mini": (6_144, 1.62), "gpt-5-nano": (6_144, 2.46), "gpt-5.2": (6_144, 1.2),
    "gpt-5.4": (10_000, 1.2), "gpt-5.4-mini": (10_000, 1.62), "gpt-5.4-nano": (10_000, 2.46),
    "gpt-5.5": (10_000, 1.2),
    "gpt-5.6-sol": (30_000, 1.2), "gpt-5.6-terra": (30_000, 1.2), "gpt-5.6-luna": (30_000, 1.2),
}  # fmt: skip
MOST_TILES = 8
_DEAREST_PATCHES = (30_000, 2.46)  # more patches are rejected
# Anthropic, platform.claude.com/docs/en/build-with-claude/vision, excerpts read on 2026-11-29: a token for
# each 28 x 28, at most 1,568, from Claude 4.7 on 4,784. In older copies a token for 750 pixels: at most
# 1,640.
_CLAUDE, _CLAUDE_LARGE = 1_640, 4_784
_SMALL_CLAUDE = re.compile(
    r"claude-(?:v?[12]\b|instant|3|(?:haiku|sonnet|opus)-4(?:-[0156])?(?:[-@]20[0-9]{6})?$)"
)
# Google, firebase.google.com/docs/ai-logic/input-file-requirements, a copy read on 2026-11-29: scaled into
# 3072 x 3072; 258 tokens for each tile, whose side is the shorter side over 1.5, from 256 to 768: at most 24.
# Gemini 3 takes at most 2,240 instead, by ai.google.dev/gemini-api/docs/media-resolution, read on that day.
_GEMINI = 24 * 258
_GPT = re.compile(r"(?:^|/)(?:chatgpt|gpt|o[1-9])(?:-|\b)")
_GPT_4 = re.compile(r"(?:^|/)(?:chatgpt|gpt)-4")


def picture_tokens(names: tuple[str, ...]) -> int | None:
    """The most that one picture can cost; None for a family whose rule is not known.

    A version that is not known costs what the dearest of its family does.

    Args:
        names: the requested model, then the names that it also answers to.
    """
    for name in names:
        if name in _TILES:
            base, each = _TILES[name]
            return base + MOST_TILES * each
        if name in _PATCHES:
            return _patches(*_PATCHES[name])
    return next((most for name in names if (most := _of_family(name.lower())) is not None), None)


def _of_family(name: str) -> int | None:
    if "claude" in name:
        return _CLAUDE if _SMALL_CLAUDE.search(name.rpartition("/")[2]) else _CLAUDE_LARGE
    if "gemini" in name:
        return _GEMINI
    if _GPT_4.search(name):
        base, each = _TILES["gpt-4o-mini"]
        return base + MOST_TILES * each
    return _patches(*_DEAREST_PATCHES) if _GPT.search(name) else None


def _patches(most: int, factor: float) -> int:
    return math.ceil(most * factor) + 1

"""The most input tokens that one picture can cost, by the family of the model."""

from __future__ import annotations

import re

# By OpenAI's guide "Images and vision", of 2026-11-24. Tiles: a picture is scaled to at most 2048 x 2048, its
# shorter side to 768, and costs a base and a price for each 512 x 512: at most 8. Patches of 32 x 32: at most
# 1,536 (10,000 at the detail "original" from gpt-5.2 on), times a factor of the model.
_TILES = {
    "gpt-4o": (85, 170), "gpt-4.1": (85, 170), "gpt-4-turbo": (85, 170), "gpt-4.5-preview": (85, 170),
    "gpt-4o-mini": (2_833, 5_667), "gpt-5": (70, 140), "gpt-5-chat": (70, 140),
    "o1": (75, 150), "o1-pro": (75, 150), "o3": (75, 150),
}  # fmt: skip
_PATCHES = {
    "gpt-4.1-mini": 1.62, "gpt-4.1-nano": 2.46, "gpt-5-mini": 1.62, "gpt-5-nano": 2.46, "o4-mini": 1.72,
}  # fmt: skip
MOST_TILES, MOST_PATCHES, MOST_ORIGINAL = 8, 1_536, 10_000
_DEAREST_FACTOR = 2.46
# Anthropic, "Vision", of 2026-11-24: a token for 750 pixels; up to 1,600, from claude-opus-4-7 on 4,784.
_CLAUDE, _CLAUDE_LARGE = 1_640, 4_784
_SMALL_CLAUDE = re.compile(
    r"claude-(?:v?[12]\b|instant|3|(?:haiku|sonnet|opus)-4(?:-[0156])?(?:[-@]20[0-9]{6})?$)"
)
# Google, "Image understanding", of 2026-11-24: at most 3072 x 3072, 258 tokens for each tile, whose side is
# the shorter side over 1.5, from 256 to 768: at most 24. Gemini 3 takes up to 2,240 instead.
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
            return _rounded_up(MOST_PATCHES * _PATCHES[name])
    return next((most for name in names if (most := _of_family(name.lower())) is not None), None)


def _of_family(name: str) -> int | None:
    if "claude" in name:
        return _CLAUDE if _SMALL_CLAUDE.search(name.rpartition("/")[2]) else _CLAUDE_LARGE
    if "gemini" in name:
        return _GEMINI
    if _GPT_4.search(name):
        base, each = _TILES["gpt-4o-mini"]
        return base + MOST_TILES * each
    return _rounded_up(MOST_ORIGINAL * _DEAREST_FACTOR) if _GPT.search(name) else None


def _rounded_up(tokens: float) -> int:
    return -int(-tokens // 1)

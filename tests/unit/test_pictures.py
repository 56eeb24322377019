"""What one picture costs at the most, against the published formulas on twenty sizes."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bursar import Budget
from bursar.pricing.pictures import picture_tokens

SIZES = [
    (1, 1), (64, 64), (256, 256), (300, 3_000), (384, 384), (400, 3_072), (512, 512), (640, 480), (768, 768),
    (800, 600), (1_024, 1_024), (1_092, 1_092), (1_568, 1_568), (1_920, 1_080), (2_048, 768), (2_048, 2_048),
    (2_576, 2_576), (3_072, 384), (4_000, 3_000), (8_000, 8_000),
]  # fmt: skip


def tiles(width: int, height: int, base: int, each: int) -> int:
    """OpenAI: scaled into 2048 x 2048, then the shorter side to 768; a price for each 512 x 512."""
    scale = min(1.0, 2_048 / max(width, height))
    scale = min(scale, 768 / min(width, height))
    return base + each * math.ceil(width * scale / 512 - 1e-9) * math.ceil(height * scale / 512 - 1e-9)


def patches(width: int, height: int, side: int, most: int, factor: float) -> int:
    """OpenAI: scaled into a square, then patches of 32 x 32, scaled down to the most that a model takes."""
    scale = min(1.0, side / max(width, height))
    return math.ceil(min(most, math.ceil(width * scale / 32) * math.ceil(height * scale / 32)) * factor)


def claude(width: int, height: int, side: int, most: int) -> int:
    """Anthropic: the longer side at most so long; a token for each 28 x 28, scaled down to the most."""
    scale = min(1.0, side / max(width, height))
    return min(most, math.ceil(width * scale / 28) * math.ceil(height * scale / 28))


def old_claude(width: int, height: int) -> int:
    """Anthropic, before: the longer side at most 1568, at most 1.15 megapixels; a token for 750 pixels."""
    scale = min(1.0, 1_568 / max(width, height), math.sqrt(1_150_000 / (width * height)))
    return math.ceil(width * scale * height * scale / 750)


def gemini(width: int, height: int) -> int:
    """Google: at most 3072 x 3072; 258 for a small one, else for each tile."""
    scale = min(1.0, 3_072 / max(width, height))
    width, height = math.ceil(width * scale), math.ceil(height * scale)
    if max(width, height) <= 384:
        return 258
    side = min(768, max(256, math.floor(min(width, height) / 1.5)))
    return 258 * math.ceil(width / side) * math.ceil(height / side)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_no_size_costs_more(size: tuple[int, int]) -> None:
    """Of each family, in either orientation."""
    for width, height in (size, size[::-1]):
        for model, base, each in (("gpt-4o", 85, 170), ("gpt-4o-mini", 2_833, 5_667), ("gpt-5.1", 70, 140)):
            assert tiles(width, height, base, each) <= (picture_tokens((model,)) or 0)
        for model, side, most, factor in (
            ("gpt-4.1-mini", 2_048, 6_144, 1.62), ("gpt-5-nano", 2_048, 1_536, 2.46),
            ("o4-mini", 2_048, 1_536, 1.72), ("gpt-5.2", 2_048, 6_144, 1.2), ("gpt-5.4", 6_000, 10_000, 1.2),
            ("gpt-5.6-luna", 65_535, 30_000, 1.2), ("gpt-6", 65_535, 30_000, 2.46),
        ):  # fmt: skip
            assert patches(width, height, side, most, factor) < (picture_tokens((model,)) or 0)
        assert claude(width, height, 1_568, 1_568) <= (picture_tokens(("claude-opus-4-5",)) or 0)
        assert old_claude(width, height) <= (picture_tokens(("claude-3-opus",)) or 0)
        assert claude(width, height, 2_576, 4_784) <= (picture_tokens(("claude-opus-4-7",)) or 0)
        assert gemini(width, height) <= (picture_tokens(("gemini-2.5-pro",)) or 0)


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-3-opus", 1_640), ("claude-sonnet-4-20250514", 1_640), ("claude-opus-4-1", 1_640),
        ("claude-opus-4-5-20251101", 1_640), ("claude-opus-4-7", 4_784), ("claude-fable-5", 4_784),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", 4_784), ("google/gemini-9-ultra", 6_192),
        ("gpt-5", 1_190), ("gpt-5.4", 12_001), ("gpt-5.6-sol", 36_001), ("gpt-6", 73_801),
        ("o9-mini", 73_801), ("gpt-4-vision-of-mine", 48_169),
        ("llama-4-scout", None), ("my-bot1", None), ("o1", 1_275),
    ],
)  # fmt: skip
def test_a_version_that_is_not_known_costs_what_the_dearest_of_its_family_does(
    model: str, tokens: int | None
) -> None:
    """And one of an unknown family has no bound but its context window."""
    assert picture_tokens((model,)) == tokens


@pytest.mark.parametrize("model", ["claude-opus-4-5", "gpt-5.4", "gemini-2.5-pro"])
def test_a_picture_fits_a_dollar(model: str) -> None:
    """It is not held at the whole context window; a family without a rule still is."""
    block: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    asked = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, block]}]
    hold = Budget("$1").session().reserve(model, messages=asked, max_output_tokens=500)
    assert hold.call.max_output_tokens == 500 and hold.call.input_tokens < 25_000
    other = Budget("$100").session().reserve("grok-4", messages=asked, max_output_tokens=500)
    assert other.call.input_tokens > 100_000

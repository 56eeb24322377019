"""How bursar spells the names of models: its own module, alone, because the package is not installed here."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_spec = importlib.util.spec_from_file_location(
    "model_names", ROOT / "core" / "src" / "bursar" / "pricing" / "model_names.py"
)
assert _spec is not None and _spec.loader is not None
_names = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_names)
spelled, undated, shorter_names = _names.spelled, _names.undated, _names.shorter_names


def family(name: str) -> str:
    """The model behind a name, whoever serves it."""
    short: str = [name, *shorter_names(name)][-1].rpartition("/")[2]
    return re.sub(r"(?<=[0-9])\.(?=[0-9])", "-", short)

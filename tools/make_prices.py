"""Write the price table that ships with bursar, from two public data sets.

    python tools/make_prices.py --litellm model_prices_and_context_window_backup.json
        [--litellm-version 1.2.3] [--date 2026-01-31] [--check]

Needs Python >= 3.11 with `genai-prices` installed, and the model JSON of the litellm
wheel. Prints where the two sources disagree by more than 1 %, how the new table
differs from the present one, and writes it. `--check` only prints.

A budget must hold whatever the vendor bills, so every doubt goes upwards: of two
prices the dearer one, of several times of day the dearest, an announced increase at
once, and what cannot be counted in tokens not at all. `price_corrections.json` has
the exceptions, each with a source and a date.
"""

from __future__ import annotations

import argparse
import json
from datetime import date, datetime, timezone
from importlib.metadata import version
from pathlib import Path

from prices.corrections import correct
from prices.join import join
from prices.names import ROOT
from prices.table import difference, dumped

TABLE = ROOT / "core" / "src" / "bursar" / "pricing" / "prices.json"
CORRECTIONS = Path(__file__).with_name("price_corrections.json")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the price table that ships with bursar.")
    parser.add_argument("--litellm", type=Path, required=True, help="the model prices JSON of litellm")
    parser.add_argument("--litellm-version", default="unknown")
    parser.add_argument("--date", type=date.fromisoformat, default=datetime.now(timezone.utc).date())
    parser.add_argument("--check", action="store_true", help="print the difference, write nothing")
    asked = parser.parse_args()
    corrections = json.loads(CORRECTIONS.read_text("utf-8"))
    table, unlike = join(json.loads(asked.litellm.read_text("utf-8")), corrections, asked.date)
    correct(table, corrections)
    head = {
        "date": asked.date.isoformat(),
        "genai-prices": version("genai-prices"),
        "litellm": asked.litellm_version,
        "unit": "pico-dollars per token; fee and q: nano-dollars each",
    }
    text = dumped(head, table)
    print(f"{len(unlike)} disagreements of more than 1 %, resolved upwards:", *unlike, sep="\n  ")
    old = TABLE.read_text("utf-8") if TABLE.exists() else '{"models":{}}'
    changed = list(difference(old, text))
    print(f"{len(changed)} names differ from the present table:", *changed, sep="\n  ")
    sizes = ", ".join(f"{provider} {len(rows)}" for provider, rows in table.items())
    print(f"{len(text):,} bytes; models: {sizes}")
    if not asked.check:
        TABLE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

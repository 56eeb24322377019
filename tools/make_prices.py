"""Write the price table that ships with bursar, from two public data sets.

    python tools/make_prices.py FOLDER [--check]

Needs Python >= 3.11. The folder has both sources as they were on several days, each in a folder
that is named by the day, as `nox -s prices` installs them; the newest is made into the table, the
others say how old a price is. Prints where the two sources disagree by more than 1 %, how the new
table differs from the present one, and writes it. `--check` only prints.

A budget must hold whatever the vendor bills, so every doubt goes upwards: of two prices the
dearer one, unless its source says so for more than 60 days longer than the other; of several
times of day the dearest, an announced increase at once, and what cannot be counted in tokens not
at all. `price_corrections.json` has the exceptions, each with a source and a date.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from prices.corrections import correct
from prices.join import join
from prices.names import ROOT
from prices.release import read
from prices.table import difference, dumped

TABLE = ROOT / "core" / "src" / "bursar" / "pricing" / "prices.json"
CORRECTIONS = Path(__file__).with_name("price_corrections.json")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the price table that ships with bursar.")
    parser.add_argument("folder", type=Path, help="both sources, in a folder for each day")
    parser.add_argument("--check", action="store_true", help="print the difference, write nothing")
    asked = parser.parse_args()
    corrections = json.loads(CORRECTIONS.read_text("utf-8"))
    releases = [read(day) for day in sorted(asked.folder.iterdir(), reverse=True)]
    table, unlike = join(releases, corrections)
    correct(table, corrections)
    head = {
        "date": releases[0].day.isoformat(),
        "genai-prices": releases[0].versions["genai-prices"],
        "litellm": releases[0].versions["litellm"],
        "unit": "pico-dollars per token; fee and q: nano-dollars each",
    }
    text = dumped(head, table)
    print(f"{len(unlike)} disagreements of more than 1 %:", *unlike, sep="\n  ")
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

"""Puts the figures of the last `make reliability` into docs/reliability.md.

    python -m docs.reliability

Each of its runs has left a file with its figures in var/figures. If one is missing, or something failed in it, nothing
is written: half a proof is none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.figures import Table, with_sections

DOCUMENT = Path(__file__).with_suffix(".md")
FIGURES = Path(__file__).parents[1] / "var" / "figures"
RUNS = ("faults", "soak", "attacks", "senders", "fuzz")  # what `make` calls them

Record = Mapping[str, Any]  # as tests/support/figures.py writes it


def sections(records: Mapping[str, Record]) -> dict[str, str]:
    """Return what the document is to say, by the names of its sections.

    records: of each run. Raises ValueError when one is missing, or something failed in it.
    """
    for name in RUNS:
        if name not in records:
            raise ValueError(f"there are no figures of `make {name}`")
        if not records[name]["good"]:
            raise ValueError(f"`make {name}` has failed: {records[name]['outcome']}")
    runs = [
        (f"`make {name}`", records[name]["outcome"], f"{records[name]['seconds'] / 60:.0f} min", records[name]["when"])
        for name in RUNS
    ]
    machine = [
        (what, " and ".join(sorted({records[name][what] for name in RUNS})))
        for what in ("mailrecv", "machine", "system", "Python")
    ]
    totals = [(what, number, f"`make {name}`") for name in RUNS for what, number in records[name]["totals"].items()]
    return {
        "runs": Table(["run", "outcome", "took", "ended"], runs).markdown(),
        "machine": Table(["", ""], machine).markdown(),
        "totals": Table(["", "", "by"], totals).markdown(),
        **{name: "\n".join(f"- {line}" for line in records[name]["told"]) for name in RUNS if records[name]["told"]},
    }


def main() -> None:
    """Write the document."""
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FIGURES.glob("*.json")}
    try:
        current = with_sections(DOCUMENT.read_text(encoding="utf-8"), sections(records))
    except ValueError as error:
        sys.exit(f"{DOCUMENT.name} stays as it is: {error}")
    DOCUMENT.write_text(current, encoding="utf-8")


if __name__ == "__main__":
    main()

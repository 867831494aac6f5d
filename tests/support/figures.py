"""What a run has counted and measured: printed at its end, and kept in a file for documents to quote."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import circumstances


class Figures:
    """The figures of a run; a test gets them as the fixture `figure`."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._sums: Counter[str] = Counter()

    def __call__(self, line: str) -> None:
        """Tell a figure."""
        self._told.append(line)

    def add(self, number: int, what: str) -> None:
        """Add to the sum of something that several tests count."""
        self._sums[what] += number

    @property
    def told(self) -> Sequence[str]:
        """All that was told, in order."""
        return self._told

    @property
    def totals(self) -> Mapping[str, str]:
        """The sums, as they are shown."""
        return {what: f"{number:,}" for what, number in sorted(self._sums.items())}

    @property
    def lines(self) -> list[str]:
        """All that was told, then the sums."""
        return [*self._told, *(f"in all: {number} {what}" for what, number in self.totals.items())]


def record(
    file: Path, told: Sequence[str], totals: Mapping[str, str], *, seconds: float, outcome: str, good: bool
) -> None:
    """Record the figures of a run, and what they were measured on, in a file that documents are made of.

    told: lines.  totals: figures by what they are of.  seconds: that the run took.  outcome: what came of it, in a few
    words.  good: nothing failed, and nothing was left out.
    """
    everything = {
        **circumstances.of_now(),
        "seconds": round(seconds),
        "outcome": outcome,
        "good": good,
        "told": list(told),
        "totals": dict(totals),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(everything, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

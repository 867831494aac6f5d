"""What the tests have counted and measured: printed at the end of a run, whatever pytest captures."""

from __future__ import annotations

from collections import Counter


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
    def lines(self) -> list[str]:
        """All that was told, then the sums."""
        return [*self._told, *(f"in all: {number:,} {what}" for what, number in sorted(self._sums.items()))]

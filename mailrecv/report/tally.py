"""Rows of counts, and tables of them that stay within a size, whatever keys come."""

from __future__ import annotations

MAX_KEYS = 20_000  # that a table keeps apart; beyond that, the smaller half is counted as others
COUNTS = ("messages", "octets", "failures", "dead_letters", "refusals", "connections")


class Tally:
    """The counts of a row.  name: something to show beside its key."""

    __slots__ = (*COUNTS, "name")

    def __init__(self) -> None:
        self.messages = 0
        self.octets = 0
        self.failures = 0
        self.dead_letters = 0
        self.refusals = 0
        self.connections = 0
        self.name = ""

    def add(self, other: Tally) -> None:
        """Add the counts of another row."""
        for count in COUNTS:
            setattr(self, count, getattr(self, count) + getattr(other, count))

    def weight(self) -> tuple[int, int, int]:
        """Return what rows are sorted by."""
        return self.messages, self.failures + self.refusals, self.connections


class Table:
    """Rows of counts by a key.

    others: what was counted for keys that are not kept apart.  merged: how many rows went into that; a key that came
    again after its row had gone there counts as another one.
    """

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._rows: dict[str, Tally] = {}
        self._max_keys = max_keys
        self.others = Tally()
        self.merged = 0

    def __getitem__(self, key: str) -> Tally:
        """Return the row of a key; a new one if need be."""
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= self._max_keys:
                self._merge()
            row = self._rows[key] = Tally()
        return row

    def sorted(self) -> list[tuple[str, Tally]]:
        """Return the rows, the heaviest first."""
        return sorted(self._rows.items(), key=lambda row: ([-count for count in row[1].weight()], row[0]))

    def top(self, number: int) -> tuple[list[tuple[str, Tally]], int, Tally]:
        """Return the heaviest so many rows, how many others there are, and the sum of those."""
        rows = self.sorted()
        others = Tally()
        others.add(self.others)
        for _, row in rows[number:]:
            others.add(row)
        return rows[:number], len(rows[number:]) + self.merged, others

    def _merge(self) -> None:
        rows = self.sorted()
        kept = self._max_keys // 2
        for _, row in rows[kept:]:
            self.others.add(row)
        self.merged += len(rows) - kept
        self._rows = dict(rows[:kept])

"""How everything here is measured: in rounds, each case once a round, and what counts is the median.

A machine has moods: whatever slows it down for a second hits one round of one case, and whatever lasts hits all cases
alike, because they take turns. A case is measured by a function without arguments that returns figures by their names;
what they mean is its own affair.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import NamedTuple, TypeVar

Figures = Mapping[str, float]
Key = TypeVar("Key", bound=Hashable)


class Spread(NamedTuple):
    """What all the rounds together say of a figure."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        """Return that of one or more figures."""
        figures = list(figures)
        return cls(statistics.median(figures), min(figures), max(figures))


def in_rounds(what: str, cases: Mapping[Key, Callable[[], Figures]], rounds: int) -> dict[Key, dict[str, Spread]]:
    """Measure each case once a round; the first of a round is another one each time. Return the figures of each.

    what: the name of all this, for whoever waits.
    """
    began = time.monotonic()
    found: dict[Key, list[Figures]] = {case: [] for case in cases}
    order = list(cases)
    for number in range(rounds):
        say(f"{what}: round {number + 1} of {rounds}, {len(cases)} cases")
        first = number % len(order)
        for case in [*order[first:], *order[:first]]:
            found[case].append(cases[case]())
    say(f"{what}: {time.monotonic() - began:.0f} seconds")
    return {case: {name: Spread.of(one[name] for one in all_) for name in all_[0]} for case, all_ in found.items()}


def say(text: str) -> None:
    """Tell whoever waits what is going on."""
    print(text, file=sys.stderr, flush=True)

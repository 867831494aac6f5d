"""All the advice about a configuration, in the order of its lines."""

from __future__ import annotations

from mailrecv.config.model import Config
from mailrecv.diagnosis import commands, hidden, host_patterns, leftovers, original, paths, places, postmaster, ranges
from mailrecv.diagnosis.advice import Advice, Source
from mailrecv.diagnosis.service import CannotTell, Service
from mailrecv.values import Value

# Those that need nothing but the configuration; `places` tries things out on this machine.
FROM_THE_TEXT = (host_patterns, ranges, hidden, leftovers, postmaster, original, paths, commands)


class Review(Value):
    """What is to be said of a configuration.  untried: why its places could not be tried, or None."""

    advice: tuple[Advice, ...]
    untried: str | None


def review(config: Config, source: Source, service: Service) -> Review:
    """Review a configuration without faults.  source: its text.  service: who is to work with it."""
    found: list[Advice] = []
    for module in FROM_THE_TEXT:
        found += module.advise(config, source)
    untried = None
    try:
        found += places.advise(config, source, service)
    except CannotTell as error:
        untried = str(error)
    return Review(tuple(sorted(found, key=lambda advice: (advice.place.line, advice.place.column))), untried)

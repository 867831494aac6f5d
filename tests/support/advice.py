"""The advice about configurations written in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mailrecv.config.model import Config
from mailrecv.config.reader import split_lines
from mailrecv.diagnosis.advice import Advice, Source
from tests.support.configs import PATH, config


def source(*lines: str) -> Source:
    """Return the text of a configuration of these lines."""
    return Source(PATH, split_lines("\n".join(lines).encode()))


def advice(advise: Callable[[Config, Source], Iterable[Advice]], *lines: str) -> list[tuple[int, int, str, str]]:
    """Return what a module advises about a configuration of these lines: line, column, what is wrong, what to do."""
    found = advise(config(*lines), source(*lines))
    return [(one.place.line, one.place.column, one.place.text, one.instead) for one in found]

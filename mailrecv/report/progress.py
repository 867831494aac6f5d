"""A progress bar for a long read, on standard error, and only if a person sees it."""

from __future__ import annotations

import time
from typing import Self, TextIO

from mailrecv.report.bars import bar

PATIENCE_SECONDS = 0.5  # a read that is done by then needs no bar
_STEP_SECONDS = 0.1
_CELLS = 40


class Progress:
    """A bar that is told how far a read has come, and is gone after the `with` block.

    stream: where a person looks; nothing is drawn where nobody does.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_watched = stream.isatty()
        self._due = time.monotonic() + PATIENCE_SECONDS
        self._drawn = False

    def __call__(self, part: float) -> None:
        """Draw the bar, if it is time.  part: of the log that has been read, from 0 to 1."""
        now = time.monotonic()
        if self._is_watched and now >= self._due:
            self._due = now + _STEP_SECONDS
            self._drawn = True
            drawn = bar(part, 1, _CELLS, unicode=is_unicode(self._stream))
            self._stream.write(f"\rreading the log {drawn:{_CELLS}} {part:4.0%}")
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def is_unicode(stream: TextIO) -> bool:
    """Say whether a stream shows more than ASCII."""
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"

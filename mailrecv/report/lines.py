"""The lines of log files, as `logfile PATH` has them written, also those that logrotate has compressed."""

from __future__ import annotations

import gzip
import os
import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from mailrecv.report.event import LogError, printable
from mailrecv.values import Value

MAX_LINE_OCTETS = 65536  # several times what the longest entry has
_LINES_AT_ONCE = 1024  # between looks at the progress
_LINE = re.compile(
    r"(?P<date>[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}) "
    r"MAILRECV\[(?P<pid>[0-9]+)\]: (?:\[(?P<address>[^\s\[\]]+)\] )?(?P<message>.*)"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FAILURES = (OSError, EOFError, zlib.error)


class Line(Value):
    """A line.

    time: seconds since the epoch.  pid: of the process that wrote it.  address: of the client, if the debug flag `F`
    has it there.  message: the text of the entry.
    """

    time: float
    pid: str
    address: str
    message: str


def in_order(paths: Sequence[str]) -> list[str]:
    """Return files in the order of their first lines, without those that are missing if another is there: what has not
    been rotated yet has no rotated file. Raises LogError.
    """
    there = [path for path in paths if os.path.exists(path)] or paths
    return sorted(there, key=lambda path: next((line.time for line in read_lines([path]) if line), 0.0))


def read_lines(paths: Sequence[str], on_progress: Callable[[float], None] | None = None) -> Iterator[Line | None]:
    """Yield the lines of files, None for each that mailrecv cannot have written. Raises LogError.

    paths: those of gzipped files end in `.gz`.  on_progress: told which part has been read, from 0 to 1.
    """
    dates = _Dates()
    read_before = number = 0
    path = paths[0]
    try:
        whole = sum(os.stat(path).st_size for path in paths)
        for path in paths:
            with open(path, "rb") as file:
                lines = _unzipped(file) if path.endswith(".gz") else file
                while line := lines.readline(MAX_LINE_OCTETS):
                    number += 1
                    if on_progress and number % _LINES_AT_ONCE == 0:
                        on_progress(min(1.0, (read_before + file.tell()) / whole))
                    yield _parsed(line, dates)
                read_before += file.tell()
    except _FAILURES as error:
        raise _explained(path, error) from error


def _parsed(octets: bytes, dates: _Dates) -> Line | None:
    line = octets.decode("utf-8", "surrogateescape").rstrip("\n")
    match = _LINE.fullmatch(printable(line))
    written = dates.time(match["date"]) if match else 0.0
    return Line(written, match["pid"], match["address"] or "", match["message"]) if match and written else None


class _Dates:
    """Reads dates. Many lines in a row have the same, and to read one takes longer than all else about a line."""

    def __init__(self) -> None:
        self._text = ""
        self._time = 0.0

    def time(self, text: str) -> float:
        """Return seconds since the epoch, 0 if there is no such date.  text: local time, as asctime(3) writes it."""
        if text != self._text:
            self._text = text
            _, month, day, clock, year = text.split()
            hour, minute, second = (int(part) for part in clock.split(":"))
            try:
                month_number = _MONTHS.index(month) + 1
                self._time = time.mktime((int(year), month_number, int(day), hour, minute, second, 0, 0, -1))
            except (OverflowError, ValueError):
                self._time = 0.0
        return self._time


def _unzipped(file: BinaryIO) -> BinaryIO:
    return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # it reads as one


def _explained(path: str, error: Exception) -> LogError:
    """Return what to do about a file that cannot be read."""
    match error:
        case FileNotFoundError():
            return LogError(f"{path}: no such log file; -l FILE names another, -l syslog the journal", os.EX_NOINPUT)
        case PermissionError():
            return LogError(f"{path}: you may not read this; ask as root, or as a member of its group", os.EX_NOPERM)
        case EOFError() | zlib.error() | gzip.BadGzipFile():
            return LogError(f"{path}: damaged, or not compressed by gzip", os.EX_NOINPUT)
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return LogError(f"{path}: cannot be read: {reason}", os.EX_NOINPUT)

"""Which log `report` and `trace` read, and of which time: the options that they share, and what those open."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from mailrecv.config.faults import ConfigError
from mailrecv.config.reader import read_config
from mailrecv.report.event import LogError, Source
from mailrecv.report.period import FORMS, Period, parse_time

JOURNAL = "syslog"  # as in the configuration
MAX_NUMBER = 10_000


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to an action."""
    parser.add_argument(
        "-l",
        dest="logs",
        metavar="syslog|FILE",
        action="append",
        help="the log to read, syslog for the journal; more than once for several files, also rotated ones and .gz; "
        "default: where the configuration has it",
    )
    parser.add_argument("--since", metavar="TIME", type=_time, help=f"leave out what was before; {FORMS}")
    parser.add_argument("--until", metavar="TIME", type=_time, help="leave out what was after")


def joined_times(arguments: Sequence[str]) -> list[str]:
    """Return the command line with `--since -2h` as `--since=-2h`: argparse would take -2h for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in ("--since", "--until") and argument[:1] == "-" and argument[1:2].isdigit():
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def read_log(options: argparse.Namespace, read: Callable[[Source, Period], int]) -> int:
    """Open the log that the options ask for, have it read, and return the exit status; a failure to read is printed.

    read: reads and shows the log for a period, and returns the exit status. It may raise LogError.
    """
    changes = {name: value for name in ("since", "until") if (value := getattr(options, name)) is not None}
    try:
        return read(open_log(options.logs or [_configured(options.config)]), Period(**changes))
    except LogError as error:
        print(f"mailrecv: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130  # as shells have it


def open_log(logs: Sequence[str]) -> Source:
    """Return the log of that name, or the files. Raises LogError."""
    if JOURNAL not in logs:
        from mailrecv.report.from_file import FileSource

        return FileSource(logs)
    if len(logs) > 1:
        raise LogError("-l syslog means the journal, and cannot be read together with files", os.EX_USAGE)
    try:
        from mailrecv.report.from_journal import JournalSource
    except ImportError:
        raise LogError("the journal cannot be read without systemd's library for Python", os.EX_UNAVAILABLE) from None
    return JournalSource()


def _configured(path: str) -> str:
    """Return where a configuration has the log; with one that cannot be used, no session logs elsewhere either."""
    try:
        return read_config(path).logfile
    except ConfigError as error:
        print(f"mailrecv: {error.faults[0]}; reading the journal, as no -l names a log", file=sys.stderr)
        return JOURNAL


def number(text: str) -> int:
    """Return a number of things to show, for argparse."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MAX_NUMBER):
        raise argparse.ArgumentTypeError(f"{text}: a number from 1 to {MAX_NUMBER} expected")
    return int(text)


def _time(text: str) -> float:
    try:
        return parse_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

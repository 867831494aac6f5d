"""The journal itself: a structlog logger over the catalogue, set up for where the log goes.

`logfile syslog` means the system's log: the terminal when a person runs the program at one, else journald, else
syslog(3), else standard error.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import structlog

from mailrecv.journal import catalogue, processors, sinks
from mailrecv.journal.catalogue import Entry


class Journal(structlog.BoundLoggerBase):
    """Records entries of the catalogue; `bind` gives one that adds facts to every entry."""

    def record(self, entry: Entry, **facts: object) -> None:
        """Record an entry with its facts."""
        self._proxy_to_logger("msg", entry.name, entry=entry, **facts)


def open_journal(logfile: str = "syslog", flags: str = "", *, loghex: bool = True) -> Journal:
    """Return the journal.

    logfile: `syslog` or a path.  flags: the debug flags.  loghex: show what is not printable ASCII in hexadecimal.
    """
    if logfile == "syslog":
        return _system_journal(flags, loghex=loghex)

    def complain(error: OSError, line: str) -> None:
        system = _system_journal(flags, loghex=loghex)  # made only now: it may import much
        system.record(catalogue.LOGFILE_FAILED, reason=f"{error.filename}: {error.strerror}", text=line.rstrip("\n"))

    return _file_journal(sinks.File(logfile, complain), flags, loghex=loghex)


def _system_journal(flags: str, *, loghex: bool) -> Journal:
    if _is_terminal():
        return _wrap(
            sinks.Stream(),
            processors.Select(flags),
            processors.MakeSafe(loghex=loghex, brackets=False),
            processors.describe,
            processors.for_terminal,
            structlog.dev.ConsoleRenderer(colors=True),
            processors.end_line,
        )
    if os.path.exists(sinks.JOURNALD_SOCKET):
        return _wrap(
            sinks.Journald(),
            processors.Select(flags),
            processors.MakeSafe(loghex=loghex, brackets=False),
            processors.describe,
            processors.render_for_journald,
        )
    if os.path.exists(sinks.SYSLOG_SOCKET):
        return _wrap(
            sinks.Syslog(),
            processors.Select(flags),
            processors.MakeSafe(loghex=loghex, brackets=True),
            processors.describe,
            processors.render_for_syslog,
        )
    return _file_journal(sinks.Stream(), flags, loghex=loghex)


def _file_journal(sink: sinks.File | sinks.Stream, flags: str, *, loghex: bool) -> Journal:
    return _wrap(
        sink,
        processors.Select(flags),
        processors.MakeSafe(loghex=loghex, brackets=True),
        processors.describe,
        processors.RenderForFile(with_address="F" in flags or "a" in flags),
    )


def _wrap(sink: object, *steps: Any) -> Journal:
    journal: Journal = structlog.wrap_logger(sink, processors=steps, wrapper_class=Journal, context_class=dict).bind()
    return journal


def _is_terminal() -> bool:
    try:
        return os.isatty(sys.__stderr__.fileno()) if sys.__stderr__ else False
    except (OSError, ValueError):
        return False

"""The journal itself: a structlog logger over the catalogue, set up for where the log goes.

`logfile syslog` means the system's log: the terminal when a person runs the program at one, else journald, else
syslog(3), else standard error.
"""

from __future__ import annotations

import os
import sys

from mailrecv.journal import catalogue, processors, sinks
from mailrecv.journal.bound_logger import BoundLoggerBase
from mailrecv.journal.catalogue import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Journal(BoundLoggerBase):
    """Records entries of the catalogue; `bind` gives one that adds facts to every entry."""

    def record(self, entry: Entry, **facts: object) -> None:
        """Record an entry with its facts."""
        select: processors.Select = self._processors[0]  # type: ignore[index]  # it is the list of `_journal`
        if select.wants(entry):  # it would drop the entry itself, but most of what a session records ends here
            self._proxy_to_logger("msg", entry.name, entry=entry, **facts)

    def of_stranger(self, **facts: object) -> StrangersJournal:
        """Return a journal for a client that no line of the configuration has admitted yet.  facts: to bind."""
        steps: list[Any] = list(self._processors)
        steps.insert(1, processors.Stranger(steps[0].strangers))
        return StrangersJournal(self._logger, steps, {**self._context, **facts})

    def tell_counts(self, *, at_once: bool = False) -> None:
        """Record how often strangers did what was not recorded one by one, when it is time to tell, or at once."""
        select: processors.Select = self._processors[0]  # type: ignore[index]  # as above
        for (what, line), times in select.strangers.take_counts(at_once=at_once).items():
            self.record(catalogue.REPEATED, what=what, times=times, line=line)


class StrangersJournal(Journal):
    """The journal of a client that no line of the configuration has admitted, so far. It has to be told of the end."""

    def admit(self) -> None:
        """Record what was held back, and all that comes: a line admits the client."""
        for event in self._stranger.admit():
            Journal(self._logger, self._processors, dict(event))._proxy_to_logger("msg")

    def leave(self) -> None:
        """Count what was held back: the client is gone."""
        self._stranger.leave()

    @property
    def _stranger(self) -> processors.Stranger:
        stranger: processors.Stranger = self._processors[1]  # type: ignore[index]  # it is the list of `of_stranger`
        return stranger


def open_journal(logfile: str = "syslog", flags: str = "", *, loghex: bool = True) -> Journal:
    """Return the journal.

    logfile: `syslog` or a path.  flags: the debug flags.  loghex: show what is not printable ASCII in hexadecimal.
    """
    if logfile == "syslog":
        return _system_journal(flags, loghex=loghex)

    def complain(error: OSError, line: str) -> None:
        system = _system_journal(flags, loghex=loghex)  # made only now: it may import much
        reason = f"{logfile}: {error.strerror} (mailrecv check says what to do)"
        system.record(catalogue.LOGFILE_FAILED, reason=reason, text=line.rstrip("\n"))

    return _file_journal(sinks.File(logfile, complain), flags, loghex=loghex)


def _system_journal(flags: str, *, loghex: bool) -> Journal:
    if _is_terminal():
        import structlog.dev  # slow to import, but then a person waits

        render = (processors.for_terminal, structlog.dev.ConsoleRenderer(colors=True), processors.end_line)
        return _journal(sinks.Stream(), *render, flags=flags, loghex=loghex, brackets=True)
    if os.path.exists(sinks.JOURNALD_SOCKET):
        return _journal(sinks.Journald(), processors.render_for_journald, flags=flags, loghex=loghex, brackets=True)
    if os.path.exists(sinks.SYSLOG_SOCKET):
        return _journal(sinks.Syslog(), processors.render_for_syslog, flags=flags, loghex=loghex, brackets=False)
    return _file_journal(sinks.Stream(), flags, loghex=loghex)


def _file_journal(sink: sinks.File | sinks.Stream, flags: str, *, loghex: bool) -> Journal:
    return _journal(sink, processors.render_for_file, flags=flags, loghex=loghex, brackets=False)


def _journal(sink: object, *render: Any, flags: str, loghex: bool, brackets: bool) -> Journal:
    """Return a journal that ends in a sink.

    render: the steps that make what the sink takes.  brackets: let a client's words have brackets, as long as the flags
    do not say that a program like fail2ban reads the messages.
    """
    with_address = "F" in flags or "a" in flags
    describe = processors.Describe(with_address=with_address, brackets=brackets and not with_address)
    steps = [processors.Select(flags), processors.MakeSafe(loghex=loghex), describe, *render]
    return Journal(sink, steps, {})


def _is_terminal() -> bool:
    try:
        return os.isatty(sys.__stderr__.fileno()) if sys.__stderr__ else False
    except (OSError, ValueError):
        return False

"""Reads systemd's journal: by the structured fields of its entries alone, and by matches, which its index answers.

MESSAGE_ID tells the kind of an entry, MAILRECV_* its facts; the text is only ever shown. What reads a single message
asks for its id, and then for its session, so that a large journal takes no longer than a small one.

Any user of a machine can write whatever fields they like into its journal, but not those that begin with `_`: journald
takes them from the kernel. By these an entry counts if a service that runs mailrecv has written it, or somebody whose
word is good anyhow: see `OURS`.
"""

from __future__ import annotations

import glob
import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from systemd import journal

from mailrecv.journal.catalogue import CATALOGUE, REPEATED
from mailrecv.report.counts import COUNTED
from mailrecv.report.event import SOUGHT, Event, LogError, OtherLog, Trace, printable, told, unwatched, well_formed
from mailrecv.report.period import Period

IDENTIFIER = "SYSLOG_IDENTIFIER=mailrecv"
FOLDERS = ("/var/log/journal", "/run/log/journal")  # each with a folder that is named after the machine
MAX_SESSION_ENTRIES = 10_000  # of a session that are looked through, before an entry and after it
_ENTRIES_AT_ONCE = 256  # between looks at the progress
USER = "mailrecv"  # whom the package makes, and the guides
# What systemd says of a process, which cannot choose it: whichever of these holds, the entry is ours. Only root makes
# such a slice or service, and whoever is in it does what the administrator has set up.
OURS = {
    "_SYSTEMD_SLICE": ("system-mailrecv.slice",),  # all instances of mailrecv@.service: each is a unit of its own
    "_SYSTEMD_UNIT": ("mailrecv-resident.service", "mailrecv.service", "xinetd.service"),
}
_NAMES = {entry.message_id: entry.name for entry in CATALOGUE.values()}
_PREFIX = "MAILRECV_"
_CONVERTERS = {  # a match wants the text of a field, not what it stands for
    **dict.fromkeys(("MESSAGE_ID", "_BOOT_ID", "_PID", "_UID", "SYSLOG_PID"), bytes.decode),
    "__REALTIME_TIMESTAMP": lambda microseconds: microseconds / 1e6,
    "__MONOTONIC_TIMESTAMP": lambda times: times,
}
_SESSION = ("_BOOT_ID", "_PID", "SYSLOG_PID", "MAILRECV_SESSION")  # what the entries of a session share


class JournalSource:
    """The journal of this system.  directory: another one. Raises LogError."""

    def __init__(self, directory: str | None = None) -> None:
        self.name = directory or "the journal"
        self.unread = 0
        self.ambiguous = 0
        self.foreign = 0
        self.gaps = "of other services than mailrecv's, and of other users, nothing is believed"
        self.on_progress: Callable[[float], None] = unwatched
        self._directory = directory
        self._ours = {**OURS, "_UID": _trusted_users()}
        self._cursor = ""
        if directory is None:
            _check_access()

    def events(self, period: Period, after: str = "") -> Iterator[Event]:
        """Yield the events of a period that are counted, in the order of time. Raises LogError.

        after: the `position` of an earlier reading; an entry that is not in the journal any more counts by its time.
        """
        self._cursor = after
        names = (*COUNTED, REPEATED.name)
        with self._reader(*(f"MESSAGE_ID={CATALOGUE[name].message_id}" for name in names)) as reader:
            reader.seek_tail()
            last = reader.get_previous()
            end = min(_time(last), period.until) if last else 0.0
            try:
                _seek(reader, period, after)
            except ValueError as error:
                raise OtherLog(self.name) from error
            begin = 0.0
            for number, entry in enumerate(iter(reader.get_next, {})):
                now = _time(entry)
                begin = begin or now
                if now > period.until:
                    return
                if entry["__CURSOR"] == after or now < period.since:
                    continue
                self._cursor = entry["__CURSOR"]
                if number % _ENTRIES_AT_ONCE == 0:
                    self.on_progress(min(1.0, (now - begin) / (end - begin)) if end > begin else 1.0)
                event = _event(entry)
                if not any(entry.get(field) in values for field, values in self._ours.items()):
                    self.foreign += 1
                elif event and (counted := told(event)):
                    yield counted
                else:
                    self.unread += 1

    def position(self) -> str:
        """Return a word for how far `events` has read: the cursor of the last entry."""
        return self._cursor

    def traces(self, term: str, period: Period, number: int) -> list[Trace]:
        """Return the last so many messages or sessions that a term stands for. Raises LogError."""
        term = term.lower()
        found: list[Trace] = []
        known = set()  # what is in them: a message has an entry for each recipient, a session more
        with self._reader() as reader:
            _match_facts(reader, term)
            self._match_ours(reader)
            if period.until < float("inf"):
                reader.seek_realtime(period.until)
            else:
                reader.seek_tail()
            for entry in iter(reader.get_previous, {}):
                if _time(entry) < period.since or len(found) == number:
                    break
                event = _event(entry)
                if event is None:
                    continue
                if not event.fact("session"):  # a client that was turned away before it had one
                    found.append(Trace([event]))
                    continue
                message_id = "" if event.fact("client_address") == term else event.fact("id")
                about = (message_id, *(entry.get(name) for name in _SESSION))
                if about not in known:
                    known.add(about)
                    found.append(self._session_around(entry, message_id))
        return found[::-1]

    def _session_around(self, entry: Mapping[str, Any], message_id: str) -> Trace:
        """Return what the session of an entry has recorded about a message, or at all if there is no id."""
        matches = [f"{name}={entry[name]}" for name in _SESSION if name in entry]
        before: list[Event] = []
        after: list[Event] = []
        cut = False
        with self._reader(*matches) as reader:
            self._match_ours(reader)
            for events, step, end in (
                (before, reader.get_previous, "connection"),
                (after, reader.get_next, "disconnection"),
            ):
                reader.seek_cursor(entry["__CURSOR"])
                current = reader.get_next()
                for _ in range(MAX_SESSION_ENTRIES):
                    event = _event(current)
                    if event and (not message_id or event.fact("id") in ("", message_id)):
                        events.append(event)
                    if not current or (event and event.name == end):
                        break
                    current = step()
                else:
                    cut = bool(current)
        rest = f"journalctl -o short-full {' '.join(matches[-1:])}"
        return Trace([*reversed(before[1:]), *after], rest if cut else "")

    def _reader(self, *matches: str) -> Any:
        try:
            reader = journal.Reader(path=self._directory, converters=_CONVERTERS)
        except OSError as error:
            reason = f"{self.name} cannot be read: {error.strerror}; -l FILE reads a log file"
            raise LogError(reason, os.EX_NOINPUT) from error
        _match(reader, *matches)
        return reader

    def _match_ours(self, reader: Any) -> None:
        """Leave out, of what is matched so far, what others have written. The index of the journal does it."""
        reader.add_conjunction()
        for number, (field, values) in enumerate(self._ours.items()):
            if number:
                reader.add_disjunction()
            for value in values:
                reader.add_match(f"{field}={value}")


def _trusted_users() -> tuple[str, ...]:
    """Return the numbers of those whose entries are believed: root, who can write any, the service, and who asks."""
    numbers = {0, os.getuid()}
    with suppress(KeyError):
        numbers.add(pwd.getpwnam(USER).pw_uid)
    return tuple(map(str, sorted(numbers)))


def _check_access() -> None:
    """Find out whether the system's journal can be read: systemd just leaves out what may not be. Raises LogError."""
    files = [path for folder in FOLDERS for path in glob.glob(f"{folder}/*/system.journal")]
    if not files:
        found = " or ".join(FOLDERS)
        raise LogError(f"there is no journal in {found}; -l FILE reads a log file", os.EX_NOINPUT)
    if not any(os.access(path, os.R_OK) for path in files):
        advice = "ask as root, or join the group: sudo usermod -aG systemd-journal $USER, and log in again"
        raise LogError(f"you may not read the journal of the system; {advice}", os.EX_NOPERM)


def _match(reader: Any, *matches: str) -> None:
    for match in (IDENTIFIER, *matches):
        reader.add_match(match)


def _match_facts(reader: Any, term: str) -> None:
    """Look for entries that have a term as a fact; addresses of mail in letters of any case.  term: in lower case."""
    for number, fact in enumerate(SOUGHT):
        field = f"{_PREFIX}{fact.upper()}"
        values = [term]
        if fact in ("recipient", "sender") and "@" in term:  # the journal tells all values of a field, but not at once
            known = (value for value in reader.query_unique(field) if isinstance(value, str))
            values += [value for value in known if value.lower() == term]
        if number:
            reader.add_disjunction()
        _match(reader, *(f"{field}={value}" for value in values))


def _seek(reader: Any, period: Period, after: str) -> None:
    """Go to where reading begins."""
    if after:
        reader.seek_cursor(after)
    elif period.since > 0:
        reader.seek_realtime(period.since)
    else:
        reader.seek_head()


def _event(entry: Mapping[str, Any]) -> Event | None:
    """Return an entry as an event, or None when mailrecv cannot have written it so."""
    name = _NAMES.get(entry.get("MESSAGE_ID", ""))
    if name is None or entry.get("MAILRECV_EVENT") != name:
        return None
    facts = {
        field[len(_PREFIX) :].lower(): printable(value)
        for field, value in entry.items()
        if field.startswith(_PREFIX) and isinstance(value, str)
    }
    del facts["event"]
    if not well_formed(facts):
        return None
    return Event(_time(entry), name, facts, printable(str(entry.get("MESSAGE", ""))))


def _time(entry: Mapping[str, Any]) -> float:
    seconds: float = entry["__REALTIME_TIMESTAMP"]
    return seconds

"""Reads log files back into events.

A line has the text of an entry and little else. Who the client was is taken from the line of its connection, by the
number of the process. When one process serves several clients at the same time, only the debug flag `F` tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from mailrecv.report.counts import COUNTED, ID_IN_REPLY
from mailrecv.report.event import Event, OtherLog, unwatched
from mailrecv.report.lines import in_order, read_lines
from mailrecv.report.period import Period
from mailrecv.report.templates import Unreadable, read_message

MAX_SESSION_EVENTS = 1000  # of a session that are kept to trace a message
MAX_PROCESSES = 10_000  # whose clients are remembered; those of which the end was never logged fall out at last


class FileSource:
    """Log files.  paths: in any order. Raises LogError."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.name = " ".join(paths)
        self.unread = 0
        self.ambiguous = 0
        self.gaps = "a log file names refused recipients only with the debug flag +"
        self.on_progress: Callable[[float], None] = unwatched
        self._paths = in_order(paths)
        self._last = (0.0, 0)  # the latest time of a line so far, and the number of lines since it first came

    def events(self, period: Period, after: str = "") -> Iterator[Event]:
        """Yield the events of a period that are counted, in the order of the lines. Raises LogError.

        after: the `position` of an earlier reading; as files move when they are rotated, it is a time.
        """
        try:
            known = _parsed(after) if after else (0.0, 0)
        except ValueError as error:
            raise OtherLog(self.name) from error
        self._last = (0.0, 0)
        for _, event, _ in self._attributed():
            seconds, number = self._last
            self._last = (event.time, 1) if event.time > seconds else (seconds, number + 1)
            if event.name in COUNTED and event.time in period and self._last > known:
                yield event
        self._last = max(self._last, known)

    def position(self) -> str:
        """Return a word for how far `events` has read."""
        seconds, number = self._last
        return f"{seconds:.0f}+{number}"

    def traces(self, term: str, period: Period, number: int) -> list[list[Event]]:
        """Return the last so many messages or sessions that a term stands for. Raises LogError."""
        term = term.lower()
        found: dict[tuple[_Process, str, str], list[Event]] = {}
        for process, event, over in self._attributed():
            process.kept.append(event)
            if event.time in period and event.is_about(term):
                client = event.fact("client_address")
                key = process, "" if client == term else event.fact("id"), client
                found.pop(key, None)
                found[key] = process.about(*key[1:])
                if len(found) > number:
                    del found[next(iter(found))]
            if over:
                found |= {key: process.about(*key[1:]) for key in found if key[0] is process}
        return list(found.values())

    def _attributed(self) -> Iterator[tuple[_Process, Event, bool]]:
        """Yield each event with the process that wrote it, and whether that has no session left."""
        processes: dict[str, _Process] = {}
        for line in read_lines(self._paths, self.on_progress):
            if line is None:
                self.unread += 1
                continue
            process = processes.get(line.pid)
            if process is None:
                process = processes[line.pid] = _Process()
                if len(processes) > MAX_PROCESSES:
                    del processes[next(iter(processes))]
            read = read_message(line.message)
            if isinstance(read, Unreadable):
                self.ambiguous += read is Unreadable.AMBIGUOUS
                self.unread += read is Unreadable.UNKNOWN
                read = "", {}
            name, facts = read
            if line.address:
                facts["client_address"] = line.address
            if name == "refusal" and (told := ID_IN_REPLY.search(facts["reply"])):
                facts["id"] = told["id"]
            process.attribute(name, facts)
            over = name == "disconnection" and process.ends_session()
            yield process, Event(line.time, name, facts, line.message), over
            if over:
                del processes[line.pid]


class _Process:
    """A process that writes lines.  kept: what it wrote, for traces."""

    def __init__(self) -> None:
        self.kept: deque[Event] = deque(maxlen=MAX_SESSION_EVENTS)
        self._sessions = 0
        self._client: dict[str, str] = {}  # the facts about it, while there is one session

    def attribute(self, name: str, facts: dict[str, str]) -> None:
        """Add to the facts of an event those about its client, as far as they are known."""
        if name == "connection":
            self._sessions += 1
            self._client = dict(facts) if self._sessions == 1 else {}
        elif facts.get("client_address", "") in ("", self._client.get("client_address")):
            facts.update(self._client)

    def ends_session(self) -> bool:
        """Note the end of a session, and say whether it was the last that is open."""
        self._sessions = max(0, self._sessions - 1)
        return self._sessions == 0

    def about(self, message_id: str, client: str) -> list[Event]:
        """Return what was written about a message, or all about the sessions of a client if there is no id.

        With several sessions at once, nothing but the id tells which message a line is about.
        client: the address, or empty for the lines of which nobody can tell.
        """
        if not message_id:
            return [event for event in self.kept if event.fact("client_address") == client]
        ids = (message_id, "") if self._client else (message_id,)
        return [event for event in self.kept if event.fact("id") in ids]


def _parsed(position: str) -> tuple[float, int]:
    seconds, _, number = position.partition("+")
    return float(seconds), int(number)

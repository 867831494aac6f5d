"""Reads log files back into events.

A line has the text of an entry and little else. Who the client was is taken from the line of its connection, by the
number of the process. When one process serves several clients at the same time, only the debug flag `F` tells.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from mailrecv.journal.catalogue import KIND_SECONDS, MAX_OF_A_KIND, REPEATED
from mailrecv.report.counts import COUNTED, ID_IN_REPLY
from mailrecv.report.event import Event, OtherLog, Trace, told, unwatched
from mailrecv.report.lines import in_order, read_lines
from mailrecv.report.period import Period
from mailrecv.report.templates import Unreadable, read_message

MAX_KEPT_EVENTS = 1000  # of a process: a message that is traced may begin with them
MAX_TRACE_EVENTS = 10_000
SESSION_SECONDS = 600.0  # as long as a session lasts by default
MAX_PROCESSES = 10_000  # whose clients are remembered; those of which the end was never logged fall out at last


_About: TypeAlias = tuple[str, str]  # the id of a message, or ""; and the client's address, "" if nobody can tell


class FileSource:
    """Log files.  paths: in any order. Raises LogError."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.name = " ".join(paths)
        self.unread = 0
        self.ambiguous = 0
        self.foreign = 0  # who may write to a log file is a matter of its mode
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
        for _, event in self._attributed():
            seconds, number = self._last
            self._last = (event.time, 1) if event.time > seconds else (seconds, number + 1)
            if event.name in (*COUNTED, REPEATED.name) and event.time in period and self._last > known:
                if counted := told(event):
                    yield counted
                else:
                    self.unread += 1
        self._last = max(self._last, known)

    def position(self) -> str:
        """Return a word for how far `events` has read."""
        seconds, number = self._last
        return f"{seconds:.0f}+{number}"

    def traces(self, term: str, period: Period, number: int) -> list[Trace]:
        """Return the last so many messages or sessions that a term stands for. Raises LogError."""
        term = term.lower()
        found: dict[tuple[_Process, _About], None] = {}  # in the order of the last entry that is about the term
        for process, event in self._attributed():
            process.keep(event)
            if event.time in period and event.is_about(term):
                client = event.fact("client_address")
                about = "" if client == term else event.fact("id"), client
                process.begin_trace(about)
                found.pop((process, about), None)
                found[process, about] = None
                if len(found) > number:
                    oldest, its = next(iter(found))
                    del found[oldest, its], oldest.traces[its]
        return [process.traces[about] for process, about in found]

    def _attributed(self) -> Iterator[tuple[_Process, Event]]:
        """Yield each event with the process that wrote it."""
        processes: dict[str, _Process] = {}
        paces: dict[str, _Pace] = {}
        for line in read_lines(self._paths, self.on_progress):
            if line is None:
                self.unread += 1
                continue
            process = processes.get(line.pid)
            if process is None:
                rest = f"zgrep -hF 'MAILRECV[{line.pid}]' {shlex.join(self._paths)}"
                process = processes[line.pid] = _Process(rest)
                for known in (processes, paces):
                    if len(known) > MAX_PROCESSES:
                        del known[next(iter(known))]
            read = read_message(line.message)
            if isinstance(read, Unreadable):
                self.ambiguous += read is Unreadable.AMBIGUOUS
                self.unread += read is Unreadable.UNKNOWN
                read = "", {}
            name, facts = read
            if line.address:
                facts["client_address"] = line.address
            if name == "refusal" and (in_reply := ID_IN_REPLY.search(facts["reply"])):
                facts["id"] = in_reply["id"]
            pace = paces.setdefault(line.pid, _Pace())
            if name == "connection":
                pace.connected(line.time)
            if name == "connection" or "id" in facts or not pace.hides_sessions(line.time):
                process.attribute(name, facts)
            over = name == "disconnection" and process.ends_session()
            yield process, Event(line.time, name, facts, line.message)
            if over:
                del processes[line.pid]


class _Process:
    """A process that writes lines.

    rest: how to see all of them.  traces: those that were begun, by what they are about.
    """

    def __init__(self, rest: str) -> None:
        self.traces: dict[_About, Trace] = {}
        self._rest = rest
        self._kept: deque[Event] = deque(maxlen=MAX_KEPT_EVENTS)  # what it wrote last, for traces that begin
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

    def keep(self, event: Event) -> None:
        """Remember an event for a while, and for all traces that it belongs to."""
        self._kept.append(event)
        for about, trace in self.traces.items():
            if self._concerns(event, about):
                if len(trace) < MAX_TRACE_EVENTS:
                    trace.append(event)
                else:
                    trace.cut = self._rest

    def begin_trace(self, about: _About) -> None:
        """Begin a trace, unless there is one, with what is remembered."""
        if about not in self.traces:
            trace = self.traces[about] = Trace(event for event in self._kept if self._concerns(event, about))
            if len(self._kept) == MAX_KEPT_EVENTS and trace[0].name != "connection":
                trace.cut = self._rest

    def _concerns(self, event: Event, about: _About) -> bool:
        """Say whether an event is about a message, or about the sessions of a client if there is no id.

        With several sessions at once, nothing but the id tells which message a line is about.
        """
        message_id, client = about
        if not message_id:
            return event.fact("client_address") == client
        return event.fact("id") == message_id or (not event.fact("id") and bool(self._client))


class _Pace:
    """How often clients connect to a process, whatever becomes of its sessions.

    Where it is often, some may have a session of which the beginning was only counted. What is logged of them looks as
    if it were about the one session that is known; but they have sent no message.
    """

    def __init__(self) -> None:
        self._since = 0.0
        self._connections = 0
        self._hides_until = 0.0

    def connected(self, time: float) -> None:
        """Note a connection."""
        if time - self._since > KIND_SECONDS:
            self._since, self._connections = time, 0
        self._connections += 1
        if self._connections >= MAX_OF_A_KIND // 2:  # those of any ten seconds may fall into two spans
            self._hides_until = time + SESSION_SECONDS

    def hides_sessions(self, time: float) -> bool:
        """Say whether there may be more sessions than are known."""
        return time < self._hides_until


def _parsed(position: str) -> tuple[float, int]:
    seconds, _, number = position.partition("+")
    return float(seconds), int(number)

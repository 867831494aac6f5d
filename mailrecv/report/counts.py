"""Counts events: who sent how much, who got it, what was refused or failed, and when.

What is counted:

- a message, once at least one copy of it was delivered or kept with the dead letters, with its octets; for a recipient,
  each copy of its own;
- a failure, each time that a copy was not delivered;
- a refusal, each reply of 4xx or 5xx.

Memory stays flat, whatever clients make up: of recipients, clients and causes only so many are kept apart.
"""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Iterable
from syslog import LOG_WARNING

from mailrecv.journal.catalogue import CATALOGUE
from mailrecv.report.event import Event
from mailrecv.report.tally import Table, Tally
from mailrecv.values import Value

MAX_SLOWEST = 100
MAX_LATELY_TAKEN = 10_000  # ids that are remembered, to count a message once: its copies are recorded at one time
HOUR_SECONDS = 3600
UNKNOWN_CLIENT = "not known"
TAKEN = ("delivered", "dead_letter")
LOST = ("deferred", "failed")
TROUBLES = tuple(  # what else needs a person; a traceback is part of an internal_error
    entry.name
    for entry in CATALOGUE.values()
    if entry.priority <= LOG_WARNING and entry.name not in (*TAKEN, *LOST, "traceback")
)
COUNTED = ("connection", "disconnection", "refusal", "limit_exceeded", *TAKEN, *LOST, *TROUBLES)  # as `told` has them
ID_IN_REPLY = re.compile(r" \((?P<id>[0-9a-f]{10,64})\)\Z")  # such as `451 Not delivered, try again later (ID)`


class Delivery(Value):
    """A copy that was handed over, or not.  seconds: how long that took.  outcome: the name of the event."""

    seconds: float
    time: float
    id: str
    recipient: str
    route: str
    size: int
    outcome: str


class Trouble(Value):
    """Something that needs a person: how often it was recorded, when last, and with which text."""

    times: int
    last: float
    message: str


class FirstCopies:
    """Tells the first copy of each message from the others."""

    def __init__(self) -> None:
        self._lately: dict[str, None] = {}  # in the order in which they came

    def __call__(self, message_id: str) -> bool:
        """Say whether a copy is the first of its message."""
        if message_id in self._lately:
            return False
        self._lately[message_id] = None
        if len(self._lately) > MAX_LATELY_TAKEN:
            del self._lately[next(iter(self._lately))]
        return True


class Counts:
    """The counts of a report.  first, last: the times of the first and the last event, 0 without any.

    hours: by the time at which the hour began, local time.  causes: of refusals, by the reply and the line that
    decided.  limits, endings: by the name of the limit, and by the cause of the end of a session.
    """

    def __init__(self) -> None:
        self.first = self.last = 0.0
        self.total = Tally()
        self.copies = 0
        self.recipients = Table()
        self.clients = Table()
        self.hours: dict[int, Tally] = {}
        self.causes = Table()
        self.limits = Table()
        self.endings = Table()
        self.troubles: dict[str, Trouble] = {}
        self._slowest: list[tuple[float, int, Delivery]] = []  # a heap; the second tells deliveries apart
        self._is_first_copy = FirstCopies()
        self._hour = 0

    def add(self, event: Event) -> None:
        """Count an event."""
        self.first = self.first or event.time
        self.last = max(self.last, event.time)
        name = event.name
        if name in TAKEN:
            self._take(event)
        elif name in LOST:
            self.recipients[event.fact("recipient").lower()].failures += 1
            for tally in self._places(event):
                tally.failures += 1
            self._note_time(event)
        elif name == "refusal":
            self.causes[_cause(event)].refusals += event.times
            for tally in self._places(event):
                tally.refusals += event.times
        elif name == "connection":
            for tally in self._places(event):
                tally.connections += event.times
        elif name == "disconnection":
            self.endings[event.fact("cause")].connections += event.times
        elif name == "limit_exceeded":
            self.limits[event.fact("limit")].refusals += event.times
        elif name in TROUBLES:
            times = self.troubles[name].times if name in self.troubles else 0
            self.troubles[name] = Trouble(times + event.times, event.time, event.message)

    @property
    def slowest(self) -> list[Delivery]:
        """The deliveries that took longest, the slowest first."""
        return [delivery for _, _, delivery in sorted(self._slowest, key=lambda item: (-item[0], item[1]))]

    def _take(self, event: Event) -> None:
        kept = event.name == "dead_letter"
        size = event.size()
        self.copies += 1
        recipient = self.recipients[event.fact("recipient").lower()]
        recipient.messages += 1
        recipient.octets += size
        recipient.dead_letters += kept
        is_first = self._is_first_copy(event.fact("id"))
        for tally in self._places(event):
            tally.dead_letters += kept
            tally.messages += is_first
            tally.octets += size if is_first else 0
        self._note_time(event)

    def _places(self, event: Event) -> tuple[Tally, Tally, Tally]:
        """Return where an event counts, besides its recipient: the total, its client and its hour."""
        client = self.clients[event.fact("client_address") or UNKNOWN_CLIENT]
        name = event.fact("client_name")
        if name and name != "unknown":
            client.name = name
        if not 0 <= event.time - self._hour < HOUR_SECONDS:
            local = time.localtime(event.time)
            self._hour = int(event.time) - local.tm_min * 60 - local.tm_sec
        hour = self.hours.get(self._hour)
        if hour is None:
            hour = self.hours[self._hour] = Tally()
        return self.total, client, hour

    def _note_time(self, event: Event) -> None:
        seconds = event.seconds()
        if len(self._slowest) == MAX_SLOWEST and seconds <= self._slowest[0][0]:
            return
        facts = (event.fact("id"), event.fact("recipient"), event.fact("route"))
        delivery = Delivery(seconds, event.time, *facts, event.size(), event.name)
        put = heapq.heappush if len(self._slowest) < MAX_SLOWEST else heapq.heappushpop
        put(self._slowest, (seconds, self.copies + self.total.failures, delivery))


def count_all(events: Iterable[Event]) -> Counts:
    """Return the counts of events."""
    counts = Counts()
    for event in events:
        counts.add(event)
    return counts


def _cause(event: Event) -> str:
    """Return what tells refusals apart: the reply without the message's id, and the line that decided."""
    reply = ID_IN_REPLY.sub("", event.fact("reply"))
    line = event.fact("line")
    return f"{reply} (line {line})" if line and line != "0" else reply

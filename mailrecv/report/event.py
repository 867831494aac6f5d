"""An event: an entry of the log as it was read back, whichever log that was."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from mailrecv.journal.catalogue import CATALOGUE, REPEATED, TOLD_APART_BY
from mailrecv.journal.escape import shown
from mailrecv.report.period import Period
from mailrecv.values import Value

_COUNT = r"[0-9]{1,15}"
FORMS = {  # of the facts that no client can write as it likes; all others are free text
    **dict.fromkeys(("id", "session"), "[0-9a-f]{1,64}"),
    "client_address": r"[^\s\[\]]+",
    "reply": "[2-5][0-9][0-9](?:[ -].*)?",
    "cause": "[a-z_]{1,32}",
    "limit": "[a-z_]{1,32}",
    "seconds": r"[0-9]{1,12}\.[0-9]{3}",
    **dict.fromkeys(("commands", "line", "messages", "recipients", "refusals", "size", "times"), _COUNT),
}
_COMPILED_FORMS = {name: re.compile(form) for name, form in FORMS.items()}


class Event(Value):
    """An entry of the log.

    time: seconds since the epoch.  name: as in the catalogue, or empty when the entry could not be read.
    facts: by their names.  message: the readable text.  times: how many entries of its kind it stands for.
    """

    time: float
    name: str
    facts: Mapping[str, str]
    message: str
    times: int = 1

    def fact(self, name: str) -> str:
        """Return a fact, or an empty text when it is not known."""
        return self.facts.get(name, "")

    def seconds(self) -> float:
        """Return the fact `seconds`, 0 when it is not known."""
        return float(self.facts.get("seconds", 0))

    def size(self) -> int:
        """Return the fact `size` in octets, 0 when it is not known."""
        return int(self.facts.get("size", 0))

    def is_about(self, term: str) -> bool:
        """Say whether the event is about a message's id, a sender, a recipient or a client's address.

        term: in lower case.
        """
        return any(self.facts.get(name, "").lower() == term for name in SOUGHT)


SOUGHT = ("id", "recipient", "sender", "client_address")  # the facts that a trace can be asked for


class Trace(list[Event]):
    """What a log has about a message or a session, in order.  cut: how to see what was too much to show, or empty."""

    def __init__(self, events: Iterable[Event] = (), cut: str = "") -> None:
        super().__init__(events)
        self.cut = cut


class Source(Protocol):
    """A log to read.

    name: for a person.  unread: entries that could not be read so far.  ambiguous: those that could be read in more
    than one way.  foreign: those that are not from a service of mailrecv's; none of these is counted.
    gaps: what such a log does not tell, or empty.  on_progress: told now and then which part has been read, from 0
    to 1.
    """

    name: str
    unread: int
    ambiguous: int
    foreign: int
    gaps: str
    on_progress: Callable[[float], None]

    def events(self, period: Period, after: str = "") -> Iterator[Event]:
        """Yield the events of a period that are counted, in the order of the log. Raises LogError.

        after: the `position` of an earlier reading; what that has read is left out.
        """

    def position(self) -> str:
        """Return a word for how far `events` has read."""

    def traces(self, term: str, period: Period, number: int) -> list[Trace]:
        """Return the last so many messages or sessions that a term stands for, each in order. Raises LogError."""


class LogError(Exception):
    """A log cannot be read.  status: the exit status that says so.  The text says what to do."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class OtherLog(LogError):
    """A reading is to go on where an earlier one was, but that was of another log.  name: of the one to read now."""

    def __init__(self, name: str) -> None:
        text = f"--prometheus has read another log so far, not {name}; remove its file to count anew"
        super().__init__(text, os.EX_CANTCREAT)


def printable(text: str) -> str:
    """Return a text of a log without anything that a terminal might obey: mailrecv writes none, but who knows."""
    return text if text.isprintable() else shown(text, loghex=False)


def told(event: Event) -> Event | None:
    """Return an event, or what it stands for if it tells how often something was; None if that cannot be.

    What was only counted has no client, and of its facts the one that tells such entries apart.
    """
    if event.name != REPEATED.name:
        return event
    name, _, apart = event.fact("what").partition(" ")
    facts = {"line": event.fact("line") or "0"}
    if name in TOLD_APART_BY:
        facts[TOLD_APART_BY[name]] = apart
    if name not in CATALOGUE or not well_formed(facts):
        return None
    return Event(event.time, name, facts, event.message, int(event.fact("times")))


def unwatched(part: float) -> None:
    """Tell nobody of the progress."""


def well_formed(facts: Mapping[str, str]) -> bool:
    """Say whether the facts that have a form have it."""
    return all(form.fullmatch(facts[name]) for name, form in _COMPILED_FORMS.items() if name in facts)

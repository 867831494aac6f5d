"""The steps that an entry goes through on its way to a sink; each is a structlog processor.

Select, then make safe, then describe, then render: journald fields, a syslog line, a file line or a terminal line. What
strangers cause is selected once more: see `Stranger`.
"""

from __future__ import annotations

import os
import time
from _thread import allocate_lock  # all that it takes of `threading`, which a session need not import
from collections import deque
from syslog import LOG_CRIT, LOG_DEBUG, LOG_ERR, LOG_INFO, LOG_NOTICE, LOG_WARNING

from mailrecv.journal.bound_logger import DropEvent
from mailrecv.journal.catalogue import (
    KIND_SECONDS,
    MAX_OF_A_KIND,
    OWN_FACTS,
    REFUSAL,
    TOLD_APART_BY,
    WATCHED_REPLIES,
    Entry,
)
from mailrecv.journal.escape import shown, without_brackets
from mailrecv.journal.sinks import IDENTIFIER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from structlog.types import EventDict

MAX_WAITING = 10  # entries of a stranger that may still be logged; more would let strangers fill the memory
_LEVELS = {
    LOG_CRIT: "critical",
    LOG_ERR: "error",
    LOG_WARNING: "warning",
    LOG_NOTICE: "info",
    LOG_INFO: "info",
    LOG_DEBUG: "debug",
}


class Select:
    """Drops the entries that the debug flags do not ask for.  strangers: what all of them cause in this process."""

    def __init__(self, flags: str) -> None:
        self.strangers = Strangers()
        self._flags = {"", *flags}
        self._all = "a" in flags

    def wants(self, entry: Entry) -> bool:
        """Say whether the flags ask for it."""
        return entry.flag in self._flags or self._all

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        if not self.wants(event["entry"]):
            raise DropEvent
        return event


class Strangers:
    """What the strangers of this process have caused lately: when the last entries were logged, and what was not."""

    def __init__(self) -> None:
        self._turn = allocate_lock()
        self._logged: dict[str, deque[float]] = {}  # by kind: the times
        self._counts: dict[tuple[str, object], int] = {}  # by what it is, and the line of the configuration
        self._since = 0.0  # when the first of these came

    def may_log(self, kind: str) -> bool:
        """Say whether one more entry of a kind may be logged now, and take it that it is."""
        with self._turn:
            now = time.monotonic()
            logged = self._logged.setdefault(kind, deque(maxlen=MAX_OF_A_KIND))
            if len(logged) == MAX_OF_A_KIND and now - logged[0] < KIND_SECONDS:
                return False
            logged.append(now)
            return True

    def count(self, event: EventDict) -> None:
        """Count an entry that is not logged."""
        kind = event["event"]
        apart = event.get(TOLD_APART_BY.get(kind, ""), "")
        key = f"{kind} {apart}".rstrip(), event.get("line", 0)
        with self._turn:
            if not self._counts:
                self._since = time.monotonic()
            self._counts[key] = self._counts.get(key, 0) + 1

    def take_counts(self, *, at_once: bool) -> dict[tuple[str, object], int]:
        """Return what was counted, and begin anew; nothing before its time, unless it is wanted at once."""
        if not self._counts or not (at_once or time.monotonic() - self._since >= KIND_SECONDS):
            return {}
        with self._turn:
            counts, self._counts = self._counts, {}
            return counts


class Stranger:
    """Holds back what a client causes too often that no line of the configuration has admitted yet.

    Else whoever connects could fill the log, and nobody would find the others' mail in it. What is held back is logged
    once a line admits the client, and counted when none has. What debug flags ask for is always logged, and so are
    faults, and the refusals that fail2ban looks for.
    """

    def __init__(self, strangers: Strangers) -> None:
        self._strangers = strangers
        self._waiting: list[EventDict] = []
        self._is_admitted = False

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        if self._is_admitted or _is_always_logged(event) or self._strangers.may_log(event["event"]):
            return event
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(event)
        else:
            self._strangers.count(event)
        raise DropEvent

    def admit(self) -> list[EventDict]:
        """Hold back no more, and return what was held back."""
        self._is_admitted = True
        waiting, self._waiting = self._waiting, []
        return waiting

    def leave(self) -> None:
        """Count what was held back."""
        for event in self._waiting:
            self._strangers.count(event)
        self._waiting = []


def _is_always_logged(event: EventDict) -> bool:
    entry: Entry = event["entry"]
    watched = entry is REFUSAL and str(event["reply"]).startswith(WATCHED_REPLIES)
    return bool(entry.flag) or entry.priority <= LOG_ERR or watched


class MakeSafe:
    """Turns every fact into text that is safe in a log."""

    def __init__(self, *, loghex: bool) -> None:
        self._loghex = loghex

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        for name, value in event.items():
            if isinstance(value, str):
                event[name] = shown(value, loghex=self._loghex)
            elif isinstance(value, float):
                event[name] = f"{value:.3f}"
            elif isinstance(value, bytes):
                event[name] = shown(value.decode("utf-8", "surrogateescape"), loghex=self._loghex)
            elif not isinstance(value, Entry):
                event[name] = shown(str(value), loghex=self._loghex)
        return event


class Describe:
    """Adds the readable message; the facts stay as they are.

    with_address: begin it with the client's address in brackets, as fail2ban needs it.
    brackets: let a client's words have brackets, too. In a log that programs like fail2ban read, an address in brackets
    says who the client is, so no client may write one there.
    """

    def __init__(self, *, with_address: bool, brackets: bool) -> None:
        self._with_address = with_address
        self._brackets = brackets

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        facts = event if self._brackets else _WithoutBrackets(event)
        address = f"[{event['client_address']}] " if self._with_address and "client_address" in event else ""
        event["message"] = address + event["entry"].message.format_map(facts)
        return event


class _WithoutBrackets(dict[str, str]):
    """Facts that lose their brackets when they are looked up: a message has few of those that an entry has."""

    def __getitem__(self, name: str) -> str:
        fact = super().__getitem__(name)
        return fact if name in OWN_FACTS else without_brackets(fact)


def render_for_journald(logger: Any, method: str, event: EventDict) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the fields of a journal entry."""
    entry: Entry = event.pop("entry")
    fields = [
        f"MESSAGE={event.pop('message')}",
        f"PRIORITY={entry.priority}",
        f"MESSAGE_ID={entry.message_id}",
        f"SYSLOG_IDENTIFIER={IDENTIFIER}",
        f"SYSLOG_PID={os.getpid()}",
        f"MAILRECV_EVENT={event.pop('event')}",
    ]
    return tuple(fields + [f"MAILRECV_{name.upper()}={value}" for name, value in event.items()]), {}


def render_for_syslog(logger: Any, method: str, event: EventDict) -> tuple[tuple[str, int], dict[str, Any]]:
    """Return a line for syslog(3), and its priority."""
    return (event["message"], event["entry"].priority), {}


def render_for_file(logger: Any, method: str, event: EventDict) -> str:
    """Return a line for a file."""
    return f"{time.asctime()} {IDENTIFIER.upper()}[{os.getpid()}]: {event['message']}\n"


def for_terminal(logger: Any, method: str, event: EventDict) -> EventDict:
    """Leave what structlog's renderer shows: time, level and message."""
    return {
        "timestamp": time.strftime("%H:%M:%S"),
        "level": _LEVELS[event["entry"].priority],
        "event": event["message"],
    }


def end_line(logger: Any, method: str, text: str) -> str:
    """Add the line end."""
    return text + "\n"

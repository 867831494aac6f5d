"""The steps that an entry goes through on its way to a sink; each is a structlog processor.

Select, then make safe, then describe, then render: journald fields, a syslog line, a file line or a terminal line.
"""

from __future__ import annotations

import os
import time
from syslog import LOG_CRIT, LOG_DEBUG, LOG_ERR, LOG_INFO, LOG_NOTICE, LOG_WARNING

from mailrecv.journal.bound_logger import DropEvent
from mailrecv.journal.catalogue import OWN_FACTS, Entry
from mailrecv.journal.escape import shown, without_brackets
from mailrecv.journal.sinks import IDENTIFIER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from structlog.types import EventDict

_LEVELS = {
    LOG_CRIT: "critical",
    LOG_ERR: "error",
    LOG_WARNING: "warning",
    LOG_NOTICE: "info",
    LOG_INFO: "info",
    LOG_DEBUG: "debug",
}


class Select:
    """Drops the entries that the debug flags do not ask for."""

    def __init__(self, flags: str) -> None:
        self._flags = {"", *flags}
        self._all = "a" in flags

    def wants(self, entry: Entry) -> bool:
        """Say whether the flags ask for it."""
        return entry.flag in self._flags or self._all

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        if not self.wants(event["entry"]):
            raise DropEvent
        return event


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

"""The way of a message as text: who sent it, what became of it, and all that was recorded meanwhile, in order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from mailrecv.report.counts import LOST, TAKEN
from mailrecv.report.data import message_id
from mailrecv.report.event import Event, Trace
from mailrecv.report.sections import date, size

FATES = {
    "delivered": "delivered",
    "dead_letter": "kept with the dead letters",
    "deferred": "not delivered for now",
    "failed": "not delivered",
}


def traces_text(traces: Sequence[Trace]) -> str:
    """Return traces as text, a blank line between two of them."""
    return "\n".join("".join(f"{line}\n" for line in _trace(events)) for events in traces)


def _trace(events: Trace) -> Iterator[str]:
    identity = message_id(events)
    yield f"Message {identity}" if identity else f"Session of {date(events[0].time)}"
    yield f"  by    {_client(events)}"
    if senders := {event.facts["sender"]: None for event in events if "sender" in event.facts}:
        yield f"  from  {', '.join(f'<{sender}>' for sender in senders)}"
    for event in events:
        if event.name in TAKEN or event.name in LOST:
            yield f"  to    {_fate(event)}"
        elif event.name == "refusal" and event.fact("recipient"):
            yield f"  to    <{event.fact('recipient')}>: refused, {event.fact('reply')}"
    yield ""
    digits = 3 if any(event.time % 1 for event in events) else 0  # a log file has whole seconds
    day = ""
    for event in events:
        if day != (day := date(event.time, "%Y-%m-%d")):
            yield f"  {day}"
        yield f"  {_clock(event.time, digits)}  {event.message}{_detail(event)}"
    if events.cut:
        yield f"  There is more than these {len(events):,} entries; all of them: {events.cut}"


def _client(events: Sequence[Event]) -> str:
    """Return who the client was: the name and address that are known, and what it called itself."""
    facts: dict[str, str] = {}
    for event in events:
        facts.update(
            (name, event.facts[name]) for name in ("client_name", "client_address", "helo") if name in event.facts
        )
    said = f", HELO {facts['helo']}" if facts.get("helo") else ""
    return f"{facts.get('client_name', 'unknown')} [{facts.get('client_address', 'not known')}]{said}"


def _fate(event: Event) -> str:
    reason = f": {event.fact('reason')}" if event.name in LOST else ""
    copy = f"{size(event.size())}, {event.seconds():.3f} s"
    return f"<{event.fact('recipient')}>: {FATES[event.name]}{reason} ({event.fact('route')}, {copy})"


def _detail(event: Event) -> str:
    """Return what the text of a refusal leaves out."""
    if event.name != "refusal":
        return ""
    line = event.fact("line")
    details = [event.fact("command"), f"line {line} of the configuration" if line not in ("", "0") else ""]
    told = ", ".join(detail for detail in details if detail)
    return f"  ({told})" if told else ""


def _clock(seconds: float, digits: int) -> str:
    """Return a local time of day.  digits: of the fraction of a second."""
    fraction = f"{seconds % 1:.6f}"[1 : 2 + digits] if digits else ""
    return time.strftime("%H:%M:%S", time.localtime(seconds)) + fraction

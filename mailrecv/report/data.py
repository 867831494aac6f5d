"""A report and a trace as plain data, for JSON. The keys are documented, and stay. All times are in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mailrecv.report.counts import Counts
from mailrecv.report.event import Event, Source, Trace
from mailrecv.report.tally import COUNTS, Table, Tally


def report_data(counts: Counts, source: Source) -> dict[str, Any]:
    """Return all of a report.  source: where it was read."""
    return {
        "source": source.name,
        "first": _time(counts.first) if counts.first else None,
        "last": _time(counts.last) if counts.last else None,
        **_tally(counts.total),
        "copies": counts.copies,
        "hours": [{"begins": _time(hour), **_tally(tally)} for hour, tally in sorted(counts.hours.items())],
        "recipients": _rows(counts.recipients, "recipient", ("messages", "octets", "failures", "dead_letters")),
        "clients": _rows(counts.clients, "address", COUNTS),
        "slowest": [
            {**dict(zip(each.__match_args__, each.values(), strict=True)), "time": _time(each.time)}
            for each in counts.slowest
        ],
        "refusals_by_cause": _rows(counts.causes, "reply", ("refusals",)),
        "limits_exceeded": {limit: tally.refusals for limit, tally in counts.limits.sorted()},
        "sessions_by_end": {cause: tally.connections for cause, tally in counts.endings.sorted()},
        "troubles": {
            name: {"times": trouble.times, "last": _time(trouble.last), "message": trouble.message}
            for name, trouble in sorted(counts.troubles.items())
        },
        "not_counted": {"unread": source.unread, "ambiguous": source.ambiguous, "foreign": source.foreign},
    }


def trace_data(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """Return traces: for each the message's id, if it is about one message, and its events in order."""
    return [
        {
            "id": message_id(events),
            "cut": events.cut or None,
            "events": [
                {"time": _time(event.time), "event": event.name, "message": event.message, "facts": dict(event.facts)}
                for event in events
            ],
        }
        for events in traces
    ]


def message_id(events: Sequence[Event]) -> str | None:
    """Return the id of the message that a trace is about; None if it is about a session with none, or with several."""
    ids = {event.facts["id"] for event in events if "id" in event.facts}
    return ids.pop() if len(ids) == 1 else None


def _tally(tally: Tally, counts: Sequence[str] = COUNTS) -> dict[str, int]:
    return {count: getattr(tally, count) for count in counts}


def _rows(table: Table, key_name: str, counts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a table; what was not kept apart comes last, under no key."""
    rows: list[dict[str, Any]] = [
        {key_name: key, **({"name": tally.name} if tally.name else {}), **_tally(tally, counts)}
        for key, tally in table.sorted()
    ]
    if table.merged:
        rows.append({key_name: None, **_tally(table.others, counts)})
    return rows


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")

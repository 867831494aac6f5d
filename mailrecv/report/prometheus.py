"""Metrics in Prometheus's text exposition format, as node_exporter's textfile collector takes them.

A counter must only ever rise, but a log loses its beginning. So the counters live on in the file that they are written
to, and beside them, in a comment, how far the log has been read: each run adds what is new. The label of a metric has
values that the program or its configuration chooses. Should there be more than MAX_SERIES all the same, the further
ones share one.
"""

from __future__ import annotations

import re

from mailrecv.report.counts import LOST, TAKEN, TROUBLES, FirstCopies
from mailrecv.report.event import Event
from mailrecv.values import Value

MAX_SERIES = 200  # of a metric
OTHER = "other"  # the label of all further ones; no address, code or name in the catalogue is that
_SAMPLE = re.compile(r'mailrecv_(?P<name>[a-z_]+)(?:\{[a-z]+="(?P<value>(?:[^"\\]|\\.)*)"\})? (?P<number>[0-9.]+)')
_POSITION = "# The log has been read up to "
_ESCAPED = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
_UNESCAPED = {escaped: character for character, escaped in _ESCAPED.items()}


class Metric(Value):
    """What is told about a metric.  label: the name of what tells its series apart.  known: series that begin at 0."""

    help: str
    label: str = ""
    known: tuple[str, ...] = ()


METRICS = {  # by their names after `mailrecv_`; those in `_total` are counters, the other is a gauge
    "connections_total": Metric("Connections from clients."),
    "sessions_ended_total": Metric("Sessions that have ended, by the cause of the end.", "cause"),
    "messages_total": Metric("Messages of which a copy was delivered or kept with the dead letters."),
    "message_bytes_total": Metric("Octets of mail data in these messages."),
    "copies_total": Metric("Copies of messages, by what became of them.", "outcome", (*TAKEN, *LOST)),
    "delivery_seconds_total": Metric("Time that these copies took."),
    "recipient_copies_total": Metric("Copies delivered to a recipient.", "recipient"),
    "recipient_failures_total": Metric("Copies for a recipient that were not delivered.", "recipient"),
    "refusals_total": Metric("Replies of 4xx and 5xx, by their code.", "code"),
    "limits_exceeded_total": Metric("Limits that were exceeded, by their name.", "limit"),
    "troubles_total": Metric("Events that need a person, by their name.", "event", TROUBLES),
    "last_event_timestamp_seconds": Metric("When the latest of these events was recorded."),
}


class Metrics:
    """The metrics so far.  position: how far the log was read for them, empty before the first time."""

    def __init__(self) -> None:
        self.position = ""
        self._series: dict[str, dict[str, float]] = {
            name: dict.fromkeys(metric.known if metric.label else ("",), 0.0) for name, metric in METRICS.items()
        }
        self._is_first_copy = FirstCopies()

    def add(self, event: Event) -> None:
        """Count an event."""
        last = self._series["last_event_timestamp_seconds"]
        last[""] = max(last[""], event.time)
        name = event.name
        if name in TAKEN or name in LOST:
            self._count("copies_total", name)
            self._count("delivery_seconds_total", by=event.seconds())
        if name in TAKEN and self._is_first_copy(event.fact("id")):
            self._count("messages_total")
            self._count("message_bytes_total", by=event.size())
        if name == "delivered":
            self._count("recipient_copies_total", event.fact("recipient").lower())
        elif name in LOST:
            self._count("recipient_failures_total", event.fact("recipient").lower())
        elif name == "connection":
            self._count("connections_total", by=event.times)
        elif name == "disconnection":
            self._count("sessions_ended_total", event.fact("cause"), by=event.times)
        elif name == "refusal":
            self._count("refusals_total", event.fact("reply")[:3], by=event.times)
        elif name == "limit_exceeded":
            self._count("limits_exceeded_total", event.fact("limit"), by=event.times)
        elif name in TROUBLES:
            self._count("troubles_total", name, by=event.times)

    def text(self) -> str:
        """Return the metrics as text."""
        lines = []
        for name, metric in METRICS.items():
            lines.append(f"# HELP mailrecv_{name} {metric.help}")
            lines.append(f"# TYPE mailrecv_{name} {'counter' if name.endswith('_total') else 'gauge'}")
            for value, number in sorted(self._series[name].items()):
                label = f'{{{metric.label}="{_escaped(value)}"}}' if metric.label else ""
                lines.append(f"mailrecv_{name}{label} {round(number, 3):.15g}")
        if self.position:
            lines.append(_POSITION + self.position)
        return "".join(f"{line}\n" for line in lines)

    def go_on_from(self, text: str) -> None:
        """Take over the metrics of an earlier text. Raises ValueError when it is no such text."""
        for line in text.splitlines():
            sample = _SAMPLE.fullmatch(line)
            if sample and sample["name"] in METRICS:
                self._series[sample["name"]][_unescaped(sample["value"] or "")] = float(sample["number"])
            elif line.startswith(_POSITION):
                self.position = line.removeprefix(_POSITION)
        if not self.position:
            raise ValueError("this was not written by --prometheus")

    def _count(self, name: str, value: str = "", *, by: float = 1) -> None:
        series = self._series[name]
        if value not in series and len(series) >= MAX_SERIES:
            value = OTHER
        series[value] = series.get(value, 0.0) + by


def _escaped(value: str) -> str:
    return re.sub(r'[\\"\n]', lambda match: _ESCAPED[match[0]], value)


def _unescaped(value: str) -> str:
    return re.sub(r"\\.", lambda match: _UNESCAPED.get(match[0], match[0]), value)

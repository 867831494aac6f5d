"""What a report says, part by part, for a person: the same tables for the terminal and for the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from mailrecv.report.counts import Counts
from mailrecv.report.event import Source
from mailrecv.report.tally import Table, Tally
from mailrecv.values import Value

MAX_HOURS = 48  # that are shown one by one; longer periods are shown by day, and by month beyond MAX_DAYS
MAX_DAYS = 62
TIME_FORMS = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d %a", "month": "%Y-%m"}
TIMELINE = "timeline"
TROUBLES = "troubles"
MESSAGES_AND_FAILURES = ("messages", "failures")
ADVICE = {  # for each of TROUBLES
    "internal_error": "a fault in mailrecv itself; the traceback is in the log",
    "spool_failed": "mail data could not be kept while it came in: is there room in TMPDIR?",
    "config_fault": "the configuration has faults: run `mailrecv check`",
    "logfile_failed": "the log file could not be written",
    "pattern_limit": "a pattern took too much work and was given up: make it simpler",
    "processes_left": "a command left processes behind, which may end with its session; mailrecv.conf(5) says more",
    "config_refused": "the new configuration has faults, the one before is in force: run `mailrecv check`",
    "worker_lost": "a process of the resident server ended with its sessions; the log says how",
    "worker_hangs": "a process of the resident server did not answer and was killed",
    "worker_missing": "the system had no process to give: is there a limit of tasks or memory?",
    "clients_wait": "the resident server had no descriptor or memory for clients: raise LimitNOFILE= in its unit",
}


class Section(Value):
    """A table with bars.

    headings: of the columns; the first column is text, the others are numbers unless `text` has their index.
    whole: the columns of text that are of no use when they are shortened.
    bars: the value that is drawn beside each row.  marks: the part of it that is drawn as trouble.
    legend: what bars and marks are.  note: what to know about it.
    kind: TIMELINE when the rows are a sequence of times, TROUBLES when a person is needed.
    """

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    bars: list[float]
    marks: list[float]
    legend: tuple[str, ...]
    text: tuple[int, ...] = (0,)
    whole: tuple[int, ...] = ()
    note: str = ""
    kind: str = ""


def sections(counts: Counts, top: int) -> list[Section]:
    """Return the parts of a report that have something to say.  top: the most rows of each, but for times."""
    parts = [_troubles(counts), _timeline(counts), *_tables(counts, top), *_ends(counts, top)]
    return [part for part in parts if part.rows]


def buckets(counts: Counts) -> tuple[str, list[tuple[float, Tally]]]:
    """Return `hour`, `day` or `month`, and the counts of each by the time of its beginning, those without any too."""
    if not counts.hours:
        return "hour", []
    first, last = min(counts.hours), max(counts.hours)
    unit = "hour" if last - first < MAX_HOURS * 3600 else "day" if last - first < MAX_DAYS * 86400 else "month"
    merged: dict[str, tuple[float, Tally]] = {}
    for hour in range(first, last + 1, 3600):  # a gap is shown as one
        merged.setdefault(date(hour, TIME_FORMS[unit]), (hour, Tally()))
    for hour, tally in counts.hours.items():
        merged[date(hour, TIME_FORMS[unit])][1].add(tally)
    return unit, list(merged.values())


def heading(counts: Counts, source: Source) -> str:
    """Return what the report is about."""
    if not counts.first:
        return f"Nothing was recorded in {source.name} in this time."
    return f"From {date(counts.first)} to {date(counts.last)} {date(counts.last, '%Z')}, in {source.name}"


def notes(source: Source) -> list[str]:
    """Return what to know about what was not counted."""
    told = []
    if source.unread:
        entries = "entry" if source.unread == 1 else "entries"
        told.append(f"Not counted: {source.unread:,} {entries} that mailrecv does not write.")
    if source.foreign:
        entries = "entry" if source.foreign == 1 else "entries"
        whose = "that no service of mailrecv's has written; journalctl -t mailrecv -o verbose shows who has"
        told.append(f"Not counted: {source.foreign:,} {entries} {whose}.")
    if source.ambiguous:
        lines = "line" if source.ambiguous == 1 else "lines"
        told.append(f"Not counted: {source.ambiguous:,} {lines} that could be read in more than one way.")
    return told


def summary(counts: Counts) -> list[tuple[str, str]]:
    """Return the figures of the whole, each with what it is."""
    total = counts.total
    figures = (
        (counts.copies, "copy", "copies"),
        (total.dead_letters, "dead letter", "dead letters"),
        (total.failures, "failure", "failures"),
        (total.refusals, "refusal", "refusals"),
        (total.connections, "connection", "connections"),
    )
    return [
        (f"{total.messages:,}", "message" if total.messages == 1 else "messages"),
        (size(total.octets), "of mail"),
        *((f"{number:,}", one if number == 1 else more) for number, one, more in figures),
    ]


def size(octets: int) -> str:
    """Return a number of octets in three digits or four, with a decimal unit."""
    number = float(octets)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.95:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def date(seconds: float, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a local time as text."""
    return time.strftime(form, time.localtime(seconds))


def _troubles(counts: Counts) -> Section:
    troubles = sorted(counts.troubles.items())
    return Section(
        "Needs attention",
        ("event", "times", "last", "what it is"),
        [(name, f"{t.times:,}", date(t.last), ADVICE[name]) for name, t in troubles],
        [0.0] * len(troubles),
        [0.0] * len(troubles),
        (),
        text=(0, 2, 3),
        whole=(0, 2, 3),
        kind=TROUBLES,
    )


def _timeline(counts: Counts) -> Section:
    unit, rows = buckets(counts)
    return Section(
        f"By {unit}",
        (unit, "messages", "octets", "failures", "refusals"),
        [
            (date(begin, TIME_FORMS[unit]), f"{t.messages:,}", size(t.octets), f"{t.failures:,}", f"{t.refusals:,}")
            for begin, t in rows
        ],
        [t.messages + t.failures for _, t in rows],
        [t.failures for _, t in rows],
        MESSAGES_AND_FAILURES,
        kind=TIMELINE,
    )


def _tables(counts: Counts, top: int) -> Iterator[Section]:
    yield _table(
        "Recipients",
        ("recipient", "messages", "octets", "failures", "dead letters"),
        counts.recipients,
        top,
        lambda key, t: (key, f"{t.messages:,}", size(t.octets), f"{t.failures:,}", f"{t.dead_letters:,}"),
    )
    yield _table(
        "Clients",
        ("client", "messages", "octets", "failures", "refusals", "connections"),
        counts.clients,
        top,
        lambda key, t: (
            f"{t.name} [{key}]" if t.name else f"[{key}]" if key[0] in "0123456789" or ":" in key else key,
            *(f"{t.messages:,}", size(t.octets), f"{t.failures:,}", f"{t.refusals:,}", f"{t.connections:,}"),
        ),
    )
    slowest = counts.slowest[:top]
    yield Section(
        "Slowest deliveries",
        ("message", "time", "seconds", "octets", "recipient", "fate"),
        [
            (d.id, date(d.time), f"{d.seconds:.3f}", size(d.size), d.recipient, d.outcome.replace("_", " "))
            for d in slowest
        ],
        [0.0] * len(slowest),
        [0.0] * len(slowest),
        (),
        text=(0, 1, 4, 5),
        whole=(0,),  # the id is what `mailrecv trace` is asked for
    )


def _ends(counts: Counts, top: int) -> Iterator[Section]:
    yield _counted("Refusals by cause", ("reply", "times"), counts.causes, top, lambda tally: tally.refusals)
    yield _counted("Limits exceeded", ("limit", "times"), counts.limits, top, lambda tally: tally.refusals)
    yield _counted("Ends of sessions", ("cause", "sessions"), counts.endings, top, lambda tally: tally.connections)


def _table(
    title: str, headings: tuple[str, ...], table: Table, top: int, cells: Callable[[str, Tally], tuple[str, ...]]
) -> Section:
    shown, merged, others = table.top(top)
    rows = [cells(key, tally) for key, tally in shown]
    bars = [float(tally.messages + tally.failures) for _, tally in shown]
    marks = [float(tally.failures) for _, tally in shown]
    if merged:  # without a bar, beside which all others might be too short to see
        rows.append((f"({merged:,} others)", *cells("x", others)[1:]))
        bars.append(0.0)
        marks.append(0.0)
    note = "Some of the others may be counted twice: there were too many to keep apart." if table.merged else ""
    return Section(title, headings, rows, bars, marks, MESSAGES_AND_FAILURES, note=note)


def _counted(title: str, headings: tuple[str, str], table: Table, top: int, number: Callable[[Tally], int]) -> Section:
    shown, merged, others = table.top(top)
    numbers = [(key, number(tally)) for key, tally in shown]
    rows: list[tuple[str, ...]] = [(key, f"{times:,}") for key, times in numbers]
    bars = [float(times) for _, times in numbers]
    if merged:
        rows.append((f"({merged:,} others)", f"{number(others):,}"))
        bars.append(0.0)
    return Section(title, headings, rows, bars, [0.0] * len(rows), headings[1:])

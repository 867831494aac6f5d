"""A report and a trace in a terminal: of any width, and of any encoding."""

from __future__ import annotations

import re

import pytest

from mailrecv.journal import catalogue
from mailrecv.report.bars import bar, shortened
from mailrecv.report.counts import Counts, count_all
from mailrecv.report.event import Source
from mailrecv.report.period import Period
from mailrecv.report.sections import MAX_DAYS, MAX_HOURS, buckets, sections, size
from mailrecv.report.tally import Tally
from mailrecv.report.text import report_text
from mailrecv.report.trace import traces_text
from tests.support.journals import NOON, Recorder, Session
from tests.unit.report.conftest import Opener


def report(source: Source, *, width: int = 120, unicode: bool = True, top: int = 10) -> str:
    return report_text(count_all(source.events(Period())), source, width=width, unicode=unicode, top=top)


@pytest.mark.parametrize(
    "value, cells, drawn, plain",
    [
        (0, 10, "", ""),
        (100, 10, "██████████", "##########"),
        (50, 10, "█████", "#####"),
        (55, 10, "█████▌", "######"),
        (0.01, 10, "▏", "#"),
        (250, 4, "████", "####"),
        (50, 0, "", ""),
    ],
)
def test_bar(value: float, cells: int, drawn: str, plain: str) -> None:
    """A bar is as long as its value; the least value can still be seen, the greatest is as long as there is room."""
    assert bar(value, 100, cells, unicode=True) == drawn
    assert bar(value, 100, cells, unicode=False) == plain


@pytest.mark.parametrize("marked, drawn", [(1, "█████████░"), (50, "█████░░░░░"), (100, "░░░░░░░░░░")])
def test_marked_bar(marked: float, drawn: str) -> None:
    """The marked part is drawn at the end, and never as nothing."""
    assert bar(100, 100, 10, unicode=True, marked=marked) == drawn
    assert bar(100, 100, 10, unicode=False, marked=marked) == drawn.replace("█", "#").replace("░", "!")


def test_shortened() -> None:
    """A text that is too long says so."""
    assert shortened("abcdef", 6, unicode=True) == "abcdef"
    assert shortened("abcdef", 4, unicode=True) == "abc…"
    assert shortened("abcdef", 5, unicode=False) == "ab..."


@pytest.mark.parametrize(
    "octets, shown",
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2 * 10**15, "2000.0 TB"),
    ],
)
def test_size(octets: int, shown: str) -> None:
    """Octets are shown in the unit that fits."""
    assert size(octets) == shown


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(width: int, story: Recorder, as_file: Opener) -> None:
    """Texts are shortened before a line gets too long, as far as there is anything left to read."""
    session = Session(story, "192.0.2.9", "n" * 60 + ".example.org")
    session.message("c1", "me@example.org", "a-recipient-with-a-long-name@mydomain.com")
    source = as_file(story)
    lines = report(source, width=width).replace(source.name, "LOG").splitlines()
    assert max(len(line) for line in lines) <= max(width, 82)
    assert not any(line.endswith(" ") for line in lines)


def test_an_id_is_never_shortened(recorder: Recorder, as_file: Opener) -> None:
    """However narrow the terminal, the ids of the slowest deliveries are there to be copied, for `trace`."""
    session = Session(recorder)
    session.message("660f202bb02027bc37657", "me@example.org", "a-recipient-with-a-long-name@mydomain.com")
    lines = report(as_file(recorder), width=80).splitlines()
    assert [line for line in lines if line.startswith("660f202bb02027bc37657  ")]
    assert max(len(line) for line in lines[1:]) <= 80


def test_ascii(story: Recorder, as_file: Opener) -> None:
    """Where the terminal has nothing but ASCII, nothing else is drawn."""
    text = report(as_file(story), unicode=False)
    assert text.isascii()
    assert "# messages  ! failures" in text
    assert "█ messages  ░ failures" in report(as_file(story), unicode=True)


def test_the_parts_of_a_report(story: Recorder, as_file: Opener) -> None:
    """What needs a person comes first; a part without anything to say is left out."""
    assert "Needs attention" not in report(as_file(story))
    story.record(catalogue.SPOOL_FAILED, reason="No space left on device")
    counts = count_all(as_file(story).events(Period()))
    assert [section.title for section in sections(counts, 10)] == [
        *("Needs attention", "By hour", "Recipients", "Clients", "Slowest deliveries", "Refusals by cause"),
        *("Limits exceeded", "Ends of sessions"),
    ]


@pytest.mark.parametrize("width", [40, 80])
def test_advice_is_never_shortened(width: int, recorder: Recorder, as_file: Opener) -> None:
    """What to do about what needs a person is told to the end, also where the line is wider than the terminal."""
    recorder.record(catalogue.CONFIG_FAULT, text="/etc/mailrecv.conf:1:1: unknown directive domian")
    assert re.search(r"config_fault +1 .*: run `mailrecv check`\n", report(as_file(recorder), width=width))


def test_others(story: Recorder, as_file: Opener) -> None:
    """What a table has no row for is summed up in one, so that the columns add up."""
    text = report(as_file(story), top=1)
    assert re.search(r"(?m)^status@mydomain.com +2 +1.5 kB +0 +0", text)
    assert re.search(r"(?m)^\(3 others\) +2 +1.3 kB +1 +1$", text)


def test_nothing_recorded(recorder: Recorder, as_file: Opener) -> None:
    """A report about nothing says so."""
    source = as_file(recorder)
    assert report(source) == f"Nothing was recorded in {source.name} in this time.\n"


def test_nobody_was_there(recorder: Recorder, as_file: Opener) -> None:
    """A report about a fault alone has no times at which clients came."""
    recorder.record(catalogue.CONFIG_FAULT, text="/etc/mailrecv.conf:1:1: unknown directive domian")
    text = report(as_file(recorder))
    assert "Needs attention" in text
    assert "By hour" not in text


@pytest.mark.parametrize("forged, told", [(1, "1 entry"), (1200, "1,200 entries")])
def test_entries_of_others(forged: int, told: str, story: Recorder, as_journal: Opener) -> None:
    """Entries that others have put into the journal are not kept quiet."""
    source = as_journal(story)
    assert "no service of mailrecv's" not in report(source)
    source.foreign = forged
    assert f"Not counted: {told} that no service of mailrecv's has written; journalctl" in report(source)


def test_what_was_not_counted(story: Recorder, as_file: Opener) -> None:
    """Lines that were not counted are not kept quiet."""
    story.lines.append("nonsense\n")
    Session(story).message("c1", "x> to=<y", "me@mydomain.com")
    text = report(as_file(story))
    assert "Not counted: 1 entry that mailrecv does not write." in text
    assert "Not counted: 1 line that could be read in more than one way." in text


@pytest.mark.parametrize(
    "hours, unit, number",
    [(1, "hour", 1), (MAX_HOURS, "hour", MAX_HOURS), (MAX_HOURS + 13, "day", 4), (24 * MAX_DAYS + 1, "month", 3)],
)
def test_buckets(hours: int, unit: str, number: int) -> None:
    """A short time is shown by hour, a longer one by day or by month, with those in which there was nothing."""
    counts = Counts()
    for hour in (0, hours - 1):
        counts.hours[int(NOON) + hour * 3600] = tally = Tally()
        tally.messages = 5
    found, rows = buckets(counts)
    assert (found, len(rows)) == (unit, number)
    assert sum(tally.messages for _, tally in rows) == 5 * len(counts.hours)


def test_trace_text(story: Recorder, as_journal: Opener) -> None:
    """A trace says who sent, what became of each copy, and all that was recorded, with what a refusal was about."""
    source = as_journal(story)
    assert traces_text(source.traces("b1", Period(), 5)) == (
        "Message b1\n"
        "  by    other.example.org [192.0.2.8], HELO other.example.org\n"
        "  from  <you@example.org>\n"
        "  to    <script@mydomain.com>: not delivered for now: exit status 75 "
        "(append /var/mail/inbox, 2.0 kB, 3.000 s)\n"
        "\n"
        "  2026-11-23\n"
        "  14:00:00  SMTP connection from remote host other.example.org [192.0.2.8]\n"
        "  14:00:00  b1: from=<you@example.org> to=<script@mydomain.com> route=append /var/mail/inbox size=2000 "
        "seconds=3.000 not delivered for now: exit status 75\n"
        "  14:00:00  ERROR: 451 Not delivered, try again later (00000000000000000b1ff)\n"
        "  14:00:00  connection closed (left): 7 commands, 2 messages, 1 recipients, 1 refusals, 0.000 seconds\n"
    )
    text = traces_text(source.traces("203.0.113.9", Period(), 5))
    assert text.startswith("Session of 2026-11-23 13:00:00\n  by    unknown [203.0.113.9], HELO unknown\n")
    assert "\n  to    <sales@mydomain.com>: refused, 550 No one here by that name.\n" in text
    assert "ERROR: 550 No one here by that name.  (RCPT TO:<info@mydomain.com>, line 7 of the configuration)\n" in text


def test_a_trace_over_midnight(recorder: Recorder, as_journal: Opener) -> None:
    """The day stands before the first entry, and again where it changes."""
    recorder.now += 12 * 3600 - 1.5
    session = Session(recorder)
    for message_id in ("f1", "f2"):
        session.message(message_id, "me@example.org", "me@mydomain.com")
        recorder.now += 1
    recorder.now += 24 * 3600
    session.close()
    lines = traces_text(as_journal(recorder).traces("192.0.2.7", Period(), 5)).split("\n\n")[1].splitlines()
    assert [re.sub(r"(?<=\d)  .*", "", line) for line in lines] == [
        *("  2026-11-23", "  23:59:58.500", "  23:59:58.500", "  23:59:59.500"),
        *("  2026-11-25", "  00:00:00.500"),
    ]


def test_a_trace_that_is_cut(story: Recorder, as_journal: Opener) -> None:
    """What a trace leaves out is told at its end, with the command that shows it."""
    [trace] = as_journal(story).traces("a1", Period(), 5)
    assert "There is more" not in traces_text([trace])
    trace.cut = "journalctl MAILRECV_SESSION=1"
    assert traces_text([trace]).endswith(
        "\n  There is more than these 4 entries; all of them: journalctl MAILRECV_SESSION=1\n"
    )


def test_a_trace_has_nothing_that_a_terminal_obeys(recorder: Recorder, as_file: Opener) -> None:
    """A file that mailrecv has not written cannot make the terminal do anything."""
    session = Session(recorder)
    session.message("f1", "me@example.org", "me@mydomain.com")
    session.close()
    recorder.lines = [line.replace("me@example.org", "\x1b]0;x\x07\u202eme") for line in recorder.lines]
    text = traces_text(as_file(recorder).traces("f1", Period(), 5))
    assert text.replace("\n", "").isprintable()
    assert "<0x1b>]0;x<0x07>" in text

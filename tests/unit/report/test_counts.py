"""Counting: each figure of a report, and tables that stay within their size."""

from __future__ import annotations

from syslog import LOG_WARNING

import pytest

from mailrecv.journal import catalogue
from mailrecv.report.counts import COUNTED, MAX_LATELY_TAKEN, MAX_SLOWEST, TROUBLES, Counts, FirstCopies, count_all
from mailrecv.report.event import Event
from mailrecv.report.period import Period
from mailrecv.report.sections import ADVICE
from mailrecv.report.tally import COUNTS, Table, Tally
from tests.support.journals import NOON, Recorder, Session
from tests.unit.report.conftest import Opener


def figures(tally: Tally) -> dict[str, int]:
    """Return the counts of a row that are not 0."""
    return {name: count for name in COUNTS if (count := getattr(tally, name))}


def counted(story: Recorder, opened: Opener) -> Counts:
    return count_all(opened(story).events(Period()))


def test_the_whole(story: Recorder, opened: Opener) -> None:
    """A message counts once, with its octets, and each of its copies; failures and refusals count by themselves."""
    counts = counted(story, opened)
    whole = {"messages": 3, "octets": 1800, "failures": 1, "dead_letters": 1, "refusals": 3, "connections": 3}
    assert (figures(counts.total), counts.copies) == (whole, 4)
    assert (int(counts.first), int(counts.last)) == (NOON, NOON + 7200)


def test_recipients(story: Recorder, opened: Opener) -> None:
    """A recipient has a copy of each message, whatever the letter case, and the failures; none for who was refused."""
    rows = {key: figures(tally) for key, tally in counted(story, opened).recipients.sorted()}
    assert rows == {
        "status@mydomain.com": {"messages": 2, "octets": 1500},
        "list@mydomain.com": {"messages": 1, "octets": 1000},
        "gone@mydomain.com": {"messages": 1, "octets": 300, "dead_letters": 1},
        "script@mydomain.com": {"failures": 1},
    }


def test_clients(story: Recorder, opened: Opener) -> None:
    """A client has its messages, and all that went wrong with it."""
    rows = counted(story, opened).clients.sorted()
    assert {(key, tally.name): figures(tally) for key, tally in rows} == {
        ("192.0.2.7", "mail.example.org"): {"messages": 2, "octets": 1500, "connections": 1},
        ("192.0.2.8", "other.example.org"): {
            "messages": 1,
            "octets": 300,
            "failures": 1,
            "dead_letters": 1,
            "refusals": 1,
            "connections": 1,
        },
        ("203.0.113.9", ""): {"refusals": 2, "connections": 1},
    }


def test_hours(story: Recorder, opened: Opener) -> None:
    """Each hour has its own counts."""
    hours = {hour: figures(tally).get("messages", 0) for hour, tally in counted(story, opened).hours.items()}
    assert hours == {int(NOON): 2, int(NOON) + 3600: 0, int(NOON) + 7200: 1}


def test_causes(story: Recorder, as_journal: Opener) -> None:
    """Refusals are told apart by the reply and the line that decided; a message's id is no part of the cause."""
    counts = counted(story, as_journal)
    assert {key: tally.refusals for key, tally in counts.causes.sorted()} == {
        "550 No one here by that name. (line 7)": 2,
        "451 Not delivered, try again later": 1,
    }
    assert {key: tally.refusals for key, tally in counts.limits.sorted()} == {"smtp_failcmds": 1}
    assert {key: tally.connections for key, tally in counts.endings.sorted()} == {"quit": 1, "left": 1, "refused": 1}


def test_what_the_log_tells_as_a_number(story: Recorder, opened: Opener) -> None:
    """What strangers did too often to be logged one by one counts in every sum, without a client."""
    for what, times in (
        ("refusal 500 Command not recognized", 490),
        ("connection", 120),
        ("disconnection left", 118),
        ("limit_exceeded connections", 33),
        ("pattern_limit", 2),
    ):
        story.record(catalogue.REPEATED, what=what, times=times, line=0)
    source = opened(story)
    counts = count_all(source.events(Period()))
    assert (counts.total.refusals, counts.total.connections) == (3 + 490, 3 + 120)
    assert counts.causes["500 Command not recognized"].refusals == 490
    assert (counts.endings["left"].connections, counts.limits["connections"].refusals) == (1 + 118, 33)
    assert counts.troubles["pattern_limit"].times == 2
    assert figures(counts.clients["not known"]) == {"refusals": 490, "connections": 120}
    assert (source.unread, source.ambiguous) == (0, 0)


def test_the_line_that_refused_so_often(recorder: Recorder, as_journal: Opener) -> None:
    """In the journal a number, too, is known by the line of the configuration."""
    session = Session(recorder)
    session.refuse(450, "Not now.", recipient="sales@mydomain.com", line=7)
    recorder.record(catalogue.REPEATED, what="refusal 450 Not now.", times=5, line=7)
    [(cause, tally)] = counted(recorder, as_journal).causes.sorted()
    assert (cause, tally.refusals) == ("450 Not now. (line 7)", 6)


@pytest.mark.parametrize("what", ["", "nonsense", "refusal", "refusal 999 x", "limit_exceeded A B", "disconnection"])
def test_a_number_of_what_mailrecv_does_not_know(what: str, recorder: Recorder, opened: Opener) -> None:
    """A number of nothing that could be counted is unread."""
    Session(recorder)
    recorder.record(catalogue.REPEATED, what=what, times=5, line=0)
    source = opened(recorder)
    assert [event.name for event in source.events(Period())] == ["connection"]
    assert source.unread == 1


def test_slowest(story: Recorder, opened: Opener) -> None:
    """The slowest deliveries come first, failed ones too."""
    slowest = counted(story, opened).slowest
    assert [(each.seconds, each.id, each.outcome) for each in slowest[:2]] == [
        (3.0, "b1", "deferred"),
        (0.5, "b2", "dead_letter"),
    ]


def test_so_many_slowest() -> None:
    """Only so many of the slowest are kept, and they are the slowest."""
    counts = Counts()
    for number in range(3 * MAX_SLOWEST):
        seconds = number * 7 % (3 * MAX_SLOWEST)
        counts.add(Event(NOON, "failed", {"seconds": f"{seconds}.000", "id": f"{number:x}"}, ""))
    assert [each.seconds for each in counts.slowest] == [3 * MAX_SLOWEST - 1 - n for n in range(MAX_SLOWEST)]


def test_troubles(recorder: Recorder, opened: Opener) -> None:
    """What needs a person is counted, with the last text."""
    for reason in ("No space left on device", "Disk quota exceeded"):
        recorder.now += 1
        recorder.record(catalogue.SPOOL_FAILED, reason=reason)
    [(name, trouble)] = count_all(opened(recorder).events(Period())).troubles.items()
    assert (name, trouble.times, int(trouble.last)) == ("spool_failed", 2, NOON + 2)
    assert trouble.message == "ERROR: the mail data cannot be kept: Disk quota exceeded"


def test_the_troubles_of_a_resident_server(recorder: Recorder, opened: Opener) -> None:
    """What happens to a resident server, and needs a person, is counted, from the journal and from a file."""
    recorder.record(catalogue.CONFIG_REFUSED, path="/etc/mailrecv.conf")
    recorder.record(catalogue.WORKER_LOST, worker=7, end="was ended by signal 9", connections=3)
    recorder.record(catalogue.WORKER_HANGS, worker=8, seconds=20.0)
    recorder.record(catalogue.WORKER_MISSING, reason="Resource temporarily unavailable")
    recorder.record(catalogue.CLIENTS_WAIT, reason="Too many open files")
    counts = counted(recorder, opened)
    troubles = ["clients_wait", "config_refused", "worker_hangs", "worker_lost", "worker_missing"]
    assert sorted(counts.troubles) == troubles


def test_nothing_that_needs_a_person_is_left_out() -> None:
    """Every event of priority warning and above is counted; all but those about a copy are troubles, with advice."""
    serious = {entry.name for entry in catalogue.CATALOGUE.values() if entry.priority <= LOG_WARNING}
    assert serious - {"traceback"} <= set(COUNTED)
    assert set(TROUBLES) == serious - {"deferred", "failed", "dead_letter", "traceback"} == set(ADVICE)


def test_a_table_stays_within_its_size() -> None:
    """Beyond its size a table keeps the heavier half, and counts the rest as others: nothing is lost."""
    table = Table(max_keys=10)
    for number in range(100):
        table[f"key {number}"].messages += 1
        table["heavy"].messages += 1
    rows, merged, others = table.top(3)
    assert rows[0][0] == "heavy"
    assert len(rows) == 3
    assert len(table.sorted()) <= 10
    assert merged == 101 - 3
    assert sum(tally.messages for _, tally in rows) + others.messages == 200


def test_first_copies() -> None:
    """The first copy of a message is told from the others, as long as it was not too long ago."""
    is_first = FirstCopies()
    assert [is_first("a"), is_first("a"), is_first("b"), is_first("a")] == [True, False, True, False]
    for number in range(MAX_LATELY_TAKEN):
        is_first(f"{number}")
    assert is_first("a")
    assert len(is_first._lately) == MAX_LATELY_TAKEN

"""What a log gives back, read from the journal or from a file: the same events, and the same traces."""

from __future__ import annotations

from mailrecv.journal import catalogue
from mailrecv.report.counts import COUNTED
from mailrecv.report.event import Event
from mailrecv.report.period import Period
from tests.support.journals import NOON, Recorder, Session
from tests.unit.report.conftest import Opener

ALWAYS = Period()


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


def test_events(story: Recorder, opened: Opener) -> None:
    """All that is counted is read, in order, with its facts and who the client was."""
    source = opened(story)
    events = list(source.events(ALWAYS))
    assert names(events) == [
        *("connection", "delivered", "delivered", "delivered", "disconnection"),
        *("connection", "refusal", "refusal", "limit_exceeded", "disconnection"),
        *("connection", "deferred", "refusal", "dead_letter", "disconnection"),
    ]
    delivered = events[1]
    facts = ("id", "sender", "recipient", "route", "client_address", "client_name")
    assert [delivered.fact(name) for name in facts] == [
        *("a1", "me@example.org", "status@mydomain.com", "append /var/mail/inbox", "192.0.2.7", "mail.example.org"),
    ]
    assert (delivered.size(), delivered.seconds(), int(delivered.time)) == (1000, 0.25, int(NOON))
    assert {event.fact("client_address") for event in events[5:10]} == {"203.0.113.9"}
    assert events[11].fact("reason") == "exit status 75"
    assert events[8].fact("limit") == "smtp_failcmds"
    assert (source.unread, source.ambiguous) == (0, 0)


def test_what_is_not_counted_is_left_out(recorder: Recorder, opened: Opener) -> None:
    """Entries that no count needs, such as those of debug flags, are none of the events."""
    recorder.record(catalogue.LISTENING, address="[::]:25")
    Session(recorder).close()
    assert set(names(list(opened(recorder).events(ALWAYS)))) == {"connection", "disconnection"} < set(COUNTED)


def test_a_period(story: Recorder, opened: Opener) -> None:
    """Only what was recorded in the period is read, its ends included."""
    hour = Period(NOON + 3600, NOON + 3700)
    assert {event.fact("client_address") for event in opened(story).events(hour)} == {"203.0.113.9"}
    assert list(opened(story).events(Period(since=NOON + 8000))) == []
    assert names(list(opened(story).events(Period(until=NOON))))[0] == "connection"


def test_reading_goes_on_where_it_was(story: Recorder, opened: Opener) -> None:
    """With the position of an earlier reading, just what came since is read; and nothing if nothing came."""
    source = opened(story)
    assert len(list(source.events(ALWAYS))) == 15
    position = source.position()
    assert list(source.events(ALWAYS, position)) == []
    assert source.position() == position
    session = Session(story, "192.0.2.9")  # in the very second of the last entry
    story.now += 60
    session.close()
    source = opened(story)
    assert names(list(source.events(ALWAYS, position))) == ["connection", "disconnection"]
    assert list(source.events(ALWAYS, source.position())) == []


def test_nothing(recorder: Recorder, opened: Opener) -> None:
    """A log in which mailrecv has recorded nothing has no events."""
    recorder.record(catalogue.LISTENING, address="[::]:25")
    source = opened(recorder)
    assert list(source.events(ALWAYS)) == []
    assert source.traces("a1", ALWAYS, 5) == []


def test_the_trace_of_a_message(story: Recorder, opened: Opener) -> None:
    """A message's trace goes from the connection to its end, and leaves out the session's other message."""
    [trace] = opened(story).traces("a1", ALWAYS, 5)
    assert names(trace) == ["connection", "delivered", "delivered", "disconnection"]
    assert {event.fact("id") for event in trace} == {"", "a1"}


def test_the_traces_of_an_address(story: Recorder, opened: Opener) -> None:
    """An address stands for the messages from it and to it, whatever their letter case, the oldest first."""
    source = opened(story)
    for term in ("status@mydomain.com", "ME@example.ORG"):
        traces = source.traces(term, ALWAYS, 5)
        assert [trace[1].fact("id") for trace in traces] == ["a1", "a2"]
    assert [trace[1].fact("id") for trace in source.traces("status@mydomain.com", ALWAYS, 1)] == ["a2"]
    assert source.traces("status@mydomain.com", Period(since=NOON + 3600), 5) == []
    assert source.traces("nobody@mydomain.com", ALWAYS, 5) == []


def test_the_traces_of_a_client(story: Recorder, opened: Opener) -> None:
    """A client's address stands for its sessions, each whole."""
    [trace] = opened(story).traces("192.0.2.7", ALWAYS, 5)
    assert names(trace) == ["connection", "delivered", "delivered", "delivered", "disconnection"]
    [trace] = opened(story).traces("203.0.113.9", ALWAYS, 5)
    assert names(trace) == ["connection", "refusal", "refusal", "limit_exceeded", "disconnection"]


def test_sessions_at_the_same_time(recorder: Recorder, opened: Opener) -> None:
    """Sessions whose entries alternate are told apart."""
    first = Session(recorder, "192.0.2.1", "one.example.org")
    recorder.pid = 200
    second = Session(recorder, "192.0.2.2", "two.example.org")
    first.message("f1", "a@example.org", "me@mydomain.com")
    second.message("f2", "b@example.org", "me@mydomain.com")
    second.close()
    first.close()
    source = opened(recorder)
    clients = {event.fact("id"): event.fact("client_address") for event in source.events(ALWAYS) if event.fact("id")}
    assert clients == {"f1": "192.0.2.1", "f2": "192.0.2.2"}
    for trace, address in zip(source.traces("me@mydomain.com", ALWAYS, 5), ("192.0.2.1", "192.0.2.2"), strict=True):
        assert names(trace) == ["connection", "delivered", "disconnection"]
        assert {event.fact("client_address") for event in trace} == {address}


def test_a_process_number_that_comes_again(recorder: Recorder, opened: Opener) -> None:
    """A later process of the same number, for the same client, is another session."""
    for message_id in ("f1", "f2", "f3"):
        session = Session(recorder)
        session.message(message_id, "a@example.org", "me@mydomain.com")
        session.close()
        recorder.now += 10
    [trace] = opened(recorder).traces("f2", ALWAYS, 5)
    assert names(trace) == ["connection", "delivered", "disconnection"]
    assert {int(event.time) for event in trace} == {int(NOON) + 10}


def test_the_trace_of_a_refused_recipient(opened: Opener) -> None:
    """With the debug flag `+`, a recipient who got nothing has a trace as well, which shows the refusal."""
    recorder = Recorder("+")
    session = Session(recorder)
    session.begin("f1", "me@example.org")
    facts = {"recipient": "sales@mydomain.com", "line": 7}
    session.record(catalogue.ROUTED, route="550 No one here by that name.", **facts)
    session.refuse(550, "No one here by that name.", recipient="sales@mydomain.com", line=7)
    session.end()
    session.close()
    [trace] = opened(recorder).traces("sales@mydomain.com", ALWAYS, 5)
    assert names(trace) == ["connection", "routed", "refusal", "disconnection"]


def test_progress(story: Recorder, opened: Opener) -> None:
    """Whoever watches is told how far a read has come, from 0 to 1, and never less than before."""
    for number in range(2000):
        story.now += 1
        story.record(catalogue.LIMIT_EXCEEDED, limit=f"l{'x' * (number % 9)}")
    source = opened(story)
    parts: list[float] = []
    source.on_progress = parts.append
    assert len(list(source.events(ALWAYS))) == 2015
    assert parts == sorted(parts)
    assert len(parts) >= 1
    assert all(0 <= part <= 1 for part in parts)

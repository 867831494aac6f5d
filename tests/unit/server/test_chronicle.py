"""What is recorded of a session, and which facts each entry carries."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from structlog.types import EventDict

from mailrecv.delivery.message import Message
from mailrecv.delivery.outcome import Attempt, Outcome, Status
from mailrecv.delivery.spool import Spool
from mailrecv.journal.log import Journal
from mailrecv.journal.processors import Select
from mailrecv.policy import decision
from mailrecv.policy.decision import Decision
from mailrecv.policy.patterns import Verdict
from mailrecv.reply import Reply
from mailrecv.server.chronicle import Chronicle, record_exception
from tests.support.configs import client


def as_it_is(logger: Any, method: str, event: EventDict) -> tuple[tuple[EventDict], dict[str, Any]]:
    """Hand an entry to the sink without a change."""
    return (event,), {}


class Kept:
    """A sink that keeps entries, each with its name as `event` and all its facts."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def msg(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)

    def journal(self) -> Journal:
        """Return a journal that ends here."""
        logger = structlog.wrap_logger(
            self, processors=[Select("a"), as_it_is], wrapper_class=Journal, context_class=dict
        )
        journal: Journal = logger.bind()
        return journal

    @property
    def names(self) -> list[str]:
        return [entry["event"] for entry in self.entries]


@pytest.fixture
def kept() -> Kept:
    """What was recorded."""
    return Kept()


def chronicle(kept: Kept, debug: str = "", name: str | None = None) -> Chronicle:
    """Return the chronicle of a session with a client that has this name."""
    return Chronicle(kept.journal(), client(name=name), debug)


def facts(kept: Kept, *names: str) -> list[object]:
    """Return these facts of the entry recorded last."""
    return [kept.entries[-1].get(name) for name in names]


def test_facts_of_a_session(kept: Kept) -> None:
    """Client and HELO are part of every entry from when they are known, id and sender for as long as a transaction."""
    session_facts = ("client_address", "client_name", "helo", "id", "sender")
    who = client(name="a.example")
    record = Chronicle(kept.journal(), who, "")
    record.connected(who)
    assert facts(kept, *session_facts) == ["192.0.2.7", "unknown", None, None, None]
    record.introduced("x")
    record.transaction_begun("1", "a@b")
    record.command(b"NOOP")
    assert facts(kept, *session_facts) == ["192.0.2.7", "unknown", "x", "1", "a@b"]
    assert who.name == "a.example"
    record.name_looked_up(who)
    record.command(b"NOOP")
    assert facts(kept, *session_facts) == ["192.0.2.7", "a.example", "x", "1", "a@b"]
    record.transaction_ended()
    record.command(b"NOOP")
    assert facts(kept, *session_facts) == ["192.0.2.7", "a.example", "x", None, None]


def test_every_session_has_a_name_of_its_own(kept: Kept) -> None:
    """All entries of a session have the same `session`, and no other session with the same client has it."""
    for _ in range(2):
        record = chronicle(kept)
        record.connected(client())
        record.transaction_begun("1", "a@b")
        record.transaction_ended()
        record.ended("quit", 1)
    first, first_end, second, second_end = (entry["session"] for entry in kept.entries)
    assert first == first_end != second == second_end


def test_verdict(kept: Kept) -> None:
    """Only a refusal is recorded as one, and counted."""
    record = chronicle(kept)
    record.verdict(Reply(250, "OK"))
    record.verdict(Reply(354, "Go on"))
    record.reply(Reply(500, "EHLO is not supported"))
    assert kept.names == ["reply", "reply", "reply"]
    record.verdict(Reply(550, "No"), command=b"RCPT", recipient="a@b", line=7)
    assert kept.names[3:] == ["reply", "refusal"]
    assert facts(kept, "reply", "command", "recipient", "line") == [Reply(550, "No"), b"RCPT", "a@b", 7]
    assert record.refusals == 1


def test_decision(kept: Kept) -> None:
    """Every pattern that was tried is recorded; one that took too much work, and a limit, on top of that."""
    verdicts = [Verdict.NO, Verdict.CANNOT_TELL, Verdict.YES]
    tests = tuple(decision.Test(line, "x", "a@b", verdict) for line, verdict in enumerate(verdicts))
    chronicle(kept).decision(Decision(Reply(421, "No"), 3, tests, limit="fcrdns_check"))
    assert kept.names == ["pattern_test", "pattern_test", "pattern_limit", "pattern_test", "limit_exceeded"]


@pytest.mark.parametrize("flag", ["l", "a"])
def test_mail_data(kept: Kept, flag: str) -> None:
    """Mail data is recorded in lines, however it came in, and nothing of one message is left for the next."""
    record = chronicle(kept, flag)
    for octets in (b"on", b"e\ntwo\n\nth", b"ree\nrest"):
        record.mail_data(octets)
    record.transaction_ended()
    record.mail_data(b"another\n")
    assert [entry["text"] for entry in kept.entries] == [b"one", b"two", b"", b"three", b"another"]


def test_mail_data_without_the_flag(kept: Kept) -> None:
    """Mail data is not even looked at without the flag for it."""
    chronicle(kept, "s").mail_data(b"one\n")
    assert kept.entries == []


def test_long_line_of_mail_data(kept: Kept) -> None:
    """Of a line that never ends only the beginning is kept."""
    record = chronicle(kept, "l")
    for _ in range(1000):
        record.mail_data(b"x" * 1000)
    record.mail_data(b"\n")
    assert len(kept.entries[0]["text"]) <= 3000


@pytest.mark.parametrize(
    "outcome, dead_letter, name, reason",
    [
        (Outcome(Status.DELIVERED), False, "delivered", None),
        (Outcome(Status.DELIVERED), True, "dead_letter", None),
        (Outcome(Status.TEMPORARY, "why"), False, "deferred", "why"),
        (Outcome(Status.TEMPORARY, "why"), True, "deferred", "why"),
        (Outcome(Status.PERMANENT, "why"), False, "failed", "why"),
    ],
)
def test_delivery(kept: Kept, outcome: Outcome, dead_letter: bool, name: str, reason: str | None) -> None:
    """Each attempt has its entry, with its fate, route, size and time, after what a command had to say."""
    spool = Spool()
    spool.write(b"Hello\n")
    message = Message("1", "a@b", "x", "unknown", "192.0.2.7", "mydomain.com", 0, spool)
    outcome = Outcome(outcome.status, outcome.detail, ("one", "two"))
    attempt = Attempt("me@mydomain.com", "pipe", "cat", outcome, 0.5, dead_letter=dead_letter)
    chronicle(kept).delivery_ended(message, [attempt])
    assert kept.names == ["command_output", "command_output", name]
    shown = facts(kept, "recipient", "route", "size", "seconds", "reason")
    assert shown == ["me@mydomain.com", "pipe cat", 6, 0.5, reason]


def test_processes_that_a_command_leaves_behind(kept: Kept) -> None:
    """What lives on of a command has an entry of its own, before the fate of the copy."""
    spool = Spool()
    message = Message("1", "a@b", "x", "unknown", "192.0.2.7", "mydomain.com", 0, spool)
    outcome = Outcome(Status.DELIVERED, left_behind=("sleep (7)", "sh (8)"))
    chronicle(kept).delivery_ended(message, [Attempt("me@mydomain.com", "pipe", "sleep 9 &", outcome, 0.5)])
    assert kept.names == ["processes_left", "delivered"]
    assert (kept.entries[0]["recipient"], kept.entries[0]["processes"]) == ("me@mydomain.com", "sleep (7), sh (8)")


@pytest.mark.parametrize(
    "cause, names", [("quit", ["disconnection"]), ("left", ["left_without_quit", "disconnection"])]
)
def test_end(kept: Kept, cause: str, names: list[str]) -> None:
    """The end of a session is recorded with its cause and its counts."""
    record = chronicle(kept)
    record.messages, record.recipients = 2, 3
    record.ended(cause, 4)
    assert kept.names == names
    assert facts(kept, "cause", "commands", "messages", "recipients", "refusals") == [cause, 4, 2, 3, 0]


def test_exception(kept: Kept) -> None:
    """An exception is recorded with its traceback, line by line."""
    try:
        raise ValueError("one\ntwo")
    except ValueError as error:
        record_exception(kept.journal(), error)
    assert kept.names == ["internal_error", *["traceback"] * (len(kept.entries) - 1)]
    assert kept.entries[0]["error"] == "ValueError('one\\ntwo')"
    texts = [entry["text"] for entry in kept.entries[1:]]
    assert texts[0] == "Traceback (most recent call last):"
    assert texts[-2:] == ["ValueError: one", "two"]
    assert "\n" not in "".join(texts)
